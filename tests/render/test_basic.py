# SPDX-License-Identifier: Apache-2.0
"""The kernel and its NumPy twin say the same about every pixel."""

import numpy as np
import pytest

from endoforge.frames.frame import IGNORE
from endoforge.optics.tissue import Tissue
from endoforge.render.basic import intersect, render_basic
from endoforge.render.surface import SurfaceRenderer
from endoforge.render.view import Rendering
from render import worlds

#: Pixels whose ray grazes an edge may fall to either side of it in single precision.
EDGE_SHARE = 0.002

TEXTURED = Tissue(relief=0.15, roughness=0.1, mottling=0.3, texture_seed=3, tile_mm=50.0)


@pytest.fixture(scope="module", params=["kannala-brandt", "brown-conrady", "off-centre"])
def pair(request: pytest.FixtureRequest) -> tuple[Rendering, Rendering]:
    camera = worlds.lenses(40, 30)[request.param]
    scene = worlds.tube(TEXTURED)
    here = worlds.turned(np.array([2.0, 3.0, 8.0]), 0.1, 0.3)
    there = worlds.turned(np.array([1.0, 3.5, 12.0]), 0.15, 0.35)
    look = worlds.view(here, there)
    fast = SurfaceRenderer(scene, camera, "cpu").render_linear(look)
    return fast, render_basic(scene, camera, look)


def test_the_scene_shows_what_the_comparison_needs(pair):
    frame = pair[1].frame
    assert {1, 2} <= set(np.unique(frame.label)) <= {0, 1, 2, IGNORE}
    assert 300 in frame.instance or 1 in frame.instance
    assert 0.01 < frame.occluded.mean() < 0.5
    assert np.ptp(pair[1].radiance) > 0.1


@pytest.mark.parametrize("name", ["label", "instance", "valid", "occluded"])
def test_the_twins_agree_on_every_class(pair, name):
    fast, slow = (getattr(rendering.frame, name) for rendering in pair)
    assert fast.dtype == slow.dtype
    assert np.mean(fast != slow) <= EDGE_SHARE


@pytest.mark.parametrize(
    ("name", "tolerance"), [("depth_mm", 1e-4), ("normal_camera", 1e-4), ("flow_px", 1e-3)]
)
def test_the_twins_agree_on_every_number(pair, name, tolerance):
    fast, slow = (getattr(rendering.frame, name) for rendering in pair)
    assert fast.dtype == slow.dtype == np.float32
    assert np.mean(np.isnan(fast) != np.isnan(slow)) <= EDGE_SHARE
    error = np.abs(fast - slow)
    assert np.mean(error[np.isfinite(error)] > tolerance) <= EDGE_SHARE


def test_the_twins_agree_on_the_light(pair):
    fast, slow = (rendering.radiance for rendering in pair)
    error = np.abs(fast - slow) / (slow + 1e-3)
    assert np.mean(error.max(axis=-1) > 1e-3) <= 2 * EDGE_SHARE


def test_the_twins_agree_on_the_picture(pair):
    fast, slow = (rendering.frame.image.astype(int) for rendering in pair)
    assert np.mean(np.abs(fast - slow).max(axis=-1) > 1) <= 2 * EDGE_SHARE


def test_a_ray_meets_the_nearest_of_two_walls():
    near, far = worlds.plane(10.0).surface, worlds.plane(20.0).surface
    surface = worlds.scene_of(
        np.concatenate([far.vertices_mm, near.vertices_mm]),
        np.concatenate([far.faces, near.faces + 4]),
        np.concatenate([far.normals, near.normals]),
    ).surface
    ray = np.array([[0.6, 0.0, 0.8], [0.0, 0.0, -1.0]])
    distance, face, _ = intersect(surface, np.zeros((2, 3)), ray)
    np.testing.assert_allclose(distance, [12.5, np.inf])
    assert face[0] >= 2
