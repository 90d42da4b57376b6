# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
from contextlib import closing

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.evaluation.audit.run import audit_dataset
from endoforge.evaluation.audit.settings import AuditSettings
from endoforge.evaluation.report.write import write_report
from endoforge.frames.audit_file import AUDIT, AUDIT_JOURNAL, SOURCE, FrameScores, read_audit
from endoforge.frames.dataset import Dataset
from endoforge.frames.journal import append_record
from endoforge.frames.manifest import read_manifest, write_manifest
from endoforge.frames.shards import shard_name, write_shard
from evaluation.samples import check_page
from frames.analytic import write_analytic_dataset


class Brightness:
    """Calls every frame damaged that is brighter than its source."""

    def __init__(self, stop_after=1000):
        self.seen, self.stop_after = 0, stop_after
        self.about = {"threshold": 0.5, "meaning": "brighter than before"}

    def __call__(self, source, translated):
        if self.seen == self.stop_after:
            raise KeyboardInterrupt
        self.seen += 1
        brighter = translated.mean() > source.image.mean() + 1
        return FrameScores(0.8 if brighter else 0.2, {"shift_median_px": 0.5, "shift_95_px": 1.0})


def translated(source, folder, said=True, styles=1):
    """The data set in another look; frame 1 of each sequence is brighter."""
    manifest = read_manifest(source)
    provenance = {SOURCE: str(source)} if said else {}
    count = manifest.sequences * styles
    fields = {"provenance": provenance, "sequences": count, "frames": manifest.frames * styles}
    with closing(Dataset.open(source)) as dataset:
        for number in range(count):
            origin = number // styles
            frames = []
            for position in range(dataset.sequences[origin].frames):
                frame = dataset.shard(origin).frame(position)
                image = frame.image // 2 + (150 if position == 1 else 0)
                facts = {**frame.facts, "translation": {"source": [origin, position]}}
                frames.append(
                    dataclasses.replace(
                        frame, image=image.astype(np.uint8), facts=facts, sequence=number
                    )
                )
            folder.mkdir(exist_ok=True)
            path = folder / shard_name(number)
            append_record(folder, write_shard(path, frames, manifest.depth_scale_mm))
    write_manifest(folder, manifest.model_copy(update=fields))
    return folder


@pytest.fixture
def source(tmp_path):
    return write_analytic_dataset(tmp_path / "source", 2, 3, 64, 48)


def test_the_source_is_found_and_bad_frames_are_rejected(tmp_path, source):
    made = translated(source, tmp_path / "made")
    report = audit_dataset(made, AuditSettings(), judge=Brightness())
    assert report.rejected == ((0, 1), (1, 1))
    assert (report.frames, report.median_shift_px) == (6, 0.5)
    assert Dataset.open(made).rejected == {1, 4}
    assert sorted(p.name for p in made.iterdir() if "audit" in p.name) == [AUDIT]


def test_an_interrupted_audit_goes_on_where_it_was(tmp_path, source):
    made = translated(source, tmp_path / "made")
    with pytest.raises(KeyboardInterrupt):
        audit_dataset(made, AuditSettings(), judge=Brightness(4))
    assert read_audit(made) is None
    judge = Brightness()
    audit_dataset(made, AuditSettings(), judge=judge)
    assert judge.seen == 2


def test_another_judge_begins_anew(tmp_path, source):
    made = translated(source, tmp_path / "made")
    with pytest.raises(KeyboardInterrupt):
        audit_dataset(made, AuditSettings(), judge=Brightness(4))
    judge = Brightness()
    judge.about["threshold"] = 0.9
    report = audit_dataset(made, AuditSettings(), judge=judge)
    assert judge.seen == 6
    assert report.rejected == ()
    assert not (made / AUDIT_JOURNAL).exists()


def test_several_styles_of_a_frame_are_held_against_that_frame(tmp_path, source):
    made = translated(source, tmp_path / "made", styles=2)
    report = audit_dataset(made, AuditSettings(), judge=Brightness())
    assert report.rejected == ((0, 1), (1, 1), (2, 1), (3, 1))


def test_a_translation_that_does_not_say_its_source_needs_to_be_told(tmp_path, source):
    made = translated(source, tmp_path / "made", said=False)
    with pytest.raises(DataError, match="--against"):
        audit_dataset(made, AuditSettings(), judge=Brightness())
    assert audit_dataset(made, AuditSettings(), against=source, judge=Brightness()).frames == 6


def test_a_source_with_other_labels_is_refused(tmp_path, source):
    made = translated(source, tmp_path / "made")
    stranger = write_analytic_dataset(tmp_path / "stranger", 2, 3, 80, 48)
    with pytest.raises(DataError, match="has not the labels"):
        audit_dataset(made, AuditSettings(), against=stranger, judge=Brightness())
    with pytest.raises(DataError, match="is not there"):
        audit_dataset(made, AuditSettings(), against=tmp_path / "nowhere", judge=Brightness())


@pytest.mark.slow
def test_the_shipped_judge_keeps_equal_pictures_and_says_who_judged(tmp_path, source):
    report = audit_dataset(source, AuditSettings(device="cpu"), against=source)
    assert report.rejected == ()
    about = json.loads((source / AUDIT).read_text())["about"]
    assert about["threshold"] == 0.5
    assert "probability" in about["meaning"]
    assert len(about["calibration"]) == 64


def test_the_page_shows_styles_scores_and_worst_frames(tmp_path, source):
    made = translated(source, tmp_path / "made", styles=2)
    before = write_report(made).read_text()
    assert "No audit was made" in before
    audit_dataset(made, AuditSettings(), judge=Brightness())
    html = write_report(made).read_text()
    check_page(html)
    assert "Do the labels still hold" in html
    assert "rejected 4" in html
    assert "Displacement in sequence 0, frame 1" in html
    assert "brighter than before" in html


def test_the_page_of_a_translation_without_its_source_still_shows_it(tmp_path, source):
    made = translated(source, tmp_path / "made")
    audit_dataset(made, AuditSettings(), judge=Brightness())
    source.rename(tmp_path / "moved")
    html = write_report(made).read_text()
    assert "is not at hand" in html
    assert "Translation of sequence 0, frame 1" in html
