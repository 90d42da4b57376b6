# SPDX-License-Identifier: Apache-2.0
"""How fast labelled frames are rendered, at rest and deforming, beside Open3D's ray casting.

Prints one JSON object. Four lamps with shadows and the tissue patterns are always on; `all labels`
are all that a frame of one eye can have, `base labels` those of every data set. The sensor adds a
point spread, automatic exposure and the response; no noise and no coding. Deforming scenes ask for
two new moments of the motion at the first frame and one at each further one. Open3D takes turns
with the base labels, frame by frame. Usage: render_surface.py [--frames N] [--threads N]
"""

import argparse
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the scenes that the tests use

from opponents.open3d_renderer import Open3DRenderer

from endoforge.frames.frame import Frame
from endoforge.geometry.cameras import Camera, FisheyeCamera
from endoforge.optics.light import LightSource, sample_lights
from endoforge.optics.sensor import SensorResponse
from endoforge.optics.settings import LightSettings, TissueSettings
from endoforge.optics.tissue import sample_tissue
from endoforge.render.engine import set_render_threads, start
from endoforge.render.surface import SurfaceRenderer, View
from endoforge.render.view import OPTIONAL_LABELS
from endoforge.scene.anatomy.build import build_anatomy
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.records import COLON_LABELS, Scene, Surface
from endoforge.scene.settings import TrajectorySettings
from endoforge.scene.trajectory import fly_through
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.sequence import prepare_shot, view_of
from endoforge.streams import stream
from render import worlds

SEED = 11
SIZES = ((320, 256), (640, 480))
CHOICES = {"base labels": frozenset[str](), "all labels": OPTIONAL_LABELS - {"right"}}
SENSOR = SensorResponse(metering=0.6, blur_px=0.6)

Times = list[tuple[float, float]]


def build_scene(number: int) -> Scene:
    """A drawn colon; every material is a mucosa of its own."""
    anatomy = build_anatomy(ColonSettings(), stream(SEED, "anatomy", number))
    tissues = tuple(
        sample_tissue(TissueSettings(), stream(SEED, "tissue", number, k))
        for k in range(len(anatomy.materials))
    )
    return Scene(anatomy.surface, tissues, COLON_LABELS, anatomy.centreline)


def lens(size: tuple[int, int]) -> Camera:
    """A wide fisheye."""
    return FisheyeCamera.from_field_of_view(*size, 140.0, (0.02, -0.008, 0.001, 0.0))


def lamps() -> tuple[LightSource, ...]:
    """Four lamps around the lens."""
    return sample_lights(LightSettings(sources=4), stream(SEED, "light", 0))


def views_along(poses: np.ndarray) -> list[View]:
    """Views from the second pose to the last but one."""
    lights = lamps()
    return [
        View(0, k, poses[k], poses[k + 1], lights, SENSOR, previous_camera_from_world=poses[k - 1])
        for k in range(1, len(poses) - 1)
    ]


def flight(scene: Scene, frames: int) -> list[View]:
    """A hand-like flight through a colon."""
    way, settings = scene.centreline, TrajectorySettings()
    assert way is not None
    poses = fly_through(way, settings, stream(SEED, "trajectory", 0), frames + 1)
    return views_along(np.asarray(poses))


@dataclass(frozen=True, eq=False)
class Wave:
    """Every vertex of a tube moves: rings that run along it and squeeze it."""

    surface: Surface

    @property
    def moving(self) -> np.ndarray:
        """All of them."""
        return np.ones(len(self.surface.vertices_mm), bool)

    def vertices_at(self, frame: int) -> np.ndarray:
        """Positions at a frame."""
        place = self.surface.vertices_mm.copy()
        place[:, :2] *= 1 - 0.1 * np.sin(place[:, 2:] / 12 - np.float32(0.3 * frame))
        return place


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds that some work takes, on the clock and of all threads together."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.perf_counter() - begin), 1000 * (time.process_time() - begin_cpu)


def summary(times: Times) -> dict[str, float]:
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


def times_of(render: Callable[[View], Frame], views: Sequence[View]) -> Times:
    """Times of all views but the first, which warms up."""
    render(views[0])
    return [timed(lambda view=view: render(view)) for view in views[1:]]


def at_rest(scene: Scene, views: list[View], threads: int) -> dict[str, object]:
    """Every size and choice of labels, then the base labels in turns with Open3D."""
    report: dict[str, object] = {}
    for size in SIZES:
        camera = lens(size)
        cell: dict[str, object] = {
            name: summary(times_of(SurfaceRenderer(scene, camera, "cpu", labels).render, views))
            for name, labels in CHOICES.items()
        }
        cell["taking_turns"] = compare(scene, views, camera, threads)
        report["{}x{}".format(*size)] = cell
    return report


def compare(scene: Scene, views: list[View], camera: Camera, threads: int) -> dict[str, object]:
    """The base labels by us and by Open3D, one view after the other."""
    rivals: dict[str, SurfaceRenderer | Open3DRenderer]
    rivals = {"endoforge": SurfaceRenderer(scene, camera, "cpu")}
    try:
        rivals["open3d"] = Open3DRenderer(scene, camera, threads)
    except ImportError as error:
        return {"open3d": f"not installed ({error})"}
    for rival in rivals.values():
        rival.render(views[0])
    times: dict[str, Times] = {name: [] for name in rivals}
    for view in views:
        for name, rival in rivals.items():
            times[name].append(timed(lambda rival=rival, view=view: rival.render(view)))
    theirs, ours = (np.median(times[name], axis=0) for name in ("open3d", "endoforge"))
    report: dict[str, object] = {name: summary(values) for name, values in times.items()}
    report["times_faster_than_open3d"] = round(float(theirs[0] / ours[0]), 2)
    report["times_less_cpu_than_open3d"] = round(float(theirs[1] / ours[1]), 2)
    return report


def deforming(frames: int) -> dict[str, object]:
    """A tube of 50,000 vertices that all move, and the same one at rest, all labels."""
    still = worlds.tube(rings=500, around=100)
    moving = replace(still, motion=Wave(still.surface))
    poses = [worlds.turned(np.array([1.0, 1.0, 8.0 + 0.2 * k])) for k in range(frames + 2)]
    views = views_along(np.asarray(poses))
    report: dict[str, object] = {
        "vertices": len(still.surface.vertices_mm),
        "triangles": len(still.surface.faces),
    }
    for size in SIZES:
        report["{}x{}".format(*size)] = {
            name: summary(
                times_of(
                    SurfaceRenderer(scene, lens(size), "cpu", CHOICES["all labels"]).render, views
                )
            )
            for name, scene in (("deforming", moving), ("at_rest", still))
        }
    return report


def laparoscopy(frames: int) -> dict[str, object]:
    """The recipe as it is: breathing organs, two tools, its own sensor, all labels, 452 x 256."""
    settings = load_recipe("laparoscopy", {"seed": SEED, "sequence_frames": frames})
    begin = time.perf_counter()
    shot = prepare_shot(settings, 0)
    built = time.perf_counter()
    renderer = SurfaceRenderer(shot.scene, shot.camera, "cpu", CHOICES["all labels"])
    times = times_of(renderer.render, [view_of(shot, k) for k in range(frames)])
    return {
        "triangles": len(shot.scene.surface.faces),
        "scene_s": round(built - begin, 1),
        "frame": summary(times),
    }


def new_scenes(count: int, view: View) -> dict[str, float]:
    """What a new scene costs once the kernel is there: mesh, BVH, patterns and first frame."""
    camera, times = lens(SIZES[0]), []
    for number in range(1, count + 1):
        scene = build_scene(number)
        times.append(timed(lambda scene=scene: SurfaceRenderer(scene, camera, "cpu").render(view)))
    return summary(times)


def kernels_and_memory(scene: Scene, views: list[View]) -> dict[str, object]:
    """Kernels over many poses of a scene, and how much the process grew meanwhile."""
    import drjit

    renderer = SurfaceRenderer(scene, lens(SIZES[0]), "cpu", CHOICES["all labels"])
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
        "frames": len(views),
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
    views = flight(scene, options.frames)
    report: dict[str, object] = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average_at_start": round(os.getloadavg()[0], 2),
        "triangles": len(scene.surface.faces),
        "tissues": len(scene.tissues),
    }
    for threads in dict.fromkeys((options.threads, 1)):
        set_render_threads(threads)
        report[f"threads_{threads}"] = {
            "at_rest": at_rest(scene, views, threads),
            "deforming": deforming(options.frames),
            "laparoscopy": laparoscopy(options.frames),
        }
    set_render_threads(options.threads)
    report["new_scene"] = new_scenes(6, views[0])
    report["steady_at_rest"] = kernels_and_memory(scene, flight(scene, 300))
    tube = worlds.tube()
    poses = [worlds.turned(np.array([1.0, 1.0, 8.0 + 0.2 * k])) for k in range(302)]
    report["steady_deforming"] = kernels_and_memory(
        replace(tube, motion=Wave(tube.surface)), views_along(np.asarray(poses))
    )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
