# SPDX-License-Identifier: Apache-2.0
"""Is the memory of one worker flat: resident size while it writes 5,000 small frames.

Prints one JSON object. Vessel patterns are remembered as scenes ask for them, eight at most and
about 11 MB each, so the size still grows over the first scenes. Usage: memory.py [--frames N]
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset

SMALL = ["camera.width=96", "camera.height=80"]


def resident_mb(frames: int, sequence_frames: int) -> dict[int, float]:
    """Resident megabytes by frames written."""
    settings = load_recipe(
        "colon", {"frames": frames, "sequence_frames": sequence_frames, "seed": 7}, SMALL
    )
    sizes: dict[int, float] = {}

    def note(done: int, total: int) -> None:
        if done and done % 500 == 0:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            sizes[done] = round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)

    with tempfile.TemporaryDirectory() as folder:
        simulate_dataset(settings, Path(folder) / "data", 1, note)
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--sequence-frames", type=int, default=50)
    options = parser.parse_args()
    sizes = resident_mb(options.frames, options.sequence_frames)
    first, last = sizes[min(sizes)], sizes[max(sizes)]
    growth = round(100 * (last / first - 1), 2)
    report = {"frames_per_scene": options.sequence_frames, "growth_percent_from_500": growth}
    print(json.dumps({**report, "resident_mb": sizes}))


if __name__ == "__main__":
    main()
