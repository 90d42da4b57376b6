# SPDX-License-Identifier: Apache-2.0
import pytest

from endoforge.evaluation.experiments.outcome import ALIGNMENTS, ExperimentResult, Row
from endoforge.evaluation.experiments.page import experiment_page


def scores(abs_rel):
    return {
        a: {"abs_rel": abs_rel, "rmse": 10 * abs_rel, "delta1": 1 - abs_rel} for a in ALIGNMENTS
    }


def result(unseen, independent, one_look):
    """Errors by number of pictures on both domains; that of one look on the unseen CT."""
    rows = []
    for domain, errors in (("unseen CT", unseen), ("independent", independent)):
        rows += [
            Row(f"n{count}", count, 4 if count else 0, 0, domain, scores(error))
            for count, error in errors.items()
        ]
        rows.append(Row("one", max(errors), 1, 0, domain, scores(one_look)))
    return ExperimentResult({"conditions": 4}, tuple(rows), "pixels that count")


def held(found):
    return [claim.held for claim in found.claims()]


def test_reductions_are_shares_of_the_untouched_network_s_error():
    found = result({0: 0.4, 10: 0.2, 20: 0.1}, {0: 0.3, 10: 0.3, 20: 0.2}, 0.12)
    assert found.reduction("unseen CT") == pytest.approx(75.0)
    assert found.reduction("independent") == pytest.approx(100 / 3)
    assert held(found) == [True, True, True, True]


def test_each_claim_is_refuted_by_figures_that_contradict_it():
    good = {0: 0.4, 10: 0.2, 20: 0.1}
    other = {0: 0.3, 10: 0.3, 20: 0.2}
    assert held(result({0: 0.4, 10: 0.3, 20: 0.2}, other, 0.3))[0] is False
    assert held(result(good, {0: 0.3, 10: 0.2, 20: 0.25}, 0.2))[1] is False
    assert held(result({0: 0.4, 10: 0.05, 20: 0.1}, other, 0.2))[2] is False
    assert held(result(good, other, 0.09))[3] is False


def test_the_mean_over_repeats_counts():
    rows = (
        Row("a", 0, 0, 0, "unseen CT", scores(0.4)),
        Row("b", 8, 4, 0, "unseen CT", scores(0.1)),
        Row("b", 8, 4, 1, "unseen CT", scores(0.3)),
    )
    assert ExperimentResult({}, rows, "").error("unseen CT", 8) == pytest.approx(0.2)


def test_table_and_page_show_every_figure():
    found = result({0: 0.4, 10: 0.2}, {0: 0.3, 10: 0.25}, 0.15)
    text, page = found.markdown(), experiment_page(found)
    for row in found.rows:
        for figure in (0.4, 0.2, 0.25, 0.15):
            assert f"{figure:.3f}" in text and f"{figure:.3f}" in page
        assert row.arm in text and row.arm in page
    assert "confirmed" in page or "refuted" in page
