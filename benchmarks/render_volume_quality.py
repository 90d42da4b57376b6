# SPDX-License-Identifier: Apache-2.0
"""How good a picture of a CT is after how many seconds, smoothed and not.

Prints one JSON object. A drawn CT (192 voxels a side) is seen from outside as soft tissue (or
skin, or bone) under two lamps and a studio, and from inside its colon under two lamps beside the
lens. Quality is the peak signal-to-noise ratio of the displayed picture (gamma 2.2, white at the
reference's 99th percentile) against a converged one. Of the reference there are two independent
halves: the mean of (picture - one half) * (picture - other half) has the reference's own noise
taken out. Seconds on the clock are those of the machine as busy as it is; `_cpu_s` are those of all
threads together. `--cache` keeps the reference between runs, and each run adds to it for at most
`--reference-seconds`; the rest is measured once it is complete.
Usage: render_volume_quality.py [--size N] [--views outside lumen] [--most N] [--reference N]
[--reference-seconds S] [--cache DIR] [--picture FILE.png --results FILE.json ...]
"""

import argparse
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.poses import look_at
from endoforge.optics.illumination import WorldLight, sample_world_light
from endoforge.optics.illumination_settings import IlluminationSettings
from endoforge.optics.light import LightSource
from endoforge.optics.transfer_file import preset, transfer_to_json
from endoforge.render.settings import DenoiseMethod
from endoforge.render.volume.convergence import (
    WHITE_PERCENTILE,
    Tally,
    displayed,
    exposed,
    merged,
    noise_of,
    tally,
)
from endoforge.render.volume.denoise import denoised
from endoforge.render.volume.renderer import VolumeRenderer
from endoforge.render.volume.settings import QualitySettings
from endoforge.render.volume.view import VolumeView
from endoforge.scene.volume.air import label_gas
from endoforge.scene.volume.lumen import LumenSettings, lumen_lines
from endoforge.scene.volume.phantom import phantom
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.records import CtVolume
from endoforge.streams import stream

SEED, VOXELS, CHUNK = 11, 192, 64
SAMPLES = (1, 2, 4, 8, 16, 32, 64)
PRESETS = {"outside": "soft-tissue", "skin": "skin", "bone": "bone", "lumen": "colon-lumen"}
GOOD = 36.0
BUDGET_S = {256: 0.7, 512: 2.5}


def build_volume(cache: Path | None) -> tuple[CtVolume, np.ndarray]:
    """The drawn CT, and the centre line of its colon."""
    known = cache / "volume.npz" if cache else None
    if known and known.exists():
        held = np.load(known)
        names = {k + 1: str(name) for k, name in enumerate(held["names"])}
        volume = CtVolume(held["hu"], held["world_from_voxel"], held["organs"], names)
        return volume, held["line"]
    volume = phantom(PhantomSettings(voxels=VOXELS), stream(SEED, "anatomy", 0))
    line = lumen_lines(volume, label_gas(volume), LumenSettings()).lines[0].points_mm
    if known:
        known.parent.mkdir(parents=True, exist_ok=True)
        most = max(volume.organ_names, default=0)
        np.savez(
            known,
            hu=volume.hu,
            world_from_voxel=volume.world_from_voxel,
            organs=volume.organs,
            line=line,
            names=[volume.organ_names.get(k + 1, "") for k in range(most)],
        )
    return volume, line


def build_view(name: str, volume: CtVolume, line: np.ndarray) -> tuple[VolumeView, float]:
    """A pose and its light, and the lens's horizontal angle."""
    if name == "lumen":
        k = int(len(line) * 0.55)
        step = float(np.linalg.norm(np.diff(line, axis=0), axis=1).mean())
        ahead = line[min(k + round(30 / step), len(line) - 1)]
        pose = look_at(line[k], ahead, np.array([0.1, 0.3, 1.0]))
        lamps = tuple(LightSource((x, 0.0, 0.0), mu=1.0) for x in (-2.5, 2.5))
        return VolumeView(pose, lamps, WorldLight(), seed=SEED), 100.0
    middle = volume.centre_mm
    pose = look_at(middle + np.array([200.0, 560.0, 150.0]), middle, np.array([0.0, 0.0, 1.0]))
    settings = IlluminationSettings(surroundings="studio", lamps=(2, 2))
    light = sample_world_light(settings, stream(SEED, "light", 0), middle, 310.0)
    return VolumeView(pose, (), light, seed=SEED), 32.0


def add_to_reference(
    renderer: VolumeRenderer, view: VolumeView, wanted: int, seconds: float, file: Path | None
) -> tuple[list[np.ndarray], int]:
    """Both halves of the reference, and how many samples they have together."""
    sums: list[Tally | None] = [None, None]
    if file and file.exists():
        held = np.load(file)
        zero = np.zeros_like(held["mean0"])
        sums = [Tally(int(held[f"n{h}"]), held[f"mean{h}"], zero, zero, 0.0) for h in (0, 1)]
    taken, begin = sum(s.samples for s in sums if s), time.perf_counter()
    while taken < wanted and time.perf_counter() - begin < seconds:
        half = taken // CHUNK % 2
        new = tally(renderer.expose(view, min(CHUNK, wanted // 2), first_sample=(1 << 20) + taken))
        held_sum = sums[half]
        sums[half] = merged(held_sum, new) if held_sum else new
        taken += new.samples
    halves = [s for s in sums if s]
    if file:
        values = {f"mean{h}": s.mean for h, s in enumerate(halves)}
        np.savez(file, **values, **{f"n{h}": s.samples for h, s in enumerate(halves)})
    return [s.mean.astype(np.float32) for s in halves], taken


def squared_error(picture: np.ndarray, halves: list[np.ndarray]) -> float:
    """Mean squared error of what is displayed, without the reference's own."""
    white = float(np.percentile(0.5 * (halves[0] + halves[1]), WHITE_PERCENTILE))
    shown, one, other = (displayed(p, white) for p in (picture, *halves))
    return float(np.mean((shown - one) * (shown - other), dtype=np.float64))


def decibels(error: float) -> float:
    return round(-10 * float(np.log10(max(error, 1e-12))), 2)


def methods() -> list[DenoiseMethod]:
    """Those that this machine has."""
    try:
        import mitsuba_oidn  # noqa: F401
    except ImportError:
        return ["off", "guided"]
    return ["off", "guided", "oidn"]


def timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What some work gives, and its seconds on the clock and of all threads together."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - begin, time.process_time() - begin_cpu)


def middle(times: list[tuple[float, float]], which: int) -> float:
    return round(float(np.median([entry[which] for entry in times])), 3)


def measure(
    renderer: VolumeRenderer, view: VolumeView, halves: list[np.ndarray], most: int
) -> list[dict[str, object]]:
    """Seconds and quality at each number of samples, over a few seeds."""
    labels = renderer.labels(view)
    renderer.expose(view, 2)
    rows = []
    for samples in (n for n in SAMPLES if n <= most):
        exposures, noises = [], []
        smoothings: dict[str, list[tuple[float, float]]] = {name: [] for name in methods()}
        errors: dict[str, list[float]] = {name: [] for name in methods()}
        means: dict[str, list[float]] = {name: [] for name in methods()}
        for seed in range(3 if samples <= 8 else 1):
            quality, of_seed = QualitySettings(samples=samples), replace(view, seed=100 + seed)
            shot, taken = timed(lambda v=of_seed, q=quality: exposed(renderer, v, q))
            exposures.append(taken)
            noises.append(noise_of(shot))
            for name in methods():
                picture, taken = timed(lambda s=shot, n=name: denoised(s, labels, n))
                smoothings[name].append(taken)
                errors[name].append(squared_error(picture, halves))
                means[name].append(float(picture.mean()))
        truth = float(0.5 * (halves[0].mean() + halves[1].mean()))
        rows.append(
            {
                "samples": samples,
                "expose_s": middle(exposures, 0),
                "expose_cpu_s": middle(exposures, 1),
                "smooth_s": {n: middle(s, 0) for n, s in smoothings.items()},
                "smooth_cpu_s": {n: middle(s, 1) for n, s in smoothings.items()},
                "decibels": {n: decibels(float(np.mean(e))) for n, e in errors.items()},
                "brightness": {n: round(float(np.mean(m)) / truth, 4) for n, m in means.items()},
                "stated_noise_decibels": decibels(float(np.mean(np.square(noises)))),
            }
        )
    return rows


def summary(rows: list[dict], size: int) -> dict[str, object]:
    """Seconds to good quality, quality within the time that is allowed, and the slope."""
    report: dict[str, object] = {}
    samples = np.log2([row["samples"] for row in rows])
    for name in methods():
        seconds = np.array([row["expose_s"] + row["smooth_s"][name] for row in rows])
        threads = np.array([row["expose_cpu_s"] + row["smooth_cpu_s"][name] for row in rows])
        quality = np.maximum.accumulate([row["decibels"][name] for row in rows])
        budget, cores = BUDGET_S.get(size, 1.0), os.cpu_count() or 1
        found: dict[str, float | None] = {
            f"decibels_in_{budget}_s": round(float(np.interp(budget, seconds, quality)), 2),
            f"decibels_in_{budget}_s_if_threads_had_the_cores": round(
                float(np.interp(budget, threads / cores, quality)), 2
            ),
            "samples_to_36_db": None,
        }
        if quality[-1] >= GOOD:
            needed = float(np.interp(GOOD, quality, samples))
            found["samples_to_36_db"] = round(2**needed, 1)
            found["seconds_to_36_db"] = round(float(np.interp(needed, samples, seconds)), 2)
            found["thread_seconds_to_36_db"] = round(float(np.interp(needed, samples, threads)), 2)
        report[name] = found
    tail = rows[2:]
    errors = [-row["decibels"]["off"] / 20 for row in tail]
    for what, values in (
        ("seconds", [row["expose_s"] for row in tail]),
        ("samples", [row["samples"] for row in tail]),
    ):
        report[f"slope_of_error_over_{what}_not_smoothed"] = round(
            float(np.polyfit(np.log10(values), errors, 1)[0]), 3
        )
    return report


def one_view(name: str, options: argparse.Namespace) -> dict[str, object]:
    volume, line = build_volume(options.cache)
    view, angle = build_view(name, volume, line)
    lens = PinholeCamera.from_field_of_view(options.size, options.size, horizontal_deg=angle)
    renderer = VolumeRenderer(volume, lens, preset(PRESETS[name]), "cpu")
    known = hashlib.sha256(transfer_to_json(renderer.transfer).encode()).hexdigest()[:8]
    file = options.cache / f"{name}_{options.size}_{known}.npz" if options.cache else None
    halves, taken = add_to_reference(
        renderer, view, options.reference, options.reference_seconds, file
    )
    if taken < options.reference:
        return {"reference_samples": taken}
    renderer.labels(view)
    begin = time.perf_counter()
    renderer.labels(view)
    labels_s = time.perf_counter() - begin
    rows = measure(renderer, view, halves, options.most)
    return {
        "transfer": PRESETS[name],
        "reference_samples": taken,
        "labels_s": round(labels_s, 3),
        "load_average": round(os.getloadavg()[0], 2),
        **summary(rows, options.size),
        "rows": rows,
    }


def draw(results: list[Path], file: Path) -> None:
    """Error against seconds of all threads (the clock's depend on who else is busy)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    reports = [json.loads(path.read_text()) for path in results]
    charts = [(r["size"], name, v) for r in reports for name, v in r["views"].items()]
    cores = reports[0]["cores"]
    across = min(len(charts), 3)
    down = -(-len(charts) // across)
    figure, grid = pyplot.subplots(down, across, figsize=(4.4 * across, 3.6 * down), squeeze=False)
    for axis in grid.flat[len(charts) :]:
        axis.set_axis_off()
    for axis, (size, name, view) in zip(grid.flat, charts, strict=False):
        rows = view["rows"]
        for method, colour in (("off", "#555555"), ("guided", "#1f77b4"), ("oidn", "#d95f02")):
            if method not in rows[0]["decibels"]:
                continue
            threads = [row["expose_cpu_s"] + row["smooth_cpu_s"][method] for row in rows]
            seconds = [both / cores for both in threads]
            errors = [10 ** (-row["decibels"][method] / 20) for row in rows]
            axis.loglog(seconds, errors, "o-", color=colour, label=method, markersize=4)
            if method == "off":
                line = [errors[3] * (s / seconds[3]) ** -0.5 for s in seconds]
                axis.loglog(seconds, line, ":", color="#aaaaaa", label="slope −1/2")
        axis.axhline(10 ** (-GOOD / 20), color="#2ca02c", linewidth=0.8)
        axis.axvline(BUDGET_S.get(size, 1.0), color="#2ca02c", linewidth=0.8)
        axis.set_title(f"{name} ({view['transfer']}), {size}×{size}")
        axis.set_xlabel(f"seconds of all threads / {cores} cores, with smoothing")
        axis.set_ylabel("RMS error of the displayed picture")
        axis.grid(True, which="both", alpha=0.2)
        axis.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--views", nargs="+", choices=PRESETS, default=["outside", "lumen"])
    parser.add_argument("--reference", type=int, default=1024, help="samples, both halves")
    parser.add_argument("--reference-seconds", type=float, default=1e9)
    parser.add_argument("--most", type=int, default=64, help="samples of the longest picture")
    parser.add_argument("--cache", type=Path, help="folder that keeps the CT and the references")
    parser.add_argument("--picture", type=Path, help="draw --results instead of measuring")
    parser.add_argument("--results", type=Path, nargs="+", default=[])
    options = parser.parse_args()
    if options.picture:
        draw(options.results, options.picture)
        return
    report: dict[str, object] = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "size": options.size,
        "views": {name: one_view(name, options) for name in options.views},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
