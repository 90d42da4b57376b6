# SPDX-License-Identifier: Apache-2.0
"""How far simulated pictures are from real ones, before and after, in a named network's features.

    python benchmarks/realism.py --weights FILE --real FOLDER… --now DATASET --before DATASET

The weights are the user's own copy, of SqueezeNet v1.0 (ImageNet, Caffe layout) or of the Inception
of FID; without any the encoder of the shipped depth network is used. The figures carry its name;
they are FID and KID with Inception alone. It is `endoforge realism` with the reduction beside it.
"""

import argparse
import json
import sys
from pathlib import Path

from endoforge.evaluation.realism import measure_realism
from endoforge.evaluation.realism_settings import RealismSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--now", type=Path, required=True)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--crop", type=float, default=0.7)
    options = parser.parse_args()
    settings = RealismSettings(count=options.count, crop=options.crop)
    sets = {"now": options.now, "before": options.before}
    found = measure_realism(sets, options.real, options.weights, settings)
    now, before = found.sets["now"], found.sets["before"]
    reduction = {
        "kernel": 1 - now.kernel.value / before.kernel.value,
        "frechet": 1 - now.frechet / before.frechet,
    }
    json.dump(found.to_dict() | {"reduction": reduction}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
