# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import numpy as np
import pytest
from scipy.special import expit

from endoforge.errors import DataError
from endoforge.evaluation.audit.calibration import (
    PRIOR,
    SENSES,
    Calibration,
    Example,
    Expert,
    fit_calibration,
    load_calibration,
    log_measure,
    save_calibration,
)
from endoforge.evaluation.audit.measures import SCORED
from endoforge.evaluation.audit.planting import EXPERT_OF


def examples(count=60, seed=0):
    """Warps raise the first measure, lost organs the second; the others are noise."""
    rng = np.random.default_rng(seed)
    found = []
    for kind, factors in (("good", (1, 1)), ("moved", (6, 1)), ("lost", (1, 6))):
        for _ in range(count):
            a, b, c, d = np.exp(rng.normal(0, 0.5, 4)) * 0.1
            measures = {"slip_any_long": a * factors[0], "object_lost": b * factors[1]}
            measures |= {"slip_evidence": c, "borders_lost": d}
            found.append(Example(kind, measures))
    return found


def test_the_score_is_the_formula():
    calibration = Calibration(
        centre={"shift_gain": -2.0, "edges_2": 0.5},
        spread={"shift_gain": 0.5, "edges_2": 2.0},
        experts={
            "a": Expert(intercept=-1.0, weights={"shift_gain": 2.0}),
            "b": Expert(intercept=0.3, weights={"edges_2": 1.0}),
        },
        slope=1.5,
        offset=-0.25,
    )
    measures = {"shift_gain": 0.2, "edges_2": 0.1}
    a = -1 + 2 * (np.log(0.201) + 2) / 0.5
    b = 0.3 + (np.log(0.101) - 0.5) / 2
    assert calibration.worries(measures) == pytest.approx({"a": a, "b": b})
    assert calibration.score(measures) == pytest.approx(
        expit(1.5 * np.log(np.exp(a) + np.exp(b)) - 0.25)
    )


def test_an_expert_without_its_measures_is_silent_and_nothing_measured_is_no_damage():
    calibration = fit_calibration(examples(), {})
    some = {"slip_any_long": 0.1, "slip_evidence": 0.1}
    assert set(calibration.worries(some)) == {"moved"}
    assert calibration.score({}) == 0.0


def test_it_learns_which_measure_sees_which_damage():
    calibration = fit_calibration(examples(), {"made_by": "a test"})
    moved, lost = (calibration.experts[name].weights for name in ("moved", "lost"))
    assert moved["slip_any_long"] > 3 * moved.get("slip_evidence", 0)
    assert lost["object_lost"] > 3 * lost.get("borders_lost", 0)
    assert set(moved) <= set(SENSES["moved"])
    assert calibration.provenance == {"made_by": "a test"}


def test_more_of_any_measure_never_makes_a_frame_look_better():
    calibration = fit_calibration(examples(), {})
    rng = np.random.default_rng(3)
    for _ in range(50):
        measures = {name: float(rng.uniform(0.01, 1)) for name in calibration.centre}
        before = calibration.score(measures)
        for name in measures:
            assert calibration.score(measures | {name: 2 * measures[name]}) >= before - 1e-12


def test_the_score_is_a_probability():
    """Of unseen frames with a score near p, about p are damaged where one in five is."""
    calibration = fit_calibration(examples(400), {})
    unseen = examples(800, seed=1)
    scores = np.array([calibration.score(one.measures) for one in unseen])
    bad = np.array([one.kind != "good" for one in unseen])
    weight = np.where(bad, PRIOR / 2, 1 - PRIOR)  # two kinds of damage against one of good
    for low, high in ((0.1, 0.4), (0.4, 0.7), (0.7, 0.95)):
        near = (scores > low) & (scores < high)
        share = (weight * bad)[near].sum() / weight[near].sum()
        assert low - 0.12 < share < high + 0.12


def test_each_kind_of_good_translation_weighs_the_same_however_many_there_are():
    few = [dataclasses.replace(one, origin="a") for one in examples(20)]
    many = [dataclasses.replace(one, origin="b") for one in examples(40, seed=2)]
    once, often = (fit_calibration([*few, *many * k], {}) for k in (1, 3))
    for name, expert in once.experts.items():
        assert often.experts[name].intercept == pytest.approx(expert.intercept, abs=0.35)
        total = sum(expert.weights.values())
        assert sum(often.experts[name].weights.values()) == pytest.approx(total, rel=0.15)


def test_what_is_saved_is_loaded(tmp_path):
    calibration = fit_calibration(examples(), {"made_by": "a test"})
    save_calibration(tmp_path / "c.json", calibration)
    assert load_calibration(tmp_path / "c.json") == calibration


@pytest.mark.parametrize(
    ("change", "text"),
    [({"kind": "x"}, "kind"), ({"slope": -1}, "slope"), ({"centre": {}}, "lacks centre")],
)
def test_damaged_files_are_refused(tmp_path, change, text):
    save_calibration(tmp_path / "c.json", fit_calibration(examples(), {}))
    values = json.loads((tmp_path / "c.json").read_text()) | change
    (tmp_path / "c.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=text):
        load_calibration(tmp_path / "c.json")


def test_one_kind_alone_is_refused():
    with pytest.raises(DataError, match="good and damaged"):
        fit_calibration([one for one in examples() if one.kind == "good"], {})


def test_the_shipped_calibration_says_where_it_comes_from():
    calibration = load_calibration()
    assert set(calibration.experts) == set(EXPERT_OF.values())
    assert set(calibration.centre) <= set(SCORED)
    assert calibration.provenance["frames"]["good"] > 20
    assert log_measure(0.0) < calibration.centre["slip_any_long"]


def test_surely_moved_tissue_scores_high_with_the_shipped_weights():
    calibration = load_calibration()
    usual = {name: float(np.exp(value)) for name, value in calibration.centre.items()}
    assert calibration.score(usual) < 0.5
    assert calibration.score({name: 20 * value for name, value in usual.items()}) > 0.9
