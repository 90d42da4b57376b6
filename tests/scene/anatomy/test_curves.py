# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.scene.anatomy.curves import (
    arc_length,
    curvature,
    resample,
    smooth,
    transport_frames,
    unit,
)


def circle(radius=10.0, count=400, share=0.75):
    turn = np.linspace(0, share * 2 * np.pi, count)
    return radius * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)


def helix(count=600):
    turn = np.linspace(0, 4 * np.pi, count)
    return np.stack([20 * np.cos(turn), 20 * np.sin(turn), 6 * turn], axis=1)


def test_arc_length_of_part_of_a_circle():
    assert arc_length(circle())[-1] == pytest.approx(0.75 * 2 * np.pi * 10.0, rel=1e-4)


def test_resampled_points_lie_on_the_curve_at_equal_steps():
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [7, 0, 0], [7, 5, 0]])
    points = resample(corners, 0.5)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(steps, 0.5, rtol=0.02)
    np.testing.assert_allclose(points[[0, -1]], corners[[0, -1]])


def test_curvature_is_one_over_the_radius():
    np.testing.assert_allclose(curvature(circle(radius=8.0)), 1 / 8.0, rtol=1e-3)


def test_smoothing_keeps_straight_lines_and_ends():
    line = np.linspace([0.0, 1, 2], [5, 6, 7], 40)
    np.testing.assert_allclose(smooth(line, 3.0), line, atol=1e-12)
    rough = line + np.random.default_rng(1).normal(0, 0.3, line.shape)
    np.testing.assert_allclose(smooth(rough, 3.0)[[0, -1]], rough[[0, -1]], atol=1e-9)
    assert np.abs(smooth(rough, 3.0) - line)[5:-5].max() < np.abs(rough - line)[5:-5].max()


@pytest.mark.parametrize("count", [2, 3, 7])
def test_smoothing_works_on_curves_shorter_than_its_width(count):
    line = np.linspace([0.0, 0, 0], [1, 1, 1], count)
    np.testing.assert_allclose(smooth(line, 5.0), line, atol=1e-12)


def test_frames_are_right_handed_and_unit():
    frames = transport_frames(helix())
    basis = np.stack([frames.side, frames.up, frames.tangent], axis=1)
    np.testing.assert_allclose(np.linalg.det(basis), 1.0, atol=1e-9)


def test_frames_do_not_turn_about_a_plane_curve():
    frames = transport_frames(circle())
    height = np.abs(frames.side[:, 2])
    np.testing.assert_allclose(height, height[0], atol=1e-6)


def test_frames_turn_about_a_helix_as_its_torsion_says():
    points = helix()
    frames = transport_frames(points)
    step = np.einsum("pi,pi->p", np.diff(frames.side, axis=0), frames.up[:-1])
    assert np.abs(step).max() < 1e-3  # the twist per step is of second order


def test_zero_vectors_stay_zero():
    np.testing.assert_array_equal(unit(np.zeros((2, 3))), 0.0)
