# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.scene.anatomy.caecum import VALVE_LABEL, pit_rows, pole_shape
from endoforge.scene.anatomy.colon import sample_colon, shape_colon
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.anatomy.surfaces import open_edges
from endoforge.streams import stream

END = ColonSettings(segment="caecum", length_mm=160, around_spacing_mm=1.6)


@pytest.fixture(scope="module", params=[1, 2])
def made(request):
    draw = sample_colon(END, stream(request.param, "anatomy"))
    found, centreline = shape_colon(draw, END)
    return draw, found.surface, centreline


def corners(surface, label):
    return surface.vertices_mm[np.unique(surface.faces[surface.face_label == label])]


def test_the_pouch_is_closed_and_has_one_valve_and_one_appendix(made):
    _, surface, _ = made
    assert open_edges(surface.faces) == 0
    valve = surface.faces[surface.face_label == VALVE_LABEL]
    assert open_edges(valve) == 0 and signed_volume(surface.vertices_mm, valve) > 0
    for label in (5, 6):
        assert len(np.unique(surface.face_instance[surface.face_label == label])) == 1


def test_the_valve_has_the_size_that_was_drawn(made):
    draw, surface, _ = made
    wide, high, _ = draw.caecum.valve_size_mm
    size = np.sort(np.ptp(corners(surface, 5) @ _axes(corners(surface, 5)), axis=0))
    assert 1.5 * wide < size[-1] < 3.2 * wide
    assert size[-2] < 2.0 * size[-1] * high / wide + 8


def _axes(points):
    return np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2].T


def test_the_appendix_opens_at_the_pole_and_the_valve_lies_between_it_and_the_ascending(made):
    draw, surface, centreline = made
    end = draw.route.points_mm[-1]
    appendix, valve = corners(surface, 6).mean(axis=0), corners(surface, 5).mean(axis=0)
    assert np.linalg.norm(appendix - end) < 22
    assert 30 < np.linalg.norm(valve - end) < 80
    assert np.linalg.norm(centreline.points_mm - valve, axis=1).min() > 5


def test_the_opening_is_a_pit_of_its_depth(made):
    draw, surface, _ = made
    rows = pit_rows(draw.caecum)
    assert (np.diff(rows[:, 1]) >= 0).all()
    assert rows[:, 0].max() < 1.7 * draw.caecum.appendix_mm + 1e-9
    along = corners(surface, 6) @ draw.route.frames.tangent[-1]
    assert np.ptp(along) > 0.7 * draw.caecum.depth_mm


def test_three_arms_meet_at_the_pole():
    draw = sample_colon(END, stream(1, "anatomy"))
    angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    bands = np.tile([0.3, 2.4, 4.5], (1, 1))
    pole = pole_shape(draw.caecum, bands, np.array([10.0]), angle, 25.0)
    ridge = pole.inwards_mm[0]
    peaks = np.flatnonzero((ridge > np.roll(ridge, 1)) & (ridge >= np.roll(ridge, -1)))
    np.testing.assert_allclose(angle[peaks], [0.3, 2.4, 4.5], atol=0.03)
    assert ridge[peaks].min() > 0.7 * draw.caecum.arm_mm[0]
    assert ridge.min() == pytest.approx(-draw.caecum.sac_mm, abs=0.2)


def test_the_slit_squeezes_one_direction_only():
    draw = sample_colon(END, stream(2, "anatomy"))
    pole = pole_shape(
        draw.caecum, np.zeros((2, 3)), np.array([0.5, 24.0]), np.linspace(0, 6, 10), 25.0
    )
    sizes = np.linalg.svd(pole.across, compute_uv=False)
    np.testing.assert_allclose(sizes[:, 0], 1.0, atol=1e-9)
    assert sizes[0, 1] == pytest.approx(draw.caecum.slit, abs=0.1)
    assert sizes[1, 1] == pytest.approx(1.0, abs=0.02)


def test_a_piece_that_ends_before_has_neither():
    draw = sample_colon(ColonSettings(start=(0.3, 0.3), length_mm=160), stream(1, "anatomy"))
    assert draw.caecum is None
