# SPDX-License-Identifier: Apache-2.0
"""The round picture within an image: what lies outside it cannot be seen by any lens."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import CameraError
from endoforge.geometry.cameras import Camera, camera_from_dict, pixel_centres
from geometry.lenses import LENSES, fisheye, omnidirectional, pinhole

WHOLE = [pinhole(-0.2, 0.05, 0.01, -0.015, 0.0), fisheye(-0.05, 0.01, 0.0, 0.0)]
WHOLE.append(omnidirectional(0.0, -0.25, 0.0, 0.0))
circles = st.tuples(st.floats(40, 120), st.floats(30, 90), st.floats(20, 110))


@given(camera=st.sampled_from(WHOLE), circle=circles)
@settings(max_examples=40, deadline=None)
def test_a_pixel_is_valid_where_the_lens_reaches_and_the_circle_holds_it(
    camera: Camera, circle: tuple[float, float, float]
) -> None:
    cut = dataclasses.replace(camera, content=circle)
    centres = pixel_centres(160, 120)
    inside = np.hypot(*np.moveaxis(centres - circle[:2], -1, 0)) <= circle[2]
    np.testing.assert_array_equal(cut.valid(), camera.valid() & inside)
    np.testing.assert_array_equal(cut.in_field(centres), cut.valid())
    np.testing.assert_array_equal(cut.rays()[cut.valid()], camera.rays()[cut.valid()])
    tensor = cut.unproject(torch.tensor(centres))
    np.testing.assert_array_equal(tensor[..., 0].isfinite().numpy(), cut.valid())


@given(camera=st.sampled_from(WHOLE), circle=circles)
@settings(max_examples=40, deadline=None)
def test_a_round_camera_survives_json_and_an_old_file_has_no_circle(
    camera: Camera, circle: tuple[float, float, float]
) -> None:
    cut = dataclasses.replace(camera, content=circle)
    assert camera_from_dict(json.loads(json.dumps(cut.to_dict()))) == cut
    assert "content" not in camera.to_dict()
    assert camera_from_dict({**camera.to_dict(), "content": None}) == camera


@given(camera=st.sampled_from(WHOLE), cut=st.floats(0.0, 110.0))
@settings(max_examples=30, deadline=None)
def test_a_cut_corner_is_a_triangle_that_no_ray_leaves(camera: Camera, cut: float) -> None:
    octagon = dataclasses.replace(camera, corner_cut_px=cut)
    centres = pixel_centres(160, 120)
    corners = np.array([[0, 0], [160, 0], [0, 120], [160, 120]])
    apart = np.abs(centres[..., None, :] - corners).sum(-1).min(-1)
    assert (octagon.valid() == (camera.valid() & (apart >= cut)))[np.abs(apart - cut) > 1e-9].all()
    np.testing.assert_array_equal(octagon.in_field(centres), octagon.valid())
    tensor = octagon.unproject(torch.tensor(centres))
    np.testing.assert_array_equal(tensor[..., 0].isfinite().numpy(), octagon.valid())
    assert camera_from_dict(json.loads(json.dumps(octagon.to_dict()))) == octagon
    small = octagon.resized(80, 40)
    assert octagon.in_field(pixel_centres(80, 40)[small.valid()] * (2, 3)).all()


@pytest.mark.parametrize("cut", [-1.0, 140.0, math.nan, "much"])
def test_a_cut_that_leaves_no_picture_is_refused(cut: object, plain_shapes: None) -> None:
    with pytest.raises(CameraError, match="corner_cut_px"):
        camera_from_dict({**pinhole().to_dict(), "corner_cut_px": cut})


@pytest.mark.parametrize("name", ["pinhole, round", "fisheye, round", "omnidirectional, round"])
def test_projection_does_not_ask_for_the_circle(name: str) -> None:
    camera = LENSES[name]
    whole = dataclasses.replace(camera, content=None)
    points = np.random.default_rng(0).uniform((-5, -5, 1), (5, 5, 6), (200, 3))
    np.testing.assert_array_equal(camera.project(points), whole.project(points))
    pixels = whole.project(points)
    assert not camera.in_field(pixels[~np.isfinite(camera.unproject(pixels)[:, 0])]).any()


def test_resizing_scales_the_circle_and_never_lets_it_grow_past_the_picture() -> None:
    camera = LENSES["fisheye, round"]
    assert camera.resized(320, 240).content == pytest.approx((166.0, 110.0, 140.0))
    flat = camera.resized(160, 60)
    assert flat.content == pytest.approx((83.0, 27.5, 35.0))
    seen = pixel_centres(160, 60)[flat.valid()] * (1, 2)
    assert camera.in_field(seen).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([80, 60], r"'content' must hold 3 numbers, got \(80, 60\)"),
        ([80, 60, 0], r"circle that meets the image of 160 x 120 px, got \(80\.0, 60\.0, 0\.0\)"),
        ([80, 60, -5], r"circle that meets the image"),
        ([300, 60, 100], r"circle that meets the image"),
        ([80, 60, math.inf], r"'content' must be a finite number, got inf"),
        ("wide", r"'content' must hold 3 numbers, got 'wide'"),
    ],
)
def test_a_circle_that_cannot_exist_is_refused(
    content: object, message: str, plain_shapes: None
) -> None:
    with pytest.raises(CameraError, match=message):
        camera_from_dict({**pinhole().to_dict(), "content": content})
