# SPDX-License-Identifier: Apache-2.0
"""Unpaired methods on real footage under one budget: how real they look and what they move.

    python benchmarks/translation_real.py --train DATASET --test DATASET --real FOLDER… \
        --held FOLDER… --weights SQUEEZENET --steps 3000 --out FOLDER [--methods cut,munit]

Every method trains in its narrow form at 128 px for as many steps of one picture each, translates a
data set that it never saw, and is audited there; the kernel distance is to real pictures that
nothing learnt from. Made and trained once: the same command goes on where it was stopped. Prints
one JSON object.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from endoforge import verbs
from endoforge.evaluation.realism import measure_realism
from endoforge.evaluation.realism_settings import RealismSettings
from endoforge.frames.audit_file import Audit, read_audit
from endoforge.translation.model_file import load_model
from endoforge.translation.narrow import NARROW, narrow
from endoforge.translation.train import train_translation


def trained(method: str, options: argparse.Namespace) -> Path:
    """Train a method, or what is left of it, and return its run folder."""
    run: Path = options.out / method
    if (run / "model").exists() and _steps_of(run) == options.steps:
        return run
    settings = narrow(
        method,
        {
            "steps": options.steps,
            "cache": str(options.out / "cache"),
            "checkpoint_every": 500,
            "report_every": 100,
            "validate_every": 1000,
        },
    )
    started = time.perf_counter()
    train_translation(method, options.train, options.real, run, settings)
    print(f"{method}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return run


def _steps_of(run: Path) -> int:
    return int(load_model(run).card["training"]["step"])


def translated(run: Path, options: argparse.Namespace) -> Path:
    """Translate the unseen data set in one random style per sequence, audited."""
    out: Path = options.out / f"{run.name}-translated"
    several = "munit" in run.name
    assignments = [f"audit.segmenter={options.segmenter}"] if options.segmenter else []
    choices = {"styles": 1} if several else {}
    report = verbs.translate(
        run, options.test, out=out, choices=choices, assignments=tuple(assignments)
    )
    assert report.complete
    return out


def kept(audit: Audit) -> dict[str, Any]:
    """What the audit says of a data set: medians over its frames."""
    measures = [one.measures for one in audit.scores.values()]

    def median(name: str) -> float:
        return round(statistics.median(found[name] for found in measures), 4)

    overlaps = [
        statistics.mean(values)
        for found in measures
        if (values := [v for k, v in found.items() if k.startswith("class_iou")])
    ]
    return {
        "frames": len(measures),
        "rejected": len(audit.rejected),
        "shift_median_px": median("shift_median_px"),
        "shift_95_px": median("shift_95_px"),
        "mask_iou_moved": round(1 - median("masks_moved"), 4),
        "mask_iou_segmenter": round(statistics.median(overlaps), 4) if overlaps else None,
        "edges_2": median("edges_2"),
        "depth_changed": median("depth_changed"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--held", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--segmenter", default="")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--methods", default=",".join(NARROW))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    runs = {method: trained(method, options) for method in options.methods.split(",")}
    sets = {"raw": options.test} | {m: translated(run, options) for m, run in runs.items()}
    networks = {}
    for weights in dict.fromkeys((options.weights, None)):
        found = measure_realism(sets, options.held, weights, RealismSettings(height=128))
        raw = found.sets["raw"].kernel.value
        networks[found.network] = {
            name: asdict(one) | {"kernel_fall": round(1 - one.kernel.value / raw, 4)}
            for name, one in found.sets.items()
        }
    audits = {m: read_audit(path) for m, path in sets.items() if m != "raw"}
    result = {
        "machine": platform.processor() or platform.machine(),
        "steps": options.steps,
        "realism": networks,
        "labels": {m: kept(audit) for m, audit in audits.items() if audit is not None},
    }
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
