# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from endoforge.errors import CheckpointError, DataError, SettingsError
from endoforge.frames.audit_file import AUDIT, read_audit
from endoforge.frames.check import check_dataset
from endoforge.frames.dataset import Dataset
from endoforge.frames.journal import JOURNAL
from endoforge.frames.members import OPTIONAL_LABELS
from endoforge.frames.shards import ShardReader, shard_name
from endoforge.translation.maker import LOOK_LABELS
from endoforge.translation.translate import Translation, translate_dataset
from endoforge.translation.translate_settings import TranslateSettings
from frames.analytic import write_analytic_dataset
from translation.tinting import BrightnessJudge, many_planes, one_look, tinting

TESTS = Path(__file__).parents[1]


def task(data: Path, out: Path, load=tinting, **settings) -> Translation:
    values = {"device": "cpu", "batch": 2} | settings
    return Translation(load, data, out, TranslateSettings.model_validate(values))


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.tar")}


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    """Every optional label, two eyes included."""
    folder = tmp_path_factory.mktemp("full") / "data"
    return write_analytic_dataset(folder, sequences=2, frames=3, full=True)


@pytest.fixture(scope="module")
def translated(full, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("translated") / "data"
    report = translate_dataset(task(full, out, styles=2))
    assert report.complete
    assert (report.frames, report.frames_made, report.failures) == (12, 12, {})
    return out


def test_labels_are_the_sources_bytes_and_pictures_are_new(full, translated):
    for sequence in range(4):
        source = ShardReader(full / shard_name(sequence // 2))
        made = ShardReader(translated / shard_name(sequence))
        assert set(source.files) - set(made.files) == {f"{label}.png" for label in LOOK_LABELS}
        for position in range(3):
            before, after = source.members(position), made.members(position)
            same = {name for name in after if before[name] == after[name]}
            assert set(after) - same == {"image.png", "right.image.png", "json"}


def test_a_translated_data_set_passes_every_check(translated):
    report = check_dataset(translated)
    assert report.problems == []
    assert (report.sequences, report.frames) == (4, 12)


def test_the_look_is_the_models_and_both_eyes_share_it(full, translated):
    with closing(Dataset.open(full)) as source, closing(Dataset.open(translated)) as made:
        before, after = source.frame(4), made.frame(10)
    code = np.array(after.facts["translation"]["style_code"], np.float32)
    for old, new in ((before, after), (before.right, after.right)):
        values = (old.image / np.float32(127.5) - 1) * np.float32(0.9) + np.float32(0.1) * code
        expected = ((values + 1) * 127.5).round().clip(0, 255)
        changed = (new.image != old.image).any(axis=-1)
        assert changed.mean() > 0.5
        assert np.abs(new.image[changed] - expected[changed]).max() <= 1


def test_facts_and_manifest_say_where_the_look_comes_from(full, translated):
    with closing(Dataset.open(translated)) as made, closing(Dataset.open(full)) as source:
        told = [made.facts(index)["facts"]["translation"] for index in range(12)]
        manifest, before = made.manifest, source.manifest
        facts_before = source.facts(3)["facts"]
        facts = made.facts(6)["facts"]
    assert [tuple(one["source"]) for one in told] == [
        (s, i) for s in (0, 0, 1, 1) for i in range(3)
    ]
    assert [one["style"] for one in told] == [0] * 3 + [1] * 3 + [0] * 3 + [1] * 3
    codes = {tuple(one["style_code"]) for one in told}
    assert len(codes) == 4  # one per sequence and style
    look = manifest.settings["translation"]
    assert (look["method"], look["weights_sha256"]) == ("munit", "ab" * 32)
    assert look["source_settings_sha256"] == before.settings_sha256
    assert look["styles"] == ["random 0", "random 1"]
    assert manifest.settings["source"] == before.settings
    assert manifest.provenance["translated_from"] == str(full.resolve())
    assert set(manifest.optional_labels) == set(OPTIONAL_LABELS) - LOOK_LABELS
    assert manifest.labels == before.labels
    for name in ("lights", "sensor", "draw"):
        assert name not in facts
        assert facts.get("source_look", {}).get(name) == facts_before.get(name)
    assert facts["objects"] == facts_before["objects"]


def test_the_dark_surround_stays_and_can_be_translated_too(simulated, tmp_path):
    """The analytic lens shows nothing in its corners."""
    translate_dataset(task(simulated, tmp_path / "kept"))
    translate_dataset(task(simulated, tmp_path / "all", keep_surround=False))
    corner = []
    for path in (simulated, tmp_path / "kept", tmp_path / "all"):
        with closing(Dataset.open(path)) as dataset:
            frame = dataset.frame(0)
            assert not frame.valid[0, 0]
            corner.append(frame.image[0, 0].tolist())
    assert corner[0] == corner[1] != corner[2]


# ---- resuming and sharing the work ---------------------------------------------------------------


def test_the_bytes_depend_neither_on_workers_nor_on_what_was_there(full, translated, tmp_path):
    out = tmp_path / "data"
    two = replace(task(full, out, styles=2), workers=2)
    assert translate_dataset(two).complete
    assert hashes(out) == hashes(translated)
    (out / shard_name(2)).unlink()
    assert translate_dataset(task(full, out, styles=2)).frames_made == 3
    assert hashes(out) == hashes(translated)
    assert translate_dataset(task(full, out, styles=2)).frames_made == 0


def start(dataset: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "translation.tinting", str(dataset), str(out), str(workers)]
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.Popen(
        words, cwd=TESTS, env=environment, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_it_continues_with_the_same_frames_and_scores(tmp_path, workers):
    data = write_analytic_dataset(tmp_path / "source", sequences=4, frames=8)
    unbroken = task(data, tmp_path / "unbroken", styles=3)
    assert translate_dataset(replace(unbroken, judge=BrightnessJudge)).complete
    out = tmp_path / "data"
    moments = random.Random(workers)
    for _ in range(3):
        process = start(data, out, workers)
        deadline = time.monotonic() + 60
        before = set(out.glob("*")) if out.exists() else set()
        while time.monotonic() < deadline and process.poll() is None:
            if out.exists() and set(out.glob("*shard*")) - before:
                break
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.15))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    process = start(data, out, workers)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert hashes(out) == hashes(tmp_path / "unbroken")
    assert not list(out.glob(".*tmp*"))
    assert check_dataset(out).problems == []
    assert read_audit(out).scores == read_audit(tmp_path / "unbroken").scores


def test_another_choice_for_the_same_folder_is_refused_with_the_difference(full, translated):
    before = hashes(translated)
    with pytest.raises(SettingsError, match=r"translation\.settings\.seed = 0 instead of 5"):
        translate_dataset(task(full, translated, styles=2, seed=5))
    other = replace(tinting(), weights_sha256="ff" * 32)
    with pytest.raises(SettingsError, match=r"translation\.weights_sha256 = 'abab.*'ffff"):
        translate_dataset(task(full, translated, lambda: other, styles=2))
    assert hashes(translated) == before


def test_a_source_that_was_moved_continues(simulated, tmp_path):
    data = Path(str(tmp_path / "a"))
    data.mkdir()
    for file in simulated.iterdir():
        (data / file.name).write_bytes(file.read_bytes())
    translate_dataset(task(data, tmp_path / "out"))
    moved = data.rename(tmp_path / "b")
    assert translate_dataset(task(moved, tmp_path / "out")).frames_made == 0


# ---- scores --------------------------------------------------------------------------------------


def test_the_judges_scores_are_written_and_frames_rejected(simulated, tmp_path):
    out = tmp_path / "data"
    judged = replace(task(simulated, out, styles=2), judge=partial(BrightnessJudge, 0.0))
    report = translate_dataset(judged)
    assert report.rejected == 12
    audit = read_audit(out)
    assert set(audit.scores) == {(s, i) for s in range(4) for i in range(3)}
    with closing(Dataset.open(simulated)) as source, closing(Dataset.open(out)) as made:
        change = abs(made.frame(7).image.mean() - source.frame(4).image.mean()) / 255
        assert len(made.rejected) == 12
    assert audit.scores[2, 1].measures["change"] == pytest.approx(change, rel=1e-3)
    assert translate_dataset(judged).rejected == 12
    assert check_dataset(out).problems == []
    assert not (tmp_path / "plain" / AUDIT).exists()


# ---- sizes and planes ----------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(50, 37), (64, 48)])
def test_any_size_is_padded_for_the_network_and_cut_again(tmp_path, width, height):
    data = write_analytic_dataset(tmp_path / "data", 1, 3, width, height)
    ready = one_look()
    translate_dataset(task(data, tmp_path / "out", lambda: ready))
    assert {size[0] for size in ready.translator.sizes} == {1, 2}
    with closing(Dataset.open(tmp_path / "out")) as made:
        assert made.frame(2).image.shape == (height, width, 3)
        assert made.facts(0)["facts"]["translation"]["style_code"] is None


def test_the_network_may_see_smaller_pictures(simulated, tmp_path):
    ready = one_look()
    translate_dataset(task(simulated, tmp_path / "out", lambda: ready, height=24))
    assert {size[2:] for size in ready.translator.sizes} == {(24, 32)}
    with (
        closing(Dataset.open(tmp_path / "out")) as made,
        closing(Dataset.open(simulated)) as source,
    ):
        new, old = made.frame(0), source.frame(0)
    assert new.image.shape == old.image.shape
    inside = new.valid
    assert np.abs(new.image[inside].mean() - (old.image[inside].mean() * 0.9 + 12.75)) < 1


def test_labels_are_fed_where_the_model_was_trained_so(simulated, full, tmp_path):
    ready = many_planes()
    translate_dataset(task(simulated, tmp_path / "out", lambda: ready))
    assert {size[1] for size in ready.translator.sizes} == {8}
    with pytest.raises(DataError, match=r"two eyes.*image, depth, labels"):
        translate_dataset(task(full, tmp_path / "other", many_planes))


# ---- what cannot be done -------------------------------------------------------------------------


def test_a_source_that_cannot_be_used_is_refused(simulated, tmp_path):
    with pytest.raises(DataError, match="is the source itself"):
        translate_dataset(task(simulated, simulated))
    with pytest.raises(DataError, match="no data set"):
        translate_dataset(task(tmp_path, tmp_path / "out"))
    data = write_analytic_dataset(tmp_path / "data", sequences=2, frames=2)
    (data / JOURNAL).write_text((data / JOURNAL).read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="lacks 2 of its 4 frames"):
        translate_dataset(task(data, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_damaged_source_sequence_is_listed_and_the_rest_is_made(simulated, tmp_path):
    data = write_analytic_dataset(tmp_path / "data", sequences=3, frames=2)
    content = bytearray((data / shard_name(1)).read_bytes())
    content[3000] ^= 1
    (data / shard_name(1)).write_bytes(bytes(content))
    report = translate_dataset(task(data, tmp_path / "out"))
    assert list(report.failures) == [1]
    assert "has changed" in report.failures[1]
    assert (report.complete, report.frames) == (False, 4)


def test_classes_that_the_model_does_not_know_are_refused(simulated, tmp_path):
    def fewer():
        ready = many_planes()
        return replace(ready, stack=replace(ready.stack, classes=(0, 1, 2, 9)))

    with pytest.raises(DataError, match=r"fed the classes \(0, 1, 2, 9\).*\(0, 1, 2, 3\)"):
        translate_dataset(task(simulated, tmp_path / "out", fewer))


# ---- styles --------------------------------------------------------------------------------------


def codes_of(folder: Path) -> np.ndarray:
    with closing(Dataset.open(folder)) as made:
        facts = [made.facts(index)["facts"] for index in range(0, len(made), 3)]
    return np.array([one["translation"]["style_code"] for one in facts])


def flat(path: Path, colour: tuple[int, int, int], size: tuple[int, int]) -> str:
    Image.new("RGB", size, colour).save(path)
    return str(path)


def test_styles_are_borrowed_from_pictures_of_any_size(simulated, tmp_path):
    red = flat(tmp_path / "red.png", (255, 100, 100), (300, 50))
    blue = flat(tmp_path / "blue.jpg", (100, 100, 250), (33, 47))
    translate_dataset(task(simulated, tmp_path / "out", style_from=[red, blue], height=24))
    codes = codes_of(tmp_path / "out")
    assert len(codes) == 4
    assert np.allclose(codes[::2], 3 * (np.array([255, 100, 100]) / 127.5 - 1), atol=1e-3)
    assert np.array_equal(codes[:2], codes[2:])
    names = json.loads((tmp_path / "out" / "dataset.json").read_text())["settings"]["translation"]
    assert names["styles"] == ["red.png", "blue.jpg"]


def test_the_dark_surround_of_a_lens_lends_no_style(simulated, tmp_path):
    v, u = np.mgrid[:200, :200] - 99.5
    inside = np.hypot(u, v) < 85
    round_picture = np.where(inside[..., None], np.uint8([220, 120, 90]), np.uint8(0))
    Image.fromarray(round_picture.astype(np.uint8)).save(tmp_path / "round.png")
    path = str(tmp_path / "round.png")
    translate_dataset(task(simulated, tmp_path / "out", style_from=[path], height=200))
    wanted = 3 * (np.array([220, 120, 90]) / 127.5 - 1)
    assert np.allclose(codes_of(tmp_path / "out")[0], wanted, atol=0.1)


def test_steps_between_two_styles_are_even_and_have_both_ends(simulated, tmp_path):
    ends = [
        flat(tmp_path / "a.png", (250, 120, 60), (40, 40)),
        flat(tmp_path / "b.png", (60, 120, 250), (64, 32)),
    ]
    chosen = {"style_between": ends, "styles": 5, "height": 24}
    translate_dataset(task(simulated, tmp_path / "out", **chosen))
    codes = codes_of(tmp_path / "out")[:5]
    borrowed = task(simulated, tmp_path / "borrowed", style_from=ends, height=24)
    translate_dataset(borrowed)
    assert np.allclose(codes[[0, 4]], codes_of(tmp_path / "borrowed")[:2], atol=1e-6)
    assert np.allclose(np.diff(codes, axis=0), (codes[4] - codes[0]) / 4, atol=2e-6)


def test_random_styles_may_be_the_same_for_all_sequences(simulated, tmp_path):
    translate_dataset(task(simulated, tmp_path / "a", styles=2))
    translate_dataset(task(simulated, tmp_path / "b", styles=2, vary="dataset"))
    varied, same = codes_of(tmp_path / "a"), codes_of(tmp_path / "b")
    assert np.array_equal(same[:2], same[2:])
    assert len(np.unique(varied, axis=0)) == 4
    assert np.array_equal(varied[:2], same[:2])


def test_a_method_with_one_look_refuses_styles(simulated, tmp_path):
    picture = flat(tmp_path / "a.png", (1, 2, 3), (40, 40))
    for choice in ({"styles": 2}, {"style_from": [picture]}, {"style_bank": "x"}):
        with pytest.raises(SettingsError, match="cut has one look only"):
            translate_dataset(task(simulated, tmp_path / "out", one_look, **choice))
    report = translate_dataset(task(simulated, tmp_path / "out", one_look))
    assert report.styles == ("cut",)


def test_style_pictures_that_cannot_be_read_are_named(simulated, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    for name in ("bad.png", "missing.png"):
        with pytest.raises(DataError, match=name):
            translate_dataset(task(simulated, tmp_path / "out", style_from=[str(tmp_path / name)]))
    chosen = {"style_bank": str(tmp_path / "none"), "style_group": 0}
    with pytest.raises(CheckpointError):
        translate_dataset(task(simulated, tmp_path / "out", **chosen))
    picture = flat(tmp_path / "a.png", (1, 2, 3), (40, 40))
    with pytest.raises(SettingsError, match="contradicts the 1 pictures"):
        translate_dataset(task(simulated, tmp_path / "out", style_from=[picture], styles=3))


@pytest.mark.parametrize(
    "wrong",
    [{"style_from": ["a"], "style_between": ["a", "b"], "styles": 2}, {"style_group": 1},
     {"style_between": ["a"], "styles": 2}, {"style_between": ["a", "b"]}, {"styles": 0},
     {"style_from": ["a"], "style_group": 1, "style_bank": "b"}],
)  # fmt: skip
def test_choices_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValidationError):
        TranslateSettings.model_validate(wrong)


def test_a_model_is_loaded_by_a_function_that_can_be_sent_to_workers(simulated, tmp_path):
    with pytest.raises(DataError):
        translate_dataset(task(simulated, simulated, partial(tinting)))
