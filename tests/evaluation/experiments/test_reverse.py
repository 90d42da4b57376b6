# SPDX-License-Identifier: Apache-2.0
"""The experiment of reverse adaptation at its smallest: every part once, and going on."""

from pathlib import Path

import pytest

from endoforge.errors import DataError
from endoforge.evaluation.experiments.reverse import reproduce_reverse
from endoforge.evaluation.experiments.reverse_outcome import (
    OWN,
    UNTOUCHED,
    AdaptedRow,
    ReverseResult,
)
from endoforge.evaluation.experiments.reverse_settings import ReverseExperiment, reverse_experiment
from endoforge.evaluation.experiments.settings import SCALES
from endoforge.settings import validate
from frames.analytic import write_analytic_dataset

_TINY_COLON = """
simulator: colon
labels: []
anatomy: {length_mm: 130.0}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> ReverseExperiment:
    (tmp_path / "colon.yaml").write_text(_TINY_COLON)
    return ReverseExperiment(
        width=64,
        height=48,
        simulated=str(tmp_path / "colon.yaml"),
        simulated_frames=2,
        foreign_data=write_analytic_dataset(tmp_path / "foreign", sequences=1, frames=4),
        test_data=write_analytic_dataset(tmp_path / "test", sequences=1, frames=3),
        plain_steps=2,
        keeps=("luminance", "gradient"),
        steps=2,
        alone=1,
        judge_alone=0,
        batch=2,
        crop=32,
        refiner_width=4,
        judge_width=12,
    )


@pytest.mark.parametrize("scale", SCALES)
def test_both_scales_are_complete(scale):
    validate(ReverseExperiment, reverse_experiment(scale))


def test_the_experiment_runs_once_and_goes_on_where_it_was(tiny, tmp_path):
    out, said = tmp_path / "out", []
    result = reproduce_reverse(out, tiny, said.append)
    assert result.networks == ("plain", "shipped")
    assert result.looks == ("luminance", "gradient")
    assert len(result.rows) == 2 * 4
    assert len(result.claims()) == 2 * 2
    models = sorted(p.parts[-3] for p in out.glob("runs/*/model/model.safetensors"))
    assert models == ["plain", "reverse-gradient", "reverse-luminance"]
    times = {file: file.stat().st_mtime_ns for file in out.glob("scores/*/evaluation.json")}
    assert len(times) == 2 * 2
    again = reproduce_reverse(out, tiny, said.append)
    assert again.rows == result.rows
    assert {file: file.stat().st_mtime_ns for file in times} == times
    with pytest.raises(DataError, match="steps 2, asked for was 3"):
        reproduce_reverse(out, tiny.model_copy(update={"steps": 3}), said.append)


def scores(error):
    figures = {"abs_rel": error, "rmse": 1.0, "delta1": 0.5}
    return {"none": figures, "median": figures, "scale_shift": figures}


def test_a_claim_holds_from_the_goal_on():
    rows = tuple(
        AdaptedRow("depth", look, scores(error))
        for look, error in ((UNTOUCHED, 0.2), ("gradient", 0.149), ("luminance", 0.151), (OWN, 0.1))
    )
    result = ReverseResult({"goal": 25.0}, rows, "all pixels")
    assert result.fall("depth", "gradient") == pytest.approx(25.5)
    assert [claim.held for claim in result.claims()] == [True, False]
    assert "**confirmed**" in result.markdown()
    assert "lowered by 24.5 % (none)" in result.markdown()
