# SPDX-License-Identifier: Apache-2.0
"""How well the shipped depth network measures colons it never saw.

Prints one JSON object: on drawn colons of unseen seeds, and on real colons when their masks are
given; each beside a constant predictor and the mean depth map of the training set, under every
alignment. Usage: depth_accuracy.py [--model M] [--frames N] [--mask FILE.nii.gz …]
"""

import argparse
import json
import tempfile
from pathlib import Path

from endoforge import verbs

UNSEEN_SEED = 900_001  # the model card lists the seeds of the training set; this is none of them
#: Frames far apart, so that the figure rests on many places rather than on one stretch.
SPREAD = ("sequence_frames=10", "trajectory.speed_mm=[3,6]")
FIGURES = ("abs_rel", "rmse", "delta1")


def measure(
    model: str, frames: int, assignments: tuple[str, ...], folder: Path
) -> dict[str, object]:
    """Simulate a test set and evaluate the model and its baselines on it."""
    verbs.simulate(
        "colon-depth",
        out=folder,
        frames=frames,
        seed=UNSEEN_SEED,
        workers=2,
        assignments=assignments,
    )
    result = verbs.evaluate(model, folder).to_dict()
    return {
        "frames": result["frames"],
        "protocol": result["protocol_sentence"],
        "predictors": {
            predictor["name"]: {
                alignment: {name: round(scores[name], 4) for name in FIGURES}
                for alignment, scores in predictor["scores"].items()
            }
            for predictor in result["predictors"]
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="depth")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--mask", type=Path, action="append", default=[])
    options = parser.parse_args()
    report: dict[str, object] = {"model": options.model, "seed": UNSEEN_SEED}
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn"
        report["drawn_colons"] = measure(options.model, options.frames, SPREAD, drawn)
        for number, mask in enumerate(options.mask):
            assignments = (*SPREAD, f"anatomy.mask={mask}")
            report[f"real_colon_{mask.name.split('.')[0]}"] = measure(
                options.model, options.frames, assignments, Path(folder) / f"real-{number}"
            )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
