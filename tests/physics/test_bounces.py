# SPDX-License-Identifier: Apache-2.0
"""Light over several walls against closed forms, against itself and against a stock path tracer."""

from dataclasses import replace

import drjit as dr
import mitsuba as mi
import numpy as np
import pytest

from endoforge.optics.light import LightSource
from endoforge.render.engine import start
from endoforge.render.surface import SurfaceRenderer
from endoforge.render.transport import Transport
from endoforge.render.view import View
from endoforge.scene.records import Scene, Surface
from render import worlds

CAMERA = worlds.lenses(48, 36)["kannala-brandt"]
RADIUS = 50.0


def seen(renderer: SurfaceRenderer, view: View, bounces: int, samples: int) -> np.ndarray:
    """Radiance with light over several walls, unsmoothed."""
    transport = Transport(bounces=bounces, samples=samples, denoise="off")
    return renderer.render_linear(view, transport).radiance.astype(np.float64)


def indirect(scene: Scene, view: View, bounces: int, samples: int) -> np.ndarray:
    """What the other walls add, where the lens sees something."""
    renderer = SurfaceRenderer(scene, CAMERA, "cpu")
    alone = renderer.render_linear(view).radiance
    return (seen(renderer, view, bounces, samples) - alone)[CAMERA.valid()]


def painted(scene: Scene, albedo: tuple[float, float, float]) -> Scene:
    return replace(scene, tissues=(replace(worlds.CHALK, albedo=albedo),))


def flux(light: LightSource) -> float:
    """All light that leaves a lamp: its intensity integrated over the sphere."""
    if light.mu == 0:
        return 4 * np.pi * light.intensity
    return 2 * np.pi * light.intensity * (1 - np.exp(-2 * light.mu)) / light.mu


@pytest.fixture(scope="module")
def ball() -> Scene:
    return worlds.sphere(RADIUS, level=5)


@pytest.mark.parametrize("bounces", [1, 2, 4, 40])
@pytest.mark.parametrize("mu", [0.0, 1.5])
def test_an_integrating_sphere_adds_the_geometric_series(ball, bounces, mu):
    # every wall of a sphere sees every other alike, so each round of light is the same everywhere:
    # flux / area * (rho + rho^2 + ... + rho^bounces), wherever the lamp is
    lamp = LightSource(position_mm=(12.0, -9.0, 5.0), mu=mu, intensity=500.0)
    albedo = np.array([0.8, 0.5, 0.2])
    extra = indirect(painted(ball, tuple(albedo)), worlds.view(lights=(lamp,)), bounces, 200)
    series = sum(albedo**k for k in range(1, bounces + 1))
    expected = albedo / np.pi * series * flux(lamp) / (4 * np.pi * RADIUS**2)
    error = extra.std(axis=0) / np.sqrt(len(extra))
    assert np.all(error < 0.01 * expected)
    assert np.all(np.abs(extra.mean(axis=0) - expected) < 4 * error + 0.002 * expected)


def test_a_white_enclosure_stays_white_and_ever_more_walls_converge(ball):
    lamp = LightSource(mu=0.0, intensity=500.0)  # at the centre: direct light is even, too
    view = worlds.view(lights=(lamp,))
    renderer = SurfaceRenderer(painted(ball, (0.6, 0.6, 0.6)), CAMERA, "cpu")
    alone = renderer.render_linear(view).radiance[CAMERA.valid()].mean()
    totals = [seen(renderer, view, k, 64)[CAMERA.valid()].mean() for k in (1, 2, 4, 8, 32)]
    assert np.all(np.diff(totals) > 0)
    assert totals[-1] == pytest.approx(
        alone / (1 - 0.6), rel=0.01
    )  # the radiosity of a closed wall
    assert totals[0] == pytest.approx(1.6 * alone, rel=0.01)


def test_no_light_is_made(ball):
    # at steady state the walls swallow what the lamp gives: (1 - rho) * irradiance * area = flux
    rho = 0.9
    lamp = LightSource(position_mm=(0.0, 20.0, 0.0), mu=0.0, intensity=100.0)
    view = worlds.view(lights=(lamp,))
    scene = painted(ball, (rho, rho, rho))
    later = indirect(scene, view, 32, 16).mean() * np.pi / rho
    swallowed = (1 - rho) * later + flux(lamp) * (1 - rho) / (4 * np.pi * RADIUS**2)
    assert swallowed <= flux(lamp) / (4 * np.pi * RADIUS**2) * 1.01
    assert swallowed == pytest.approx(
        flux(lamp) / (4 * np.pi * RADIUS**2) * (1 - rho**33), rel=0.015
    )


def faceted(scene: Scene) -> Scene:
    """The same shape with three vertices of its own for each face, and flat normals."""
    old = scene.surface
    corners = old.vertices_mm[old.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    surface = Surface(
        vertices_mm=corners.reshape(-1, 3),
        faces=np.arange(3 * len(old.faces), dtype=np.int32).reshape(-1, 3),
        normals=np.repeat(normals, 3, axis=0).astype(np.float32),
        tint=np.repeat(old.tint[old.faces].mean(axis=1), 3, axis=0),
        face_label=old.face_label,
        face_instance=old.face_instance,
    )
    return replace(scene, surface=surface)


class StockTracer:
    """Mitsuba's own path tracer on a diffuse scene with one lamp, fed with our rays."""

    def __init__(self, scene: Scene, albedo: np.ndarray, lamp: LightSource) -> None:
        start("cpu")
        properties = mi.Properties()
        colour = {"type": "mesh_attribute", "name": "vertex_color"}
        properties["bsdf"] = mi.load_dict(
            {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": colour}}
        )
        surface = scene.surface
        mesh = mi.Mesh("wall", len(surface.vertices_mm), len(surface.faces), props=properties)
        tints = (surface.tint * albedo).astype(np.float32)
        mesh.add_attribute("vertex_color", 3, tints.ravel())
        values = mi.traverse(mesh)
        values["vertex_positions"] = mi.Float(surface.vertices_mm.ravel())
        values["faces"] = mi.UInt32(surface.faces.ravel().astype(np.uint32))
        values.update()
        power = {"type": "rgb", "value": [lamp.intensity * c for c in lamp.colour]}
        light = {"type": "point", "position": list(lamp.position_mm), "intensity": power}
        self.scene = mi.load_dict({"type": "scene", "wall": mesh, "lamp": light})

    def radiance(self, rays: np.ndarray, bounces: int, samples: int, seed: int) -> np.ndarray:
        """Mean radiance along rays from the origin; -1 bounces leave nothing but the lamp's own."""
        tracer = mi.load_dict({"type": "path", "max_depth": bounces + 2, "rr_depth": 99})
        count = len(rays) * samples
        sampler = mi.load_dict({"type": "independent"})
        sampler.seed(seed, count)
        many = np.repeat(rays, samples, axis=0).astype(np.float32)
        direction = mi.Vector3f(*(mi.Float(np.ascontiguousarray(c)) for c in many.T))
        ray = mi.RayDifferential3f(mi.Ray3f(mi.Point3f(0), direction))
        light, _, _ = tracer.sample(self.scene, sampler, ray)
        dr.eval(light)
        return np.array(light).T.reshape(len(rays), samples, 3).mean(axis=1)


def test_the_stock_path_tracer_sees_the_same():
    bounces, samples, seeds = 3, 48, 12
    albedo = np.array([0.7, 0.5, 0.3])
    lamp = LightSource(position_mm=(3.0, -2.0, 1.0), mu=0.0, intensity=300.0, colour=(1.2, 1, 0.8))
    scene = faceted(painted(worlds.tube(), tuple(albedo)))
    renderer = SurfaceRenderer(scene, CAMERA, "cpu")
    known = CAMERA.valid()
    view = worlds.view(lights=(lamp,))
    ours = np.stack([seen(renderer, replace(view, seed=s), bounces, samples) for s in range(seeds)])
    ours = ours[:, known] - renderer.render_linear(view).radiance[known]
    stock = StockTracer(scene, albedo, lamp)
    rays = CAMERA.rays()[known]
    theirs = np.stack([stock.radiance(rays, bounces, samples, s) for s in range(1, seeds + 1)])
    theirs -= stock.radiance(rays, 0, 1, 0)
    gap = ours.mean(axis=0) - theirs.mean(axis=0)
    error = np.sqrt((ours.var(axis=0, ddof=1) + theirs.var(axis=0, ddof=1)) / seeds)
    z = gap / np.maximum(error, 1e-9)
    assert abs(ours.mean() / theirs.mean() - 1) < 0.01
    assert np.mean(np.abs(z) > 3) < 0.02  # Student's t with 22 degrees of freedom: 0.7 %
    assert abs(z.mean()) < 0.25
    assert z.std() < 1.3


def test_few_paths_are_right_on_average_whatever_the_roulette_does():
    scene = worlds.tube(replace(worlds.CHALK, albedo=(0.8, 0.4, 0.2)))
    renderer = SurfaceRenderer(scene, CAMERA, "cpu")
    view = worlds.view()
    few = np.stack([seen(renderer, replace(view, seed=s), 4, 1) for s in range(100)])
    many = seen(renderer, replace(view, seed=1000), 4, 2000)
    known = CAMERA.valid() & (many.sum(axis=-1) > 0)
    few, many = few[:, known], many[known]
    error = few.std(axis=0, ddof=1) / np.sqrt(len(few))
    z = (few.mean(axis=0) - many) / np.maximum(error, 1e-9)
    assert few.mean() == pytest.approx(many.mean(), rel=0.01)
    assert abs(z.mean()) < 0.2
    assert np.mean(np.abs(z) > 4) < 0.02  # skewed by rare bright paths, hence not 0.01 %


def test_lamps_add_up_over_walls_too():
    scene = worlds.tube()
    lights = worlds.THREE_LIGHTS
    together = indirect(scene, worlds.view(lights=lights), 2, 400).mean(axis=0)
    alone = [indirect(scene, worlds.view(lights=(light,)), 2, 400).mean(axis=0) for light in lights]
    assert together == pytest.approx(sum(alone), rel=0.02)


def test_light_reaches_what_no_lamp_can_see():
    # a blade between the lamp and half of a room: behind it direct light is 0, indirect is not
    room = worlds.sphere(60.0, level=4)
    blade = np.array([[-5.0, -20, 20], [-5, 20, 20], [-45, 20, 20], [-45, -20, 20]])
    surface = room.surface
    scene = worlds.scene_of(
        np.concatenate([surface.vertices_mm, blade]),
        np.concatenate(
            [surface.faces, len(surface.vertices_mm) + np.array([[0, 1, 2], [0, 2, 3]])]
        ),
        np.concatenate([surface.normals, np.tile([0.0, 0, -1], (4, 1))]),
    )
    lamp = LightSource(position_mm=(-20.0, 0.0, 0.0), mu=0.0, intensity=300.0)
    renderer = SurfaceRenderer(scene, CAMERA, "cpu")
    view = worlds.view(lights=(lamp,))
    alone = renderer.render_linear(view).radiance[..., 0]
    dark = CAMERA.valid() & (alone == 0)
    assert dark.sum() > 20
    assert seen(renderer, view, 2, 64)[..., 0][dark].min() > 0
