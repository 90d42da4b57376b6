# SPDX-License-Identifier: Apache-2.0
"""Seconds of a training step of the unpaired methods, beside the public implementations.

Prints one JSON object. Pictures are noise, whose content does not change the time. With paths to
your own clones, their steps and ours take turns on the same pictures, networks of the same sizes.
Besides wall time the processor's own time is given, which hardly depends on what else runs; use
one thread for it. Usage: translation_step.py [--methods cyclegan munit] [--side 256] [--rounds 3]
[--threads N] [--narrow] [--bfloat16] [--cyclegan CLONE] [--munit CLONE]
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from opponents.translation_references import Step, cyclegan_step, munit_step
from torch import Tensor

from endoforge.settings import validate
from endoforge.training.task import train_step
from endoforge.training.trainer import make_fabric
from endoforge.translation.methods import find_method
from endoforge.translation.narrow import narrow
from endoforge.translation.translator import Channels

OPPONENTS: Mapping[str, Callable[[Path], Step]] = {"cyclegan": cyclegan_step, "munit": munit_step}


def our_step(method: str, options: argparse.Namespace) -> Step:
    given = {
        "device": "cpu",
        "precision": "bfloat16" if options.bfloat16 else "float32",
        "pictures": {"height": options.side, "crop": options.side},
    }
    found = find_method(method)
    settings = narrow(method, given) if options.narrow else validate(found.settings(), given)
    fabric = make_fabric(settings)
    task = found.build(settings, Channels(3, 3))
    whole = torch.ones(1, 1, options.side, options.side)

    def step(source: Tensor, target: Tensor) -> None:
        batch = {"source": source, "target": target}
        masks = {"source_counts": whole, "target_counts": whole}
        train_step(task, {**batch, **masks}, fabric)

    return step


def in_turn(steps: Mapping[str, Step], side: int, rounds: int) -> dict[str, dict[str, float]]:
    """Time each step in every round; a first round warms up and fills the history."""
    torch.manual_seed(0)
    wall: dict[str, list[float]] = {name: [] for name in steps}
    busy: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        source, target = (2 * torch.rand(1, 3, side, side) - 1 for _ in range(2))
        for name, step in steps.items():
            began, used = time.perf_counter(), time.process_time()
            step(source, target)
            if turn:
                wall[name].append(time.perf_counter() - began)
                busy[name].append(time.process_time() - used)
    return {
        name: {
            "median_s": round(statistics.median(wall[name]), 3),
            "best_s": round(min(wall[name]), 3),
            "processor_median_s": round(statistics.median(busy[name]), 3),
            "processor_best_s": round(min(busy[name]), 3),
        }
        for name in steps
    }


def measured(method: str, options: argparse.Namespace) -> dict[str, object]:
    steps = {"ours": our_step(method, options)}
    clone = getattr(options, method, None)
    if clone is not None:
        steps["reference"] = OPPONENTS[method](clone)
    found: dict[str, object] = dict(in_turn(steps, options.side, options.rounds))
    if clone is not None:
        ours, theirs = found["ours"], found["reference"]
        found["ratio"] = {key: round(ours[key] / theirs[key], 3) for key in ours}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    every = ["cyclegan", "cut", "munit", "content-munit"]
    parser.add_argument("--methods", nargs="+", choices=every, default=["cyclegan", "munit"])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--narrow", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--cyclegan", type=Path)
    parser.add_argument("--munit", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    before = os.getloadavg()[0]
    result = {
        "benchmark": "translation_step",
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "threads": options.threads,
        "side": options.side,
        "narrow": options.narrow,
        "precision": "bfloat16" if options.bfloat16 else "float32",
        "load_before": round(before, 1),
        **{method: measured(method, options) for method in options.methods},
        "load_after": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
