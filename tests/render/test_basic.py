# SPDX-License-Identifier: Apache-2.0
"""The kernel and its NumPy twin say the same about every pixel, moving tissue and stereo too."""

from dataclasses import replace

import numpy as np
import pytest

from endoforge.frames.frame import IGNORE
from endoforge.optics.tissue import Tissue
from endoforge.render.basic import render_basic
from endoforge.render.basic_geometry import intersect
from endoforge.render.surface import SurfaceRenderer
from endoforge.render.view import OPTIONAL_LABELS, Rendering, RightEye
from render import worlds

#: Pixels whose ray grazes an edge may fall to either side of it in single precision.
EDGE_SHARE = 0.002

TEXTURED = Tissue(relief=0.15, roughness=0.1, mottling=0.3, texture_seed=3, tile_mm=50.0)
SHINING = replace(TEXTURED, f0=0.4, roughness=0.3)
PALE = Tissue(albedo=(0.8, 0.7, 0.4), relief=0.02, roughness=0.2, texture_seed=1, tile_mm=30.0)
DARK = Tissue(
    albedo=(0.2, 0.05, 0.03),
    softness=(0.1, 0.1, 0.1),
    f0=0.5,
    roughness=0.4,
    pattern="brushed",
    film_variation=0.7,
    film_colour=(1.0, 0.7, 0.3),
)

LOOKS = ["kannala-brandt", "brown-conrady", "off-centre", "omnidirectional", "round"]

CLASSES = ["label", "instance", "valid", "occluded", "specular", "back_occluded", "material"]
NUMBERS = {
    "depth_mm": 1e-4,
    "normal_camera": 1e-4,
    "flow_px": 1e-3,
    "back_flow_px": 1e-3,
    "texture_mm": 2e-4,
    "albedo": 1e-3,
    "shading": 1e-3,
}


def both(scene, camera, look) -> tuple[Rendering, Rendering]:
    fast = SurfaceRenderer(scene, camera, "cpu", OPTIONAL_LABELS).render_linear(look)
    return fast, render_basic(scene, camera, look, OPTIONAL_LABELS)


@pytest.fixture(scope="module", params=LOOKS)
def pair(request: pytest.FixtureRequest) -> tuple[Rendering, Rendering]:
    lenses = worlds.lenses(40, 30)
    camera = lenses[request.param]
    here = worlds.turned(np.array([2.0, 3.0, 8.0]), 0.1, 0.3)
    there = worlds.turned(np.array([1.0, 3.5, 12.0]), 0.15, 0.35)
    before = worlds.turned(np.array([3.0, 2.0, 5.0]), 0.05, 0.3)
    other = lenses["brown-conrady"] if request.param == "off-centre" else camera
    eye = RightEye(other, worlds.turned(np.array([5.0, 3.5, 8.5]), 0.05, 0.3))
    look = replace(worlds.view(here, there), index=2, previous_camera_from_world=before, right=eye)
    moving = request.param != "brown-conrady"
    scene = worlds.living_tube((TEXTURED, PALE, DARK)) if moving else worlds.tube(SHINING)
    return both(scene, camera, look)


def test_the_scene_shows_what_the_comparison_needs(pair):
    frame = pair[1].frame
    assert {1, 2} <= set(np.unique(frame.label)) <= {0, 1, 2, IGNORE}
    assert 300 in frame.instance or 1 in frame.instance
    assert 0.01 < frame.occluded.mean() < 0.5
    assert 0.01 < frame.back_occluded.mean() < 0.5
    assert 0.001 < frame.specular.mean() < 0.5
    assert 0.01 < frame.right.occluded.mean() < 0.8
    assert np.ptp(pair[1].radiance) > 0.1


@pytest.mark.parametrize("name", CLASSES)
def test_the_twins_agree_on_every_class(pair, name):
    fast, slow = (getattr(rendering.frame, name) for rendering in pair)
    assert fast.dtype == slow.dtype
    assert np.mean(fast != slow) <= EDGE_SHARE


def test_the_twins_agree_on_what_moves(pair):
    fast, slow = (rendering.frame.moving for rendering in pair)
    if slow is None:  # a scene without motion
        assert fast is None
    else:
        assert 0.1 < slow.mean() < 0.9
        assert np.mean(fast != slow) <= EDGE_SHARE


@pytest.mark.parametrize("name", list(NUMBERS))
def test_the_twins_agree_on_every_number(pair, name):
    fast, slow = (getattr(rendering.frame, name) for rendering in pair)
    assert fast.dtype == slow.dtype == np.float32
    assert np.mean(np.isnan(fast) != np.isnan(slow)) <= EDGE_SHARE
    error = np.abs(fast - slow)
    assert np.mean(error[np.isfinite(error)] > NUMBERS[name]) <= EDGE_SHARE


def test_the_twins_agree_on_what_the_second_eye_sees(pair):
    fast, slow = (rendering.frame.right for rendering in pair)
    assert np.mean(fast.occluded != slow.occluded) <= EDGE_SHARE
    for name, tolerance in (("depth_mm", 1e-4), ("from_left_px", 1e-3)):
        ours, theirs = getattr(fast, name), getattr(slow, name)
        assert np.mean(np.isnan(ours) != np.isnan(theirs)) <= EDGE_SHARE
        assert np.nanmean(np.abs(ours - theirs) > tolerance) <= EDGE_SHARE
    differing = np.abs(fast.image.astype(int) - slow.image).max(axis=-1) > 1
    assert np.mean(differing) <= 2 * EDGE_SHARE


def test_the_twins_agree_on_the_light(pair):
    fast, slow = (rendering.radiance for rendering in pair)
    error = np.abs(fast - slow) / (slow + 1e-3)
    assert np.mean(error.max(axis=-1) > 1e-3) <= 2 * EDGE_SHARE


@pytest.mark.parametrize("name", ["image", "clean"])
def test_the_twins_agree_on_the_picture(pair, name):
    fast, slow = (getattr(rendering.frame, name).astype(int) for rendering in pair)
    assert np.mean(np.abs(fast - slow).max(axis=-1) > 1) <= 2 * EDGE_SHARE


def test_radiance_is_albedo_times_shading_and_the_film(pair):
    for rendering in pair:
        frame = rendering.frame
        film = (rendering.radiance - frame.albedo * frame.shading)[frame.valid]
        assert film.min() > -1e-6
        shine = film @ [0.2126, 0.7152, 0.0722]
        tissue = (frame.albedo * frame.shading)[frame.valid] @ [0.2126, 0.7152, 0.0722]
        clear_cut = np.abs(shine - tissue) > 1e-5
        np.testing.assert_array_equal(
            (shine > tissue)[clear_cut], frame.specular[frame.valid][clear_cut]
        )


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
