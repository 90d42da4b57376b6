# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.scene.anatomy.folds import sample_folds, sample_taeniae, wall_shape
from endoforge.scene.anatomy.route import sample_route
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.streams import stream

TRANSVERSE = ColonSettings(start=(0.55, 0.55), length_mm=400)


@pytest.fixture(scope="module")
def drawn():
    rng = stream(1, "anatomy")
    route = sample_route(TRANSVERSE, rng)
    taeniae = sample_taeniae(TRANSVERSE, rng)
    folds = sample_folds(TRANSVERSE, route, rng)
    way = np.arange(0.0, 400.0, 0.5)
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    radius = np.interp(way, np.linspace(0, 400, len(route.radius_mm)), route.radius_mm)
    return folds, taeniae, way, angle, radius, wall_shape(folds, taeniae, way, angle, radius)


def test_folds_stand_a_quarter_to_a_third_of_the_radius_into_the_lumen(drawn):
    folds, _, way, _, radius, shape = drawn
    tall = folds.height > np.median(folds.height)
    crest = [shape.fold_mm[np.searchsorted(way, at) - 8 : np.searchsorted(way, at) + 8].max()
             for at in folds.at_mm[tall] if 20 < at < 380]  # fmt: skip
    share = np.array(crest) / np.median(radius)
    assert 0.2 < np.median(share) < 0.42


def test_no_fold_goes_round(drawn):
    folds, taeniae, way, angle, radius, _ = drawn
    for i in range(0, len(folds.at_mm), 5):
        one = type(folds)(**{k: v[i : i + 1] for k, v in vars(folds).items()})
        around = wall_shape(one, taeniae, way, angle, radius).fold_mm.max(axis=0) > 0.3
        assert around.mean() < 0.48


def test_rows_stand_between_taeniae_which_are_free(drawn):
    _, taeniae, way, angle, _, shape = drawn
    bands = taeniae.angles(way)
    turned = (angle[None, :, None] - bands[:, None, :] + np.pi) % (2 * np.pi) - np.pi
    on_band = np.abs(turned).min(axis=2) < 0.1
    between = np.abs(turned).min(axis=2) > 0.8
    assert shape.fold_mm[on_band].mean() < 0.5 * shape.fold_mm[between].mean()
    assert shape.pouch[on_band].mean() < 0.4 * shape.pouch[between].mean()
    assert shape.taenia_mm[on_band].min() > 0.5 * taeniae.relief_mm


def test_spacing_within_a_row_is_irregular_and_as_told(drawn):
    folds = drawn[0]
    for row in range(3):
        steps = np.diff(folds.at_mm[(folds.row == row) & (folds.reach > 0.8)])
        assert 13 < np.median(steps) < 37
        assert steps.std() > 2.0


def test_free_edges_are_sharp(drawn):
    shape = drawn[5]
    peak = np.unravel_index(np.argmax(shape.fold_mm), shape.fold_mm.shape)
    column = shape.fold_mm[:, peak[1]]
    wide = (column[max(peak[0] - 20, 0) : peak[0] + 20] > 0.5 * column[peak[0]]).sum() * 0.5
    assert wide < 7.0


def test_the_shape_closes_round_the_axis(drawn):
    folds, taeniae, way, angle, radius, shape = drawn
    again = wall_shape(folds, taeniae, way, angle + 2 * np.pi, radius)
    np.testing.assert_allclose(again.fold_mm, shape.fold_mm, atol=1e-9)
    np.testing.assert_allclose(again.pouch, shape.pouch, atol=1e-9)


def test_no_folds_leave_a_plain_wall(drawn):
    folds, taeniae, way, angle, radius, _ = drawn
    none = type(folds)(**{k: v[:0] for k, v in vars(folds).items()})
    assert wall_shape(none, taeniae, way, angle, radius).fold_mm.max() == 0


def test_the_transverse_colon_keeps_its_rows_in_step_and_the_sigmoid_does_not():
    def mean_gap(start):
        gaps = []
        for seed in range(6):
            settings = ColonSettings(start=(start, start), length_mm=300)
            rng = stream(seed, "anatomy")
            folds = sample_folds(settings, sample_route(settings, rng), rng)
            rows = [folds.at_mm[(folds.row == r) & (folds.reach > 0.8)] for r in range(3)]
            gaps += [np.abs(rows[1] - at).min() for at in rows[0][2:-2]]
        return np.mean(gaps)

    assert mean_gap(0.58) < 0.75 * mean_gap(0.2)
