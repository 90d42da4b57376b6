# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from endoforge.errors import DataError, SettingsError
from endoforge.evaluation.experiments.cinematic import reproduce_cinematic
from endoforge.evaluation.experiments.settings import (
    SCALES,
    CinematicExperiment,
    cinematic_experiment,
)
from endoforge.frames.dataset import Dataset
from endoforge.settings import validate

_TINY_COLON = """
simulator: colon
labels: []
anatomy: {length_mm: 130.0}
"""
_TINY_CT = """
simulator: cinematic
labels: []
anatomy: {voxels: 96, extent_mm: 358.4}
quality: {denoise: "off"}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> CinematicExperiment:
    (tmp_path / "ct.yaml").write_text(_TINY_CT)
    (tmp_path / "colon.yaml").write_text(_TINY_COLON)
    return CinematicExperiment(
        width=64,
        height=48,
        counts=(2, 4),
        conditions=2,
        sequence_frames=1,
        volumes=1,
        unseen_volumes=1,
        test_frames=2,
        samples=1,
        steps=2,
        recipe=str(tmp_path / "ct.yaml"),
        independent=str(tmp_path / "colon.yaml"),
    )


@pytest.mark.parametrize("scale", SCALES)
def test_both_scales_are_complete_and_every_pose_has_all_its_conditions(scale):
    settings = validate(CinematicExperiment, cinematic_experiment(scale))
    group = settings.conditions * settings.sequence_frames
    assert all(count % group == 0 for count in settings.counts)
    with pytest.raises(SettingsError, match="multiples of conditions"):
        validate(CinematicExperiment, {"counts": [settings.counts[0] + 1]})


def test_the_experiment_runs_once_and_goes_on_where_it_was(tiny, tmp_path):
    said: list[str] = []
    out = tmp_path / "out"
    result = reproduce_cinematic(out, tiny, said.append)
    assert result.domains == ("unseen CT", "independent")
    assert {row.images for row in result.rows} == {0, 2, 4}
    assert len(result.rows) == 2 * (1 + 2 + 1)
    assert len(result.claims()) == 4
    for name in ("result.json", "table.md", "report.html"):
        assert (out / name).stat().st_size > 500
    times = {file: file.stat().st_mtime_ns for file in out.glob("*/**/model.safetensors")}
    assert len(times) == 3
    again = reproduce_cinematic(out, tiny, said.append)
    assert again.rows == result.rows
    assert {file: file.stat().st_mtime_ns for file in times} == times

    several = Dataset.open(out / "data" / "several-4")
    poses = [several.frame(k).camera_from_world.tolist() for k in range(4)]
    assert poses[0] == poses[1] != poses[2] == poses[3]
    facts = [several.frame(k).facts for k in range(4)]
    assert [(f["pose_group"], f["condition"]) for f in facts] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert facts[0]["transfer"] != facts[1]["transfer"]
    one = Dataset.open(out / "data" / "one-4")
    assert len({str(one.frame(k).facts["transfer"]) for k in range(4)}) == 1

    with pytest.raises(DataError, match="steps 2, asked for was 3"):
        reproduce_cinematic(out, tiny.model_copy(update={"steps": 3}), said.append)
