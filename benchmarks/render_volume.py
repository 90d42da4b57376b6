# SPDX-License-Identifier: Apache-2.0
"""How fast cinematic pictures of a CT are traced, against Mitsuba's own, and what they cost.

Prints one JSON object with the parts asked for. `frames`: a drawn CT of 192 voxels a side at
256x256, 16 samples, at most 16 bounces, from outside (a lamp and even surroundings) and within its
colon (a lamp beside the lens). `memory`: resident size over 300 small frames. `stock`: the same CT
as a cloud without surfaces, ours and Mitsuba's `volpath` at equal samples. `large`: a CT of
512x512x460 from its file to its first frame, in a process of its own.
Usage: render_volume.py [--parts frames memory stock large] [--frames N] [--stock-size N]
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.poses import camera_centre, look_at
from endoforge.optics.illumination import Surroundings, WorldLight
from endoforge.optics.light import LightSource
from endoforge.optics.transfer import (
    HIGHEST_HU,
    LOWEST_HU,
    OpticalCurve,
    TransferFunction,
    lut,
)
from endoforge.optics.transfer_file import preset
from endoforge.render.volume.renderer import VolumeRenderer
from endoforge.render.volume.view import VolumeView
from endoforge.scene.volume.air import label_gas
from endoforge.scene.volume.lumen import LumenSettings, lumen_lines
from endoforge.scene.volume.phantom import phantom
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.read import read_ct
from endoforge.scene.volume.read_settings import ReadSettings
from endoforge.scene.volume.records import CtVolume
from endoforge.streams import stream

SEED, VOXELS, SIZE, SAMPLES, BOUNCES = 11, 192, 256, 16, 16
LARGE = (512, 512, 460)
GREY = Surroundings(np.full((1, 1, 3), 0.5, np.float32))


def outside(volume: CtVolume) -> tuple[VolumeView, PinholeCamera]:
    """The whole body under one lamp and an even sky."""
    middle = volume.centre_mm
    pose = look_at(middle + np.array([200.0, 560.0, 150.0]), middle, np.array([0.0, 0.0, 1.0]))
    lamp = LightSource((-300.0, -350.0, 0.0), (0.0, 0.0, 1.0), 0.0, 1.5e6)
    lens = PinholeCamera.from_field_of_view(SIZE, SIZE, horizontal_deg=32.0)
    return VolumeView(pose, (lamp,), WorldLight((), GREY), seed=SEED), lens


def in_lumen(volume: CtVolume) -> tuple[VolumeView, PinholeCamera]:
    """Along the gas-filled colon with the lamp at the lens."""
    line = lumen_lines(volume, label_gas(volume), LumenSettings()).lines[0].points_mm
    k = int(len(line) * 0.55)
    step = float(np.linalg.norm(np.diff(line, axis=0), axis=1).mean())
    pose = look_at(line[k], line[k + round(30 / step)], np.array([0.1, 0.3, 1.0]))
    lens = PinholeCamera.from_field_of_view(SIZE, SIZE, horizontal_deg=100.0)
    return VolumeView(pose, (LightSource(),), seed=SEED), lens


def moved(view: VolumeView, k: int) -> VolumeView:
    """The same a little further on, with other random numbers."""
    pose = view.camera_from_world.copy()
    pose[0, 3] += 0.05 * k
    return replace(view, camera_from_world=pose, seed=view.seed + k)


def compiled() -> int:
    """Kernels that were compiled since the last call."""
    import drjit as dr

    kernels = dr.kernel_history([dr.KernelType.JIT])
    dr.kernel_history_clear()
    return sum(not kernel["cache_hit"] for kernel in kernels)


def frames(volume: CtVolume, count: int) -> dict[str, object]:
    """Seconds per frame from outside and in the lumen."""
    report: dict[str, object] = {}
    for name, (view, lens), transfer in (
        ("outside", outside(volume), preset("soft-tissue")),
        ("lumen", in_lumen(volume), preset("colon-lumen")),
    ):
        renderer = VolumeRenderer(volume, lens, transfer, "cpu")
        renderer.expose(view, SAMPLES, BOUNCES)
        compiled()
        times, threads = [], []
        for k in range(count):
            before = time.process_time()
            shot = renderer.expose(moved(view, k + 1), SAMPLES, BOUNCES)
            threads.append(time.process_time() - before)
            times.append(shot.seconds)
        assert shot.variance is not None
        noise = np.sqrt(shot.variance.mean()) / shot.radiance.mean()
        report[name] = {
            "median_s": round(float(np.median(times)), 3),
            "min_s": round(min(times), 3),
            "median_cpu_s": round(float(np.median(threads)), 3),
            "noise": round(float(noise), 4),
            "recompiled": compiled(),
        }
    return report


def memory(volume: CtVolume, count: int = 300) -> dict[str, object]:
    """Resident megabytes while frames are traced."""
    view, _ = outside(volume)
    lens = PinholeCamera.from_field_of_view(64, 64, horizontal_deg=32.0)
    renderer = VolumeRenderer(volume, lens, preset("soft-tissue"), "cpu")
    sizes, missed = {}, 0
    for k in range(count):
        renderer.expose(moved(view, k), SAMPLES, BOUNCES)
        new = compiled()  # also empties the history, which takes memory
        missed += new if k else 0
        if (k + 1) % 50 == 0 or k == 9:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            sizes[k + 1] = round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
    return {"resident_mb": sizes, "recompiled": missed}


def cloud(volume: CtVolume) -> tuple[CtVolume, TransferFunction]:
    """The CT as a cloud whose extinction is a straight line over HU, as Mitsuba can show it too."""
    hu = np.clip(volume.hu, -200, 800).astype(np.int16)
    colour = np.tile([[0.9, 0.7, 0.6]], (2, 1))
    curve = OpticalCurve(
        np.array([-200.0, 800.0]), np.array([0.0, 0.6]), colour, *np.full((2, 2), 0.3)
    )
    transfer = TransferFunction("cloud", curve, anisotropy=0.2, surface_hu_per_mm=1e12)
    return CtVolume(hu, volume.world_from_voxel), transfer


def stock(volume: CtVolume, size: int) -> dict[str, object]:
    """Ours and `volpath`, one after the other, on the same rays' distribution."""
    import drjit as dr
    import mitsuba as mi

    volume, transfer = cloud(volume)
    view, _ = outside(volume)
    lens = PinholeCamera.from_field_of_view(size, size, horizontal_deg=32.0)
    renderer = VolumeRenderer(volume, lens, transfer, "cpu")
    renderer.expose(view, SAMPLES, BOUNCES)
    ours = [renderer.expose(moved(view, k), SAMPLES, BOUNCES).seconds for k in range(5)]
    exact = renderer.expose(view, 16 * SAMPLES, BOUNCES).radiance.mean()
    scene = mitsuba_scene(mi, volume, transfer, view)
    tracer = mi.load_dict({"type": "volpath", "max_depth": BOUNCES + 1, "rr_depth": 1000})
    pixels = np.repeat(np.indices((size, size))[::-1].reshape(2, -1).T, SAMPLES, axis=0)
    rng = np.random.default_rng(SEED)
    rays = lens.unproject(pixels + rng.random(pixels.shape)) @ view.camera_from_world[:3, :3]
    toward = mi.Vector3f(*(mi.Float(c) for c in rays.T.astype(np.float32).copy()))
    eye = mi.Point3f(*map(float, camera_centre(view.camera_from_world)))
    times = []
    for seed in range(2):  # the first compiles
        begin = time.perf_counter()
        sampler = mi.load_dict({"type": "independent"})
        sampler.seed(seed, len(rays))
        light, _, _ = tracer.sample(scene, sampler, mi.RayDifferential3f(eye, toward))
        dr.eval(light)
        dr.sync_thread()
        times.append(time.perf_counter() - begin)
    theirs = float(np.array(light).mean())
    return {
        "size": size,
        "ours_s": round(float(np.median(ours)), 4),
        "volpath_s": round(times[-1], 2),
        "times_faster": round(times[-1] / float(np.median(ours)), 1),
        "mean_ours": round(float(exact), 6),
        "mean_volpath": round(theirs, 6),
        "differ_percent": round(100 * (theirs / float(exact) - 1), 3),
    }


def mitsuba_scene(mi: Any, volume: CtVolume, transfer: TransferFunction, view: VolumeView) -> Any:
    """The cloud, the lamp and the sky in Mitsuba's own terms."""
    curve, turn = transfer.curve, view.camera_from_world[:3, :3].T
    table = lut(curve)[:, 0]  # as the kernel reads it: its kinks are those of the table
    grid_hu = np.linspace(LOWEST_HU, HIGHEST_HU, len(table))
    density = np.interp(volume.hu, grid_hu, table).astype(np.float32)
    spacing, shape = volume.spacing_mm, np.array(volume.hu.shape)
    first = volume.world_from_voxel[:3, 3]
    grid = mi.ScalarTransform4f().translate(list(first - 0.5 * spacing))
    half = (shape - 1) * spacing / 2
    box = mi.ScalarTransform4f().translate(list(first + half)).scale(list(half))
    data = mi.VolumeGrid(np.ascontiguousarray(density.transpose(2, 1, 0))[..., None])
    (lamp,) = view.lights
    place = camera_centre(view.camera_from_world) + turn @ lamp.position_mm
    medium = {
        "type": "heterogeneous",
        "sigma_t": {
            "type": "gridvolume",
            "grid": data,
            "to_world": grid.scale(list(shape * spacing)),
        },
        "albedo": {
            "type": "constvolume",
            "value": {"type": "rgb", "value": list(map(float, curve.albedo[0]))},
        },
        "phase": {"type": "hg", "g": transfer.anisotropy},
    }
    return mi.load_dict(
        {
            "type": "scene",
            "cloud": {
                "type": "cube",
                "to_world": box,
                "bsdf": {"type": "null"},
                "interior": medium,
            },
            "sky": {"type": "constant", "radiance": {"type": "rgb", "value": [0.5, 0.5, 0.5]}},
            "lamp": {
                "type": "point",
                "position": list(map(float, place)),
                "intensity": {"type": "rgb", "value": [lamp.intensity] * 3},
            },
        }
    )


def large(volume: CtVolume) -> dict[str, object]:
    """A large CT from its file to its first frame, in a process of its own."""
    import nibabel

    shape = np.array(LARGE)
    index = [np.minimum(np.arange(n) * VOXELS // n, VOXELS - 1) for n in shape]
    noise = np.random.default_rng(SEED).normal(0, 12, LARGE).astype(np.int16)
    hu = (volume.hu[np.ix_(*index)] + noise).astype(np.int16)
    pose = volume.world_from_voxel.copy()
    pose[:3, :3] *= VOXELS / shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.nii.gz"
        nibabel.save(nibabel.Nifti1Image(hu, pose), path)
        command = [sys.executable, __file__, "--parts", "first", "--file", str(path)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    report: dict[str, object] = json.loads(answer.stdout)["first"]
    return report


def first(path: Path) -> dict[str, object]:
    """Read, build and render, and the most memory that this process and its children held."""
    begin = time.perf_counter()
    volume = read_ct(path, ReadSettings(most_voxels=int(np.prod(LARGE))))
    read = time.perf_counter()
    view, lens = outside(volume)
    renderer = VolumeRenderer(volume, lens, preset("soft-tissue"), "cpu")
    built = time.perf_counter()
    renderer.expose(view, SAMPLES, BOUNCES)
    end = time.perf_counter()
    most = [
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return {
        "voxels": list(volume.hu.shape),
        "read_s": round(read - begin, 2),
        "build_s": round(built - read, 2),
        "first_frame_s": round(end - built, 2),
        "in_all_s": round(end - begin, 2),
        "peak_gb": round(most[0] / 2**20, 2),
        "peak_of_reader_gb": round(most[1] / 2**20, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("frames", "memory", "stock", "large")
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=(*parts, "first"))
    parser.add_argument("--frames", type=int, default=7)
    parser.add_argument("--stock-size", type=int, default=128)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    report: dict[str, object] = {"cpus": os.cpu_count(), "machine": platform.machine()}
    if options.parts == ["first"]:
        print(json.dumps({"first": first(options.file)}))
        return
    import drjit as dr

    from endoforge.render.engine import start

    start("cpu")
    dr.set_flag(dr.JitFlag.KernelHistory, True)
    volume = phantom(PhantomSettings(voxels=VOXELS), stream(SEED, "anatomy", 0))
    report["load"] = round(os.getloadavg()[0], 2)
    if "frames" in options.parts:
        report["frames"] = frames(volume, options.frames)
    if "memory" in options.parts:
        report["memory"] = memory(volume)
    if "stock" in options.parts:
        report["stock"] = stock(volume, options.stock_size)
    if "large" in options.parts:
        report["large"] = large(volume)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
