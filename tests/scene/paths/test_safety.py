# SPDX-License-Identifier: Apache-2.0
"""Distances and sides against closed forms, ways through free space, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import SceneError
from endoforge.scene.paths.inside import winding_of
from endoforge.scene.paths.safety import check_clear, clear_of, free_way, smooth_below
from scene.paths.rooms import room_beside, theatre, tube

THEATRE, TUBE = theatre(), tube()
places = st.tuples(st.floats(-149, 149), st.floats(-99, 99), st.floats(-149, 149))


@given(place=places)
@settings(max_examples=80, deadline=None)
def test_the_signed_distance_is_that_of_box_and_ball(place: tuple[float, float, float]) -> None:
    found = clear_of(np.array([place]), THEATRE.tissue)[0]
    assert found == pytest.approx(room_beside(np.array(place)), abs=0.25)  # the ball has facets


@given(place=places)
@settings(max_examples=80, deadline=None)
def test_a_place_is_in_the_room_if_it_is_in_no_organ(place: tuple[float, float, float]) -> None:
    distance = room_beside(np.array(place))
    if abs(distance) > 0.3:
        assert THEATRE.holds(np.array([place]))[0] == (distance > 0)


def test_nothing_outside_the_walls_is_in_the_room() -> None:
    outside = np.array([[200.0, 0, 0], [0, -101.0, 0], [0, 0, 1e4]])
    assert not THEATRE.holds(outside).any()
    assert not TUBE.holds(np.array([[21.0, 0, 150], [0, 0, -1.0], [0, 0, 301.0]])).any()
    assert TUBE.holds(np.array([[19.0, 0, 150], [0, 0, 1.0]])).all()


def test_groups_of_triangles_wind_as_their_triangles_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from endoforge.scene.paths import inside

    points = np.random.default_rng(3).uniform(-140, 140, (40, 3)) * (1, 0.7, 1)
    quick = winding_of(THEATRE.surface.vertices_mm, THEATRE.surface.faces).at(points)
    monkeypatch.setattr(inside, "_NEAR", 1e9)
    exact = winding_of(THEATRE.surface.vertices_mm, THEATRE.surface.faces).at(points)
    np.testing.assert_allclose(exact, np.round(exact), atol=1e-6)
    np.testing.assert_allclose(quick, exact, atol=0.1)


def test_a_ball_travels_until_it_touches_the_wall() -> None:
    start = np.array([[0.0, 0, 150], [5.0, 0, 150], [0, 0, 150], [19.0, 0, 150]])
    way = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0]])
    free = free_way(TUBE.tissue, start, way, np.array([100.0, 100, 30, 50]), 4.0)
    expected = [16.0, np.sqrt(16.0**2 - 25), 30.0, 0.0]
    np.testing.assert_allclose(free, expected, atol=0.15)


@given(st.lists(st.floats(0, 50), min_size=2, max_size=60), st.floats(0.5, 5))
@settings(max_examples=60, deadline=None)
def test_smoothing_never_rises_above_the_values(values: list[float], width: float) -> None:
    smoothed = smooth_below(np.array(values), width)
    assert (smoothed <= np.array(values) + 1e-12).all()
    assert smoothed.min() >= min(values) - 1e-9


def test_cameras_outside_the_lumen_or_inside_an_organ_are_refused() -> None:
    with pytest.raises(
        SceneError, match=r"in frame 1, at \[25\.0, 0\.0, 150\.0\] mm, it is inside"
    ):
        check_clear(np.array([[0, 0, 150.0], [0, 0, 150], [25.0, 0, 150]]), TUBE, 4.0)
    with pytest.raises(SceneError, match=r"outside the lumen, 5\.0 mm from the surface"):
        check_clear(np.array([[25.0, 0, 150]]), TUBE, 4.0)
    with pytest.raises(SceneError, match="the lens must stay in the free room"):
        check_clear(np.array([[0, -20.0, 60]]), THEATRE, 4.0, "the lens")
    with pytest.raises(
        SceneError, match=r"keep 4 mm clear .* frame -1, .* near as (1\.9|2\.0)\d mm"
    ) as e:
        check_clear(np.array([[18.0, 0, 150]]), TUBE, 4.0)
    assert "\n" not in str(e.value)
    check_clear(np.array([[15.9, 0, 150]]), TUBE, 4.0)
