# SPDX-License-Identifier: Apache-2.0
"""The thin slice through every room: simulate, check, train, evaluate, run, view."""

import json
from pathlib import Path

import pytest

import endoforge

SMALL = ["camera.width=64", "camera.height=64", "anatomy.length_mm=150", "sequence_frames=2"]
QUICK = ["steps=20", "warm_up=2", "batch=4", "width=64", "height=64", "report_every=10"]
QUICK += ["validate_every=20", "checkpoint_every=20", "validation_share=0.34"]


@pytest.fixture(scope="module")
def colons(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("pipeline") / "colons"
    assert endoforge.simulate("colon", out=out, frames=6, seed=5, assignments=SMALL).complete
    return out


@pytest.fixture(scope="module")
def trained(colons) -> Path:
    out = colons.parent / "run"
    report = endoforge.train("depth-unet", data=[colons], out=out, assignments=QUICK)
    assert report.steps == 20
    return out


def test_what_is_simulated_passes_the_check(colons):
    assert endoforge.check(colons).problems == []


def test_a_trained_model_is_measured_beside_baselines_under_every_alignment(colons, trained):
    out = trained / "evaluation"
    result = endoforge.evaluate(trained, colons, out=out, baselines_from=colons)
    stored = json.loads((out / "evaluation.json").read_text())
    assert stored["predictors"][0]["name"] == "model"
    assert len(stored["predictors"]) == 3
    assert set(stored["predictors"][0]["scores"]) == {"none", "median", "scale_shift"}
    assert result.score("abs_rel", "median") > 0


def test_the_model_runs_on_pictures_and_the_run_page_shows_them(colons, trained, tmp_path):
    from endoforge.demo import pictures_of

    folder = pictures_of(colons, tmp_path / "pictures", every=3)
    report = endoforge.run(trained, folder, out=trained / "frames")
    assert report.frames == 2
    assert (trained / "frames" / "video.mp4").stat().st_size > 0
    assert len(list((trained / "frames" / "depth").glob("*.png"))) == 2
    page = endoforge.view(trained).read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_dry_run_says_the_sizes_and_writes_nothing(colons, tmp_path):
    out = tmp_path / "dry"
    report = endoforge.train("depth-unet", data=[colons], out=out, assignments=QUICK, dry_run=True)
    assert report.dry_run
    assert report.parameters > 100_000
    assert not out.exists()
