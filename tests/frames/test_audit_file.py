# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.frames.audit_file import (
    AUDIT,
    AUDIT_JOURNAL,
    FrameScores,
    note_scores,
    read_audit,
    read_notes,
    source_key,
    write_audit,
)
from endoforge.frames.check import check_dataset
from endoforge.frames.dataset import Dataset
from endoforge.frames.exports.export import export_dataset
from endoforge.frames.flat_cache import FlatPlane, FlatRequest, data_fingerprint, load_flat
from frames.analytic import write_analytic_dataset

BAD = {(0, 2), (1, 0)}


def judged(folder, bad=BAD, threshold=0.5):
    write_analytic_dataset(folder, 2, 3, 64, 48)
    for sequence in range(2):
        for index in range(3):
            damage = 0.9 if (sequence, index) in bad else 0.1
            note_scores(folder, (sequence, index), FrameScores(damage, {"shift": 0.25}))
    return write_audit(folder, {"threshold": threshold, "meaning": "a test"})


def test_what_is_written_is_read_and_the_lines_of_the_way_there_are_gone(tmp_path):
    written = judged(tmp_path)
    assert read_audit(tmp_path) == written
    assert written.rejected == ((0, 2), (1, 0))
    assert written.worst(1) == [(0, 2)]
    assert not (tmp_path / AUDIT_JOURNAL).exists()


def test_a_data_set_knows_its_rejected_frames_by_number(tmp_path):
    judged(tmp_path)
    assert Dataset.open(tmp_path).rejected == {2, 3}
    assert Dataset.open(tmp_path).left_out == {2, 3}
    assert Dataset.open(tmp_path, with_rejected=True).left_out == frozenset()


def test_without_an_audit_nothing_is_rejected(tmp_path):
    write_analytic_dataset(tmp_path, 1, 2, 64, 48)
    assert read_audit(tmp_path) is None
    assert Dataset.open(tmp_path).rejected == frozenset()


def test_an_interrupted_audit_goes_on_and_an_unfinished_one_is_refused(tmp_path):
    write_analytic_dataset(tmp_path, 1, 3, 64, 48)
    note_scores(tmp_path, (0, 0), FrameScores(0.3))
    with open(tmp_path / AUDIT_JOURNAL, "ab") as file:
        file.write(b'{"sequence": 0, "ind')  # killed here
    note_scores(tmp_path, (0, 1), FrameScores(0.4, {"a": 1.0}))
    assert set(read_notes(tmp_path)) == {(0, 0), (0, 1)}
    with pytest.raises(DataError, match="1 of 3 frames"):
        write_audit(tmp_path, {"threshold": 0.5})


def test_an_audit_of_another_state_of_the_data_set_is_refused(tmp_path):
    judged(tmp_path)
    values = json.loads((tmp_path / AUDIT).read_text())
    values["shards"]["shard-000001.tar"] = "0" * 64
    (tmp_path / AUDIT).write_text(json.dumps(values))
    with pytest.raises(DataError, match="another state"):
        Dataset.open(tmp_path).audit  # noqa: B018
    assert [p.kind for p in check_dataset(tmp_path).problems] == ["audit"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kind": "else"}, "must be an"),
        ({"format_version": 2}, "format_version"),
        ({"about": {"threshold": 7}}, "threshold"),
        ({"frames": [{"sequence": 0}]}, "a frame must have"),
        ({"frames": [{"sequence": 0, "index": 0, "damage": 2, "measures": {}}]}, "0 to 1"),
    ],
)
def test_damaged_audits_are_refused(tmp_path, change, text):
    judged(tmp_path)
    values = json.loads((tmp_path / AUDIT).read_text())
    (tmp_path / AUDIT).write_text(json.dumps(values | change))
    with pytest.raises(DataError, match=text):
        read_audit(tmp_path)


def test_the_check_says_how_many_are_rejected(tmp_path):
    judged(tmp_path)
    report = check_dataset(tmp_path)
    assert (report.audited, report.rejected) == (True, 2)


def test_training_leaves_rejected_frames_out_unless_told_otherwise(tmp_path):
    judged(tmp_path / "set")
    plane = FlatPlane(
        "image", "uint8", 3, ("image",), lambda n, f, s: f["image"].transpose(2, 0, 1)
    )

    def frames(with_rejected):
        request = FlatRequest([tmp_path / "set"], (64, 48), (plane,), {"v": 1}, with_rejected)
        return load_flat(request, tmp_path / "cache", lambda done, total: None)

    kept, every = frames(False), frames(True)
    assert len(kept["sequence"]) == 4
    assert len(every["sequence"]) == 6
    assert np.array_equal(kept["image"], every["image"][[0, 1, 4, 5]])
    prints = [data_fingerprint([tmp_path / "set"], flag) for flag in (False, True)]
    assert prints[0] != prints[1]


def test_a_data_set_without_any_good_frame_cannot_be_learnt_from(tmp_path):
    judged(tmp_path / "set", {(s, i) for s in range(2) for i in range(3)})
    request = FlatRequest([tmp_path / "set"], (64, 48), (), {"v": 1})
    with pytest.raises(DataError, match="rejected every frame"):
        load_flat(request, tmp_path / "cache", lambda done, total: None)
    with pytest.raises(DataError, match="rejected all 6 frames"):
        export_dataset(tmp_path / "set", "png", tmp_path / "out")


@pytest.mark.parametrize("format", ["png", "coco", "tum", "hdf5", "nerfstudio"])
def test_export_leaves_rejected_frames_out_and_says_so(tmp_path, format):
    judged(tmp_path / "set")
    report = export_dataset(tmp_path / "set", format, tmp_path / "out")
    assert (report.frames, report.rejected) == (4, 2)
    every = export_dataset(tmp_path / "set", format, tmp_path / "all", with_rejected=True)
    assert (every.frames, every.rejected) == (6, 0)


def test_exported_frames_keep_their_numbers(tmp_path):
    judged(tmp_path / "set")
    export_dataset(tmp_path / "set", "png", tmp_path / "out")
    names = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").glob("*/image/*")
    )
    assert [name[:6] + name[-10:-4] for name in names] == [
        "000000000000",
        "000000000001",
        "000001000001",
        "000001000002",
    ]


def test_a_frame_in_several_styles_says_which_frame_it_shows():
    assert source_key({}, (3, 4)) == (3, 4)
    assert source_key({"translation": {"source": [1, 2]}}, (3, 4)) == (1, 2)
    with pytest.raises(DataError, match=r"translation\.source"):
        source_key({"translation": {"source": "x"}}, (3, 4))
