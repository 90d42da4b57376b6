# SPDX-License-Identifier: Apache-2.0
"""How much of the pure rendering rate is left once every label is on disk.

Prints one JSON object. Two processes render frames and throw them away (pure rendering), then
`simulate` with two workers writes frames of the same size (written; new scenes included).
Usage: simulate.py [--frames N]
"""

import argparse
import json
import multiprocessing
import platform
import tempfile
import time
from pathlib import Path

from endoforge.render.engine import set_render_threads
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset
from endoforge.simulation.sequence import render_sequence

WORKERS = 2
WARM_UP = 5
#: How many frames share a scene; building one costs as much as twenty frames.
SCENE_FRAMES = (50, 100, 200)


def pure_rendering(frames: int, sizes: tuple[int, int]) -> float:
    """Frames per second of two processes that write nothing, scene building left out."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(WORKERS) as pool:
        rates = pool.starmap(_render, [(worker, frames, sizes) for worker in range(WORKERS)])
    return sum(rates)


def _render(worker: int, frames: int, sizes: tuple[int, int]) -> float:
    set_render_threads(1)
    settings = load_recipe(
        "colon", {"frames": 10**6, "sequence_frames": frames + WARM_UP, "seed": 7}, _size(sizes)
    )
    images = render_sequence(settings, worker)
    for _ in range(WARM_UP):
        next(images)
    started = time.perf_counter()
    count = sum(1 for _ in images)
    return count / (time.perf_counter() - started)


def written(frames: int, sizes: tuple[int, int], sequence_frames: int) -> float:
    """Frames per second of `simulate` with two workers, after the workers have started."""
    settings = load_recipe(
        "colon", {"frames": frames, "sequence_frames": sequence_frames, "seed": 7}, _size(sizes)
    )
    marks: list[tuple[float, int]] = []

    def note(done: int, total: int) -> None:
        if done:
            marks.append((time.perf_counter(), done))

    with tempfile.TemporaryDirectory() as folder:
        simulate_dataset(settings, Path(folder) / "data", WORKERS, note)
    (started, first), (ended, last) = marks[0], marks[-1]
    return (last - first) / (ended - started)


def _size(sizes: tuple[int, int]) -> list[str]:
    return [f"camera.width={sizes[0]}", f"camera.height={sizes[1]}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=400)
    options = parser.parse_args()
    result: dict[str, object] = {"machine": platform.processor() or platform.machine()}
    result["workers"] = WORKERS
    for sizes in ((320, 256), (640, 480)):
        pure = pure_rendering(options.frames // 4, sizes)
        disk = {n: written(options.frames, sizes, n) for n in SCENE_FRAMES}
        result["x".join(map(str, sizes))] = {
            "pure_rendering_fps": round(pure, 1),
            "written_fps_by_frames_per_scene": {n: round(rate, 1) for n, rate in disk.items()},
            "share_by_frames_per_scene": {n: round(rate / pure, 3) for n, rate in disk.items()},
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
