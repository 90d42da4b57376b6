# SPDX-License-Identifier: Apache-2.0
"""How many images per second the depth network learns from, and where a step's time goes.

Prints one JSON object. Data loading is left out (frames are decoded once before training); the
pictures are noise, whose content does not change the time. Usage: train_depth.py [--steps N]
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from endoforge.depth.data import TrainingFrames
from endoforge.depth.fitting import DepthBatches, DepthRun
from endoforge.depth.networks.build import build_depth_network
from endoforge.depth.settings import DepthSettings
from endoforge.depth.task import DepthTask
from endoforge.frames.flat_cache import Split
from endoforge.training.average import WeightsAverage
from endoforge.training.device import on_device
from endoforge.training.task import train_step
from endoforge.training.trainer import make_fabric


def noise_run(settings: DepthSettings, frames: int = 64) -> DepthRun:
    rng = np.random.default_rng(0)
    shape = (settings.height, settings.width)
    image = rng.integers(0, 256, (frames, 3, *shape), dtype=np.uint8)
    depth = rng.uniform(5, 80, (frames, 1, *shape)).astype(np.float16)
    decoded = TrainingFrames(image, depth, np.zeros(frames, np.int64))
    split = Split(np.arange(frames), np.arange(0))
    return DepthRun(decoded, split, "noise", Path(), settings)


def measure(settings: DepthSettings, steps: int) -> dict[str, float]:
    """Return medians over steps, so that a busy moment does not count."""
    fabric = make_fabric(settings)
    network = on_device(build_depth_network(settings.network), fabric.device)
    if settings.compile:
        network.compile()
    batches = DepthBatches(noise_run(settings), fabric.device)
    task = DepthTask(network, settings.loss, settings)
    average = WeightsAverage(task.players["depth"].networks, settings.average)
    batch_s, step_s = [], []
    for step in range(steps + 3):
        started = time.perf_counter()
        batch = batches(step)
        prepared = time.perf_counter()
        train_step(task, batch, fabric, settings.max_gradient_norm)
        average.update()
        if step >= 3:
            batch_s.append(prepared - started)
            step_s.append(time.perf_counter() - started)
    whole = statistics.median(step_s)
    return {
        "images_per_s": round(settings.batch / whole, 1),
        "best_images_per_s": round(settings.batch / min(step_s), 1),
        "step_ms": round(1e3 * whole, 1),
        "augmentation_share": round(statistics.median(batch_s) / whole, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    steps = parser.parse_args().steps
    settings = DepthSettings()
    network = build_depth_network(settings.network)
    result = {
        "benchmark": "train_depth",
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "size": [settings.width, settings.height],
        "batch": settings.batch,
        "parameters": sum(p.numel() for p in network.parameters()),
        "bfloat16": measure(settings, steps),
        "float32": measure(settings.model_copy(update={"precision": "float32"}), steps),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
