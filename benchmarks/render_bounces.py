# SPDX-License-Identifier: Apache-2.0
"""How fast light over several walls is rendered, and how good four paths per pixel are.

Prints one JSON object. First a drawn colon with all its labels and four shadowed lamps, with and
without 4 bounces at 4 paths per pixel. Then the same walls without film and pattern, as a stock
path tracer can show them too (Mitsuba's `path`, fed with the same rays, no labels): ours and the
stock one with 1, 4 and 16 paths take turns frame by frame, and each picture is compared with the
same renderer's own converged one. Usage: render_bounces.py [--frames N] [--truth N]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from endoforge.geometry.cameras import Camera, FisheyeCamera
from endoforge.optics.light import LightSource, sample_lights
from endoforge.optics.sensor import SensorResponse
from endoforge.optics.settings import LightSettings, TissueSettings
from endoforge.optics.tissue import Tissue, sample_tissue
from endoforge.render.engine import start
from endoforge.render.settings import DenoiseMethod
from endoforge.render.surface import OPTIONAL_LABELS, SurfaceRenderer, View
from endoforge.render.transport import Transport
from endoforge.scene.anatomy.build import build_anatomy
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.records import COLON_LABELS, Scene
from endoforge.scene.settings import TrajectorySettings
from endoforge.scene.trajectory import fly_through
from endoforge.streams import stream

SEED, BOUNCES, PATHS = 11, 4, 4
SIZES = ((320, 256), (640, 480))
STOCK_PATHS = (1, 4, 16)
LABELS = OPTIONAL_LABELS - {"right", "moving"}


def build_scene() -> Scene:
    """A drawn colon; every material is a mucosa of its own."""
    anatomy = build_anatomy(ColonSettings(), stream(SEED, "anatomy", 0))
    tissues = tuple(
        sample_tissue(TissueSettings(), stream(SEED, "tissue", k))
        for k in range(len(anatomy.materials))
    )
    return Scene(
        anatomy.surface,
        tissues,
        COLON_LABELS,
        anatomy.centreline,
        materials=anatomy.materials,
    )


def matte(scene: Scene) -> Scene:
    """The same walls by Lambert's law alone, in one even colour."""
    tissue = Tissue(
        coarse_vessels=0.0,
        fine_vessels=0.0,
        mottling=0.0,
        relief=0.0,
        f0=0.0,
        softness=(0.0, 0.0, 0.0),
        edge_glow=0.0,
    )
    surface = replace(scene.surface, face_material=None, stain=None)
    return replace(scene, tissues=(tissue,), surface=surface, materials=("mucosa",))


def build_views(scene: Scene, lights: tuple[LightSource, ...], frames: int) -> list[View]:
    """A hand-like flight through the scene."""
    settings = TrajectorySettings()
    poses = fly_through(scene.centreline, settings, stream(SEED, "trajectory", 0), frames)
    sensor = SensorResponse(metering=0.5)
    return [
        View(0, k, poses[k], poses[k + 1], lights, sensor, poses[max(k - 1, 0)])
        for k in range(frames)
    ]


def lens(width: int, height: int) -> Camera:
    return FisheyeCamera.from_field_of_view(width, height, 140.0, (0.02, -0.008, 0.001, 0.0))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds that some work takes, on the clock and of all threads together."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.perf_counter() - begin), 1000 * (time.process_time() - begin_cpu)


def summary(times: list[tuple[float, float]]) -> dict[str, float]:
    """Median and smallest on the clock, and the median of all threads, ms."""
    clock, threads = np.array(times).T
    return {
        "median_ms": round(float(np.median(clock)), 1),
        "min_ms": round(float(clock.min()), 1),
        "median_cpu_ms": round(float(np.median(threads)), 1),
    }


def denoisers() -> list[DenoiseMethod]:
    """Those that this machine has."""
    try:
        import mitsuba_oidn  # noqa: F401
    except ImportError:
        return ["off", "guided"]
    return ["off", "guided", "oidn"]


def whole_frames(scene: Scene, frames: int, size: tuple[int, int]) -> dict[str, object]:
    """All labels and the sensor, taking turns: lamps alone, then bounces and each denoiser."""
    lights = sample_lights(LightSettings(sources=4), stream(SEED, "light", 0))
    views = build_views(scene, lights, frames)
    renderer = SurfaceRenderer(scene, lens(*size), "cpu", LABELS)
    rivals: dict[str, Transport | None] = {"lamps_alone": None}
    rivals |= {f"bounces_{d}": Transport(BOUNCES, PATHS, d) for d in denoisers()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
    for transport in rivals.values():
        renderer.render(views[0], transport)
    for view in views:
        for name, transport in rivals.items():
            times[name].append(timed(lambda v=view, t=transport: renderer.render(v, t)))
    return {name: summary(values) for name, values in times.items()}


class StockTracer:
    """The opponent: Mitsuba's `path` on a diffuse mesh, four point lamps, our rays, no labels."""

    def __init__(self, scene: Scene, camera: Camera, view: View) -> None:
        import mitsuba as mi

        self._mi, self._camera = mi, camera
        properties = mi.Properties()
        colour = {"type": "mesh_attribute", "name": "vertex_color"}
        properties["bsdf"] = mi.load_dict(
            {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": colour}}
        )
        surface = scene.surface
        count = len(surface.vertices_mm)
        mesh = mi.Mesh("wall", count, len(surface.faces), has_vertex_normals=True, props=properties)
        tints = np.clip(surface.tint * np.asarray(scene.tissues[0].albedo), 0, 0.98)
        mesh.add_attribute("vertex_color", 3, tints.astype(np.float32).ravel())
        values = mi.traverse(mesh)
        values["vertex_positions"] = mi.Float(surface.vertices_mm.ravel())
        values["vertex_normals"] = mi.Float(surface.normals.ravel())
        values["faces"] = mi.UInt32(surface.faces.ravel().astype(np.uint32))
        values.update()
        lamps = {f"lamp{k}": self._lamp(light) for k, light in enumerate(view.lights)}
        self._scene = mi.load_dict({"type": "scene", "wall": mesh, **lamps})
        self._values = mi.traverse(self._scene)
        self._tracer = mi.load_dict({"type": "path", "max_depth": BOUNCES + 2})
        self._rays = np.nan_to_num(camera.rays().reshape(-1, 3))
        self._known = camera.valid()[..., None]

    def _lamp(self, light: LightSource) -> dict[str, object]:
        power = [light.intensity * c for c in light.colour]
        return {
            "type": "point",
            "position": [0.0, 0.0, 0.0],
            "intensity": {"type": "rgb", "value": power},
        }

    def radiance(self, view: View, paths: int, seed: int) -> np.ndarray:
        """Mean radiance of every pixel."""
        import drjit as dr

        mi = self._mi
        turn = view.camera_from_world[:3, :3].T
        eye = -turn @ view.camera_from_world[:3, 3]
        for k, light in enumerate(view.lights):
            self._values[f"lamp{k}.position"] = mi.Point3f(
                *map(float, eye + turn @ light.position_mm)
            )
        self._values.update()
        index = dr.arange(mi.UInt32, len(self._rays) * paths) // dr.opaque(mi.UInt32, paths)
        toward = mi.Float(np.ascontiguousarray((self._rays @ turn.T).astype(np.float32)).ravel())
        direction = dr.gather(mi.Vector3f, toward, index)
        origin = mi.Point3f(*(dr.opaque(mi.Float, float(c)) for c in eye))
        sampler = mi.load_dict({"type": "independent"})
        sampler.seed(seed, len(self._rays) * paths)
        ray = mi.RayDifferential3f(mi.Ray3f(origin, direction))
        light, _, _ = self._tracer.sample(self._scene, sampler, ray)
        dr.eval(light)
        total = mi.Color3f(*(dr.block_sum(channel, paths) / paths for channel in light))
        picture = np.array(total).T.reshape(self._camera.height, self._camera.width, 3)
        return np.where(self._known, picture, 0).astype(np.float32)


def smoothed(picture: np.ndarray) -> np.ndarray:
    """What a user of the stock tracer would do next, where Open Image Denoise is at hand."""
    try:
        from mitsuba_oidn import denoise
    except ImportError:
        return picture
    return np.array(denoise(np.ascontiguousarray(picture), hdr=True))


def decibels(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal to noise as it is shown: exposed to the truth's 99th percentile, gamma 2.2."""
    scale = 1 / np.percentile(truth, 99)
    shown, wanted = (np.clip(p * scale, 0, 1) ** (1 / 2.2) for p in (picture, truth))
    return float(-10 * np.log10(np.mean((shown - wanted) ** 2)))


def against_stock(scene: Scene, frames: int, truth_paths: int) -> dict[str, object]:
    """Times taking turns, and the quality of one frame."""
    drawn = sample_lights(LightSettings(sources=4), stream(SEED, "light", 0))
    lights = tuple(replace(light, mu=0.0) for light in drawn)
    views = build_views(scene, lights, frames)
    camera = lens(*SIZES[0])
    renderer = SurfaceRenderer(scene, camera, "cpu")
    stock = StockTracer(scene, camera, views[0])

    def ours(view: View, transport: Transport) -> np.ndarray:
        return renderer.render_linear(view, transport).radiance

    rivals: dict[str, Callable[[View], np.ndarray]] = {
        f"ours_{PATHS}_{d}": lambda v, d=d: ours(v, Transport(BOUNCES, PATHS, d))
        for d in denoisers()
    }
    rivals |= {f"stock_{n}": lambda v, n=n: stock.radiance(v, n, v.index + 1) for n in STOCK_PATHS}
    rivals |= {
        f"stock_{n}_smoothed": lambda v, n=n: smoothed(stock.radiance(v, n, v.index + 1))
        for n in STOCK_PATHS
    }
    truths = {
        "ours": smoothed(ours(views[1], Transport(BOUNCES, truth_paths, "off"))),
        "stock": smoothed(
            np.mean([stock.radiance(views[1], 32, 99 + k) for k in range(truth_paths // 32)], 0)
        ),
    }
    quality = {
        name: round(decibels(draw(views[1]), truths[name.split("_")[0]]), 2)
        for name, draw in rivals.items()
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
    for view in views:
        for name, draw in rivals.items():
            times[name].append(timed(lambda v=view, d=draw: d(v)))
    report: dict[str, object] = {
        name: {**summary(times[name]), "decibels": quality[name]} for name in rivals
    }
    report["mean_radiance_ours_over_stock"] = round(
        float(truths["ours"].mean() / truths["stock"].mean()), 4
    )
    return report | ratios(times, quality)


def ratios(
    times: dict[str, list[tuple[float, float]]], quality: dict[str, float]
) -> dict[str, object]:
    """How many times faster ours is, at the same number of paths and at the same quality."""
    mine = f"ours_{PATHS}_guided"
    clock = {name: float(np.median(np.array(values)[:, 0])) for name, values in times.items()}
    report: dict[str, object] = {
        "times_faster_at_the_same_paths": round(clock[f"stock_{PATHS}"] / clock[mine], 2)
    }
    good = [name for name in clock if name[:5] == "stock" and quality[name] >= quality[mine]]
    if good:
        best = min(good, key=lambda name: clock[name])
        report["cheapest_stock_of_the_same_quality"] = best
        report["times_faster_at_the_same_quality"] = round(clock[best] / clock[mine], 2)
    else:
        best = max((name for name in clock if name[:5] == "stock"), key=lambda name: quality[name])
        report["best_stock_still_worse"] = best
        report["times_faster_than_the_best_stock"] = round(clock[best] / clock[mine], 2)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--truth", type=int, default=256, help="paths of the converged pictures")
    options = parser.parse_args()
    start("cpu")
    scene = build_scene()
    report: dict[str, object] = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average_at_start": round(os.getloadavg()[0], 2),
        "triangles": len(scene.surface.faces),
        "bounces": BOUNCES,
        "paths": PATHS,
        "lamps": 4,
    }
    for width, height in SIZES:
        frames = whole_frames(scene, options.frames, (width, height))
        report[f"all_labels_{width}x{height}"] = frames
    report["against_stock_320x256"] = against_stock(matte(scene), options.frames, options.truth)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
