# SPDX-License-Identifier: Apache-2.0
"""A run's record: lines by step, a cut last line, and going back."""

import json

from endoforge.training.record import RunRecord, read_metrics


def test_lines_carry_step_time_and_figures(tmp_path):
    record = RunRecord(tmp_path)
    record.report(10, 1.23456, {"depth/absolute": 0.5})
    record.report(20, 2.0, {"validation/abs_rel": float("nan")})
    assert read_metrics(tmp_path) == [
        {"step": 10, "wall_s": 1.235, "depth/absolute": 0.5},
        {"step": 20, "wall_s": 2.0, "validation/abs_rel": None},
    ]


def test_a_line_that_a_kill_cut_is_left_out(tmp_path):
    record = RunRecord(tmp_path)
    record.report(10, 1.0, {"loss": 0.5})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "lo')
    assert [line["step"] for line in read_metrics(tmp_path)] == [10]


def test_going_back_drops_later_lines(tmp_path):
    record = RunRecord(tmp_path)
    for step in (10, 20, 30):
        record.report(step, 1.0, {"loss": 0.5})
    record.go_back_to(20)
    assert [line["step"] for line in read_metrics(tmp_path)] == [10, 20]


def test_a_run_without_metrics_has_none(tmp_path):
    assert read_metrics(tmp_path) == []


def test_the_manifest_grows_over_openings(tmp_path):
    RunRecord(tmp_path).start({"steps": 3}, {"task": "toy"})
    RunRecord(tmp_path).note({"resumed_at": [2]})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["task"] == "toy"
    assert manifest["resumed_at"] == [2]
    assert "torch" in manifest["versions"]
    assert json.loads((tmp_path / "settings.json").read_text()) == {"steps": 3}
