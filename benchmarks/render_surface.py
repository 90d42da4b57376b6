# SPDX-License-Identifier: Apache-2.0
"""How fast labelled frames are rendered, beside Open3D's ray casting with NumPy shading.

Prints one JSON object. Every frame has all labels, three shadowed lights and the tissue pattern;
Open3D's frames have no pattern and plain Lambert shading, so the comparison favours it. The two
take turns frame by frame. Usage: render_surface.py [--frames N] [--threads N]
"""

import argparse
import gc
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from endoforge.frames.frame import Frame
from endoforge.geometry.cameras import Camera, FisheyeCamera, pixel_centres
from endoforge.optics.light import sample_lights
from endoforge.optics.sensor import SensorResponse, develop, sample_sensor
from endoforge.optics.settings import LightSettings, SensorSettings, TissueSettings
from endoforge.optics.texture import tissue_texture
from endoforge.optics.tissue import sample_tissue
from endoforge.render.engine import set_render_threads, start
from endoforge.render.surface import SurfaceRenderer, View
from endoforge.scene.anatomy.colon import colon
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.records import COLON_LABELS, Scene
from endoforge.scene.settings import TrajectorySettings
from endoforge.scene.trajectory import fly_through
from endoforge.streams import stream

SEED = 11
SIZES = ((320, 240), (640, 480))


def build_scene(number: int) -> Scene:
    """A drawn colon with drawn tissue."""
    surface, centreline = colon(ColonSettings(), stream(SEED, "anatomy", number))
    tissue = sample_tissue(TissueSettings(), stream(SEED, "tissue", number))
    return Scene(surface, (tissue,), COLON_LABELS, centreline)


def build_views(scene: Scene, frames: int) -> list[View]:
    """A hand-like flight through the scene."""
    poses = fly_through(
        scene.centreline, TrajectorySettings(), stream(SEED, "trajectory", 0), frames
    )
    lights = sample_lights(LightSettings(sources=3), stream(SEED, "light", 0))
    sensor = sample_sensor(SensorSettings(), stream(SEED, "sensor", 0))
    return [View(0, k, poses[k], poses[k + 1], lights, sensor) for k in range(frames)]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds that some work takes, on the clock and of all threads together."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.perf_counter() - begin), 1000 * (time.process_time() - begin_cpu)


def summary(times: list[tuple[float, float]]) -> dict[str, float]:
    """Median, tenth percentile and smallest on the clock, and the median of all threads, ms.

    The last one hardly depends on what else the machine does.
    """
    clock, threads = np.array(times).T
    return {
        "median_ms": round(float(np.median(clock)), 2),
        "p10_ms": round(float(np.percentile(clock, 10)), 2),
        "min_ms": round(float(clock.min()), 2),
        "median_cpu_ms": round(float(np.median(threads)), 2),
    }


class Open3DRenderer:
    """The opponent: Open3D casts the rays, NumPy shades and labels."""

    def __init__(self, scene: Scene, camera: Camera, threads: int) -> None:
        import open3d

        self._threads = threads

        self._core, geometry = open3d.core, open3d.t.geometry
        self.camera, self.surface = camera, scene.surface
        self.albedo = np.asarray(scene.tissues[0].albedo, np.float32)
        self._scene = geometry.RaycastingScene()
        self._scene.add_triangles(
            self._core.Tensor(scene.surface.vertices_mm),
            self._core.Tensor(scene.surface.faces.astype(np.uint32)),
        )
        self._rays = camera.rays().reshape(-1, 3).astype(np.float32)
        self._centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)

    def _blocked(self, starts: np.ndarray, end: np.ndarray) -> np.ndarray:
        away = end.astype(np.float32) - starts
        rays = self._core.Tensor(np.concatenate([starts, away], axis=1))
        return self._scene.test_occlusions(rays, tfar=1.0 - 1e-4, nthreads=self._threads).numpy()

    def render(self, view: View) -> Frame:
        """Render a frame with every label."""
        world_from_camera = np.linalg.inv(view.camera_from_world)
        turn, eye = world_from_camera[:3, :3].astype(np.float32), world_from_camera[:3, 3]
        directions = self._rays @ turn.T
        origins = np.broadcast_to(eye.astype(np.float32), directions.shape)
        rays = np.concatenate([origins, directions], axis=1)
        hit = self._scene.cast_rays(self._core.Tensor(rays), nthreads=self._threads)
        distance = hit["t_hit"].numpy()
        found = np.isfinite(distance)
        face = np.where(found, hit["primitive_ids"].numpy(), 0)
        place = hit["primitive_uvs"].numpy()
        weights = np.column_stack([1 - place.sum(axis=1), place])
        corners = self.surface.faces[face]
        normal = np.einsum("nk,nkc->nc", weights, self.surface.normals[corners])
        normal /= np.sqrt(np.einsum("nc,nc->n", normal, normal))[:, None]
        albedo = self.albedo * np.einsum("nk,nkc->nc", weights, self.surface.tint[corners])
        points = origins + np.where(found, distance, 1)[:, None] * directions
        radiance = self._shade(view, points, normal, albedo, world_from_camera) * found[:, None]
        return self._frame(view, points, normal @ turn, face, found, distance, radiance)

    def _shade(
        self,
        view: View,
        points: np.ndarray,
        normal: np.ndarray,
        albedo: np.ndarray,
        world_from_camera: np.ndarray,
    ) -> np.ndarray:
        total = np.zeros_like(points)
        starts = points + 0.3 * normal
        for light in view.lights:
            lamp = (world_from_camera @ (*light.position_mm, 1.0))[:3].astype(np.float32)
            axis = (world_from_camera[:3, :3] @ light.axis).astype(np.float32)
            away = lamp - points
            squared = np.einsum("nc,nc->n", away, away)
            toward = away / np.sqrt(squared)[:, None]
            facing = np.maximum(np.einsum("nc,nc->n", normal, toward), 0)
            beam = light.intensity * np.exp(-light.mu * (1 + toward @ axis)) / squared
            lit = ~self._blocked(starts, lamp)
            total += (beam * facing * lit)[:, None] * np.asarray(light.colour, np.float32)
        return (total * albedo / np.pi).astype(np.float32)

    def _frame(
        self,
        view: View,
        points: np.ndarray,
        normal: np.ndarray,
        face: np.ndarray,
        found: np.ndarray,
        distance: np.ndarray,
        radiance: np.ndarray,
    ) -> Frame:
        shape = (self.camera.height, self.camera.width)
        matrix = view.next_camera_from_world.astype(np.float32)
        pixels = self.camera.project(points @ matrix[:3, :3].T + matrix[:3, 3])
        eye = np.linalg.inv(matrix)[:3, 3]
        inside = np.all((pixels >= 0) & (pixels <= [self.camera.width, self.camera.height]), axis=1)
        facing = (eye.astype(np.float32) - points) * 1e-3
        seen = inside & ~self._blocked(points + facing, eye)
        return Frame(
            sequence=view.sequence,
            index=view.index,
            image=develop(radiance.reshape(*shape, 3), SensorResponse(metering=0.5, blur_px=0.6)),
            camera=self.camera,
            camera_from_world=view.camera_from_world,
            next_camera_from_world=view.next_camera_from_world,
            depth_mm=np.where(found, distance * self._rays[:, 2], np.nan).reshape(shape),
            valid=found.reshape(shape),
            normal_camera=normal.astype(np.float32).reshape(*shape, 3),
            label=np.where(found, self.surface.face_label[face], 0).reshape(shape),
            instance=np.where(found, self.surface.face_instance[face], 0).reshape(shape),
            flow_px=(pixels - self._centres).astype(np.float32).reshape(*shape, 2),
            occluded=(found & ~seen).reshape(shape),
        )


def compare(
    scene: Scene, views: list[View], size: tuple[int, int], threads: int
) -> dict[str, object]:
    """Render every view alone, then with both, one after the other."""
    camera = FisheyeCamera.from_field_of_view(*size, 140.0, (0.02, -0.008, 0.001, 0.0))
    rivals: dict[str, SurfaceRenderer | Open3DRenderer] = {
        "endoforge": SurfaceRenderer(scene, camera, "cpu")
    }
    try:
        rivals["open3d"] = Open3DRenderer(scene, camera, threads)
    except ImportError as error:
        missing = f"not installed ({error})"
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
    for rival in rivals.values():
        rival.render(views[0])
    alone = [timed(lambda view=view: rivals["endoforge"].render(view)) for view in views]
    for view in views:
        for name, rival in rivals.items():
            times[name].append(timed(lambda rival=rival, view=view: rival.render(view)))
    report: dict[str, object] = {"endoforge_alone": summary(alone)}
    report |= {f"{name}_taking_turns": summary(values) for name, values in times.items()}
    if "open3d" in times:
        theirs, ours = (np.median(times[name], axis=0) for name in ("open3d", "endoforge"))
        report["times_faster_than_open3d"] = round(float(theirs[0] / ours[0]), 2)
        report["times_less_cpu_than_open3d"] = round(float(theirs[1] / ours[1]), 2)
    else:
        report["open3d"] = missing
    return report


def new_scenes(count: int, view: View) -> dict[str, object]:
    """What a new scene costs once the kernel is there: mesh, BVH, upload and first frame."""
    camera = FisheyeCamera.from_field_of_view(320, 240, 140.0)
    times, patterns = [], []
    for number in range(1, count + 1):
        scene = build_scene(number)
        patterns.append(timed(lambda scene=scene: tissue_texture(scene.tissues[0].texture_seed)))
        times.append(timed(lambda scene=scene: SurfaceRenderer(scene, camera, "cpu").render(view)))
    return {
        "renderer_and_first_frame": summary(times),
        "vessel_pattern_when_not_remembered_ms": round(max(patterns)[0], 1),
    }


def kernels_and_memory(scene: Scene, frames: int) -> dict[str, object]:
    """Kernels over many poses, and how much the process grew meanwhile."""
    import drjit

    camera = FisheyeCamera.from_field_of_view(320, 240, 140.0)
    renderer = SurfaceRenderer(scene, camera, "cpu")
    views = build_views(scene, frames)
    for view in views[:20]:
        renderer.render(view)
    gc.collect()
    before = resident_mb()
    for view in views:
        renderer.render(view)
    gc.collect()
    after = resident_mb()
    drjit.set_flag(drjit.JitFlag.KernelHistory, True)  # the history itself takes memory
    drjit.kernel_history_clear()
    for view in views:
        renderer.render(view)
    launches = drjit.kernel_history([drjit.KernelType.JIT])
    drjit.set_flag(drjit.JitFlag.KernelHistory, False)
    return {
        "frames": frames,
        "different_kernels": len({str(launch["hash"]) for launch in launches}),
        "compiled": sum(not launch["cache_hit"] for launch in launches),
        "resident_mb_before": before,
        "resident_mb_after": after,
    }


def resident_mb() -> float:
    """Memory of this process, MB."""
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    start("cpu")
    scene = build_scene(0)
    views = build_views(scene, options.frames)
    report: dict[str, object] = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average_at_start": round(os.getloadavg()[0], 2),
        "triangles": len(scene.surface.faces),
    }
    for threads in (options.threads, 1):
        set_render_threads(threads)
        report[f"threads_{threads}"] = {
            f"{width}x{height}": compare(scene, views, (width, height), threads)
            for width, height in SIZES
        }
    set_render_threads(options.threads)
    report["new_scene"] = new_scenes(6, views[0])
    report["steady"] = kernels_and_memory(scene, 300)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
