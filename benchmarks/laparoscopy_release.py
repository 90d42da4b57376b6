# SPDX-License-Identifier: Apache-2.0
"""Hours and gigabytes of 20,000 laparoscopy frames of 10 anatomies at 452 x 256 with all labels.

    python benchmarks/laparoscopy_release.py [--frames 1000] [--workers 2]

A part is simulated and its journal read afterwards. That it may be scaled up is shown by the time
after each quarter: the rate must not fall.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from endoforge.frames.journal import read_journal
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset

_RELEASE = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    settings = load_recipe(
        "laparoscopy", {"frames": options.frames, "seed": 1}, ["randomise.anatomies=10"]
    )
    marks: list[tuple[int, float]] = []
    started = time.monotonic()

    def note(done: int, _: int) -> None:
        marks.append((done, time.monotonic() - started))

    with tempfile.TemporaryDirectory() as folder:
        report = simulate_dataset(settings, Path(folder) / "data", options.workers, note)
        size = sum(record.bytes for record in read_journal(Path(folder) / "data"))
    quarters = [
        next(seconds for done, seconds in marks if done >= share * options.frames)
        for share in (0.25, 0.5, 0.75, 1.0)
    ]
    scale = _RELEASE / report.frames
    json.dump(
        {
            "frames": report.frames,
            "failed_sequences": len(report.failures),
            "workers": options.workers,
            "seconds": round(report.seconds, 1),
            "seconds_after_each_quarter": [round(q, 1) for q in quarters],
            "frames_per_s": round(report.frames / report.seconds, 2),
            "mb_per_frame": round(size / report.frames / 1e6, 3),
            "hours_for_20000": round(report.seconds * scale / 3600, 2),
            "gb_for_20000": round(size * scale / 1e9, 1),
        },
        sys.stdout,
        indent=1,
    )
    print()


if __name__ == "__main__":
    main()
