# SPDX-License-Identifier: Apache-2.0
"""A lens that sees behind itself: such pixels are seen and classed, but have no depth."""

import numpy as np
import pytest

from endoforge.geometry.cameras import FisheyeCamera
from endoforge.render.basic import render_basic
from endoforge.render.surface import SurfaceRenderer
from render import worlds

CAMERA = FisheyeCamera.from_field_of_view(40, 30, diagonal_deg=214.0)


@pytest.fixture(scope="module", params=["fast", "slow"])
def frame(request):
    here = worlds.turned(np.array([2.0, 3.0, 18.0]))
    look = worlds.view(here, here)
    if request.param == "slow":
        return render_basic(worlds.tube(), CAMERA, look).frame
    return SurfaceRenderer(worlds.tube(), CAMERA, "cpu").render(look)


def test_what_lies_beside_or_behind_the_lens_is_classed_but_invalid(frame):
    behind = CAMERA.rays()[..., 2] <= 0
    assert behind.mean() > 0.01
    assert not frame.valid[behind].any()
    assert (frame.label[behind] != 0).mean() > 0.9


def test_valid_pixels_are_in_front_and_invalid_ones_hold_no_number(frame):
    assert (frame.depth_mm[frame.valid] > 0).all()
    for array in (frame.depth_mm, frame.normal_camera, frame.flow_px):
        assert np.isnan(array[~frame.valid]).all()
    assert not frame.occluded[~frame.valid].any()
