# SPDX-License-Identifier: Apache-2.0
"""Bad input, given to a whole training or translation: one sentence says what came and what to do.

A sentence has what was expected, what came, and after a semicolon what to do about it.
"""

import json
import logging
import math

import cv2
import numpy as np
import pytest

from endoforge import verbs
from endoforge.errors import CheckpointError, DataError, SettingsError, TrainingDiverged
from endoforge.frames.audit_file import FrameScores, note_scores, write_audit
from endoforge.settings import validate
from endoforge.training.checkpoint import list_checkpoints
from endoforge.training.sealed import read_sealed
from endoforge.translation.methods import METHODS
from endoforge.translation.train import train_translation
from frames.analytic import write_analytic_dataset
from frames.media.samples import write_video
from translation.runs import BRIEF, brief, write_pictures

NARROW = {
    "cyclegan": {"generator": {"width": 4, "blocks": 1}, "judge": {"width": 4, "layers": 1}},
    "cut": {"generator": {"width": 4, "blocks": 1}, "taps": [0, 1], "features": 8, "patches": 4,
            "judge": {"width": 4, "layers": 1}},
    "munit": {"codes": {"width": 4, "blocks": 1, "mlp_width": 8, "style_halvings": 2},
              "judge": {"width": 4, "layers": 1, "scales": 1}},
}  # fmt: skip


def settings_of(method, **pictures):
    once = {"steps": 1, "batch": 1, "pictures": {**BRIEF["pictures"], **pictures}}
    return validate(METHODS[method].settings(), BRIEF | NARROW[method] | once)


def learn(method, data, real, out, **pictures):
    paths = real if isinstance(real, list) else [real]
    return train_translation(method, [data], paths, out, settings_of(method, **pictures))


def is_one_sentence(error: Exception) -> bool:
    text = str(error)
    return "; " in text and ". " not in text and not text.endswith(".") and "\n" not in text


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_analytic_dataset(tmp_path_factory.mktemp("simulated") / "data", 2, 3)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures") / "Zürich, Fälle 1")


# ---- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cyclegan", "cut"])
def test_sides_of_different_channels_are_refused_with_both_counts(tmp_path, data, method):
    (tmp_path / "five").mkdir()
    np.save(tmp_path / "five" / "a.npy", np.full((20, 24, 5), 0.4, np.float32))
    with pytest.raises(SettingsError, match="got 3 of the source and 5 of the target") as caught:
        learn(method, data, tmp_path / "five", tmp_path / "run")
    assert is_one_sentence(caught.value)


def test_a_folder_without_pictures_is_refused(tmp_path, data):
    (tmp_path / "real" / "deeper").mkdir(parents=True)
    (tmp_path / "real" / "README.txt").write_text("pictures follow")
    with pytest.raises(DataError, match=r"real holds no picture and no video \(\.avi") as caught:
        learn("cyclegan", data, tmp_path / "real", tmp_path / "run")
    assert is_one_sentence(caught.value)
    with pytest.raises(DataError, match=r"there is no .*missing; give"):
        learn("cyclegan", data, tmp_path / "missing", tmp_path / "run")


def test_corrupt_frames_are_named_counted_and_skipped_only_when_asked(tmp_path, data):
    real = write_pictures(tmp_path / "real")
    (real / "x.png").write_bytes((real / "0.png").read_bytes()[:60])
    (real / "y.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 6 files of .*: x\.png .*, y\.jpg ") as caught:
        learn("cyclegan", data, real, tmp_path / "run")
    assert "skip_damaged=true" in str(caught.value)
    learn("cyclegan", data, real, tmp_path / "run", skip_damaged=True)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["target_pictures"] == 4
    assert [text.split()[0] for text in manifest["left_out"]] == ["x.png", "y.jpg"]


def test_a_single_file_that_is_no_picture_is_named(tmp_path, data):
    (tmp_path / "README.txt").write_text("no picture")
    with pytest.raises(DataError, match=r"1 of 1 files of .*: README\.txt is not a video"):
        learn("cyclegan", data, tmp_path / "README.txt", tmp_path / "run")


@pytest.mark.parametrize(("value", "pictures"), [(0, {}), (120, {"exclude": [(0, 0, 1, 1)]})])
def test_pictures_in_which_nothing_counts_are_refused(tmp_path, data, value, pictures):
    real = tmp_path / "real"
    real.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(real / name), np.full((48, 64, 3), value, np.uint8))
    with pytest.raises(DataError, match=r"expected tissue in the 2 pictures of .*real") as caught:
        learn("cyclegan", data, real, tmp_path / "run", find_content=True, **pictures)
    assert is_one_sentence(caught.value)


def test_some_black_pictures_are_told_of(tmp_path, data, caplog):
    real = write_pictures(tmp_path / "real")
    cv2.imwrite(str(real / "z.png"), np.zeros((48, 64, 3), np.uint8))
    with caplog.at_level(logging.WARNING):
        learn("cyclegan", data, real, tmp_path / "run", find_content=True)
    assert "1 of 5 pictures show nothing that counts, the first is z.png" in caplog.text


def test_what_lies_beside_pictures_in_a_folder_is_no_damage(tmp_path, data):
    real = write_pictures(tmp_path / "real")
    for name in ("README.txt", ".DS_Store", "Thumbs.db", "desktop.ini", "._0.png", "masks.json"):
        (real / name).write_bytes(b"something else")
    learn("cyclegan", data, real, tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (manifest["target_pictures"], manifest["left_out"]) == (4, [])


@pytest.mark.parametrize("kind", ["one", "grey", "deep", "video"])
def test_unusual_but_sound_pictures_are_learnt_from(tmp_path, data, kind):
    real = tmp_path / "Fälle 2"
    match kind:
        case "one":
            write_pictures(real, count=1)
        case "grey":
            write_pictures(real, channels=1)
        case "deep":
            real.mkdir()
            deep = np.random.default_rng(0).integers(0, 65536, (20, 24, 3), np.uint16)
            cv2.imwrite(str(real / "a.png"), deep)
        case "video":
            real.mkdir()
            write_video(real / "ein Film.mp4", 4)
    report = learn("cyclegan", data, real, tmp_path / "run")
    assert report.frames == 6 + {"one": 1, "grey": 4, "deep": 1, "video": 4}[kind]
    assert all(math.isfinite(value) for value in report.figures.values())


# ---- trainings -----------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_with_a_sound_checkpoint(tmp_path, real):
    settings = brief("gan", learning_rate=1e36, steps=50, rollbacks=1, skips=1)
    with pytest.raises(TrainingDiverged, match=r"not finite at step \d+ .* lower the") as caught:
        train_translation("gan", [], [real], tmp_path, settings)
    assert is_one_sentence(caught.value)
    newest = list_checkpoints(tmp_path / "checkpoints")[-1]
    tensors, _ = read_sealed(newest, "state", "training-checkpoint", 1)
    assert all(np.isfinite(value.numpy()).all() for value in tensors.values())
    assert json.loads((tmp_path / "manifest.json").read_text())["skipped"]


def test_each_refusal_of_other_weights_or_settings_is_one_sentence(tmp_path, real):
    start, changed = tmp_path / "gan", brief("gan", betas=[0.1, 0.999])
    train_translation("gan", [], [real], start, brief("gan"))
    with pytest.raises(CheckpointError, match=r"betas = \[0\.5, 0\.999\] but .*\[0\.1,") as caught:
        train_translation("gan", [], [real], start, changed)
    assert is_one_sentence(caught.value)
    with pytest.raises(CheckpointError, match="trained by 'gan' but 'dcgan' was") as caught:
        train_translation("dcgan", [], [real], tmp_path / "x", brief("dcgan"), start_from=start)
    assert is_one_sentence(caught.value)


def judged(folder, damage):
    write_analytic_dataset(folder, 1, len(damage))
    for index, value in enumerate(damage):
        note_scores(folder, (0, index), FrameScores(value))
    write_audit(folder, {"threshold": 0.5})
    return folder


def test_rejected_frames_are_left_out_unless_asked_for(tmp_path, real, caplog):
    data = judged(tmp_path / "data", (0.1, 0.9, 0.9))
    with caplog.at_level(logging.WARNING):
        report = learn("cyclegan", data, real, tmp_path / "run")
    assert "2 of 3 frames are left out, an audit rejected them" in caplog.text
    assert report.frames == 1 + 4
    with pytest.raises(CheckpointError, match=r"data\.source = "):
        learn("cyclegan", data, real, tmp_path / "run", with_rejected=True)
    assert learn("cyclegan", data, real, tmp_path / "b", with_rejected=True).frames == 3 + 4
    bad = judged(tmp_path / "bad", (0.9, 0.9, 0.9))
    with pytest.raises(DataError, match=r"rejected all 3 frames .*with_rejected=true") as caught:
        learn("cyclegan", bad, real, tmp_path / "c")
    assert is_one_sentence(caught.value)


# ---- styles --------------------------------------------------------------------------------------


def test_a_trained_translator_takes_style_pictures_of_any_size_but_no_broken_ones(
    tmp_path, data, real
):
    learn("munit", data, real, tmp_path / "run")
    names = []
    for width, height in ((300, 50), (7, 9), (64, 48)):
        names.append(str(tmp_path / f"{width}.png"))
        cv2.imwrite(names[-1], np.full((height, width, 3), 90, np.uint8))

    def translate(out, *pictures):
        choices = {"style_from": pictures, "device": "cpu", "height": 48}
        return verbs.translate(
            tmp_path / "run", data, out=tmp_path / out, choices=choices, audit=False
        )

    assert translate("looks", *names).frames == 3 * 6
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"bad\.png") as caught:
        translate("more", names[0], str(tmp_path / "bad.png"))
    assert is_one_sentence(caught.value)
