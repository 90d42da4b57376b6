# SPDX-License-Identifier: Apache-2.0
"""The renderer's light obeys the laws it claims: inverse square, beam, Lambert, shadows."""

import dataclasses

import numpy as np
import pytest

from endoforge.optics.light import LightSource
from endoforge.render.surface import SurfaceRenderer
from endoforge.scene.records import Scene
from render import worlds

CAMERA = worlds.lenses(64, 48)["pinhole"]
BULB = LightSource(intensity=100.0, mu=0.0)


def radiance(scene: Scene, *lights: LightSource) -> np.ndarray:
    renderer = SurfaceRenderer(scene, CAMERA, "cpu")
    return renderer.render_linear(worlds.view(lights=lights)).radiance.astype(np.float64)


def on_plane(distance_mm: float) -> np.ndarray:
    """Points of a plane square to the axis, camera frame."""
    return CAMERA.rays() / CAMERA.rays()[..., 2:] * distance_mm


def test_light_falls_with_the_square_of_distance():
    near, far = (radiance(worlds.plane(d), BULB)[24, 32, 0] for d in (20.0, 40.0))
    assert near / far == pytest.approx(4.0, rel=1e-5)


def test_a_plane_shows_lambert_times_the_beam():
    light = LightSource(position_mm=(3.0, -1.0, 0.0), axis=(0.0, 0.6, 0.8), mu=2.5, intensity=80.0)
    away = on_plane(30.0) - np.array(light.position_mm)
    squared = np.sum(away**2, axis=-1)
    beam = away @ np.array(light.axis) / np.sqrt(squared)
    lambert = away[..., 2] / np.sqrt(squared)
    expected = 0.5 / np.pi * 80.0 * np.exp(-2.5 * (1 - beam)) * lambert / squared
    np.testing.assert_allclose(radiance(worlds.plane(30.0), light)[..., 1], expected, rtol=2e-5)


def test_two_lights_add_up():
    scene = worlds.tube()
    one, two = worlds.THREE_LIGHTS[:2]
    both = radiance(scene, one, two)
    np.testing.assert_allclose(
        both, radiance(scene, one) + radiance(scene, two), rtol=1e-4, atol=1e-6
    )


def test_colour_of_the_lamp_scales_each_channel():
    lamp = dataclasses.replace(BULB, colour=(1.5, 1.0, 0.5))
    picture = radiance(worlds.plane(30.0), lamp)
    np.testing.assert_allclose(picture[..., 0], 3 * picture[..., 2], rtol=1e-5)


def test_an_obstacle_throws_the_shadow_that_geometry_says():
    wall = worlds.plane(60.0)
    blade = np.array([[-5.0, -40, 30], [-5, 40, 30], [-200, 40, 30], [-200, -40, 30]])
    scene = worlds.scene_of(
        np.concatenate([wall.surface.vertices_mm, blade]),
        np.concatenate([wall.surface.faces, [[4, 5, 6], [4, 6, 7]]]),
        np.concatenate([wall.surface.normals, np.tile([0.0, 0, -1], (4, 1))]),
    )
    light = dataclasses.replace(BULB, position_mm=(-20.0, 0.0, 0.0))
    picture = radiance(scene, light)[24, :, 0]
    x = on_plane(60.0)[24, :, 0]
    # from x = -20 the edge at (-5, 30) hides the wall left of x = 10; the camera sees it from -10
    open_wall, hidden = x > 10.5, (x > -9.5) & (x < 9.5)
    assert open_wall.any()
    assert hidden.any()
    assert picture[hidden].max() == 0
    assert picture[open_wall].min() > 0


def test_once_reflected_light_is_redder_than_the_lamp():
    tissue = dataclasses.replace(worlds.CHALK, albedo=(0.6, 0.3, 0.2), interreflection=0.5)
    plain = radiance(worlds.plane(40.0, tissue=worlds.CHALK), BULB)[24, 32]
    lit = radiance(worlds.plane(40.0, tissue=tissue), BULB)[24, 32]
    direct = plain / 0.5 * np.array(tissue.albedo)
    extra = (lit - direct) / direct
    assert extra[0] / extra[2] == pytest.approx(3.0, rel=1e-3)
