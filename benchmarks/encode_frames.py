# SPDX-License-Identifier: Apache-2.0
"""What a frame with all its labels costs on disk: milliseconds to pack and unpack, bytes per file.

Prints one JSON object. Usage: encode_frames.py [--recipe laparoscopy-stereo] [--width 452]
[--height 256] [--frames 4]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from endoforge import verbs
from endoforge.frames.dataset import Dataset
from endoforge.frames.encoding import frame_from_members, frame_to_members
from endoforge.frames.frame import Frame

ROUNDS = 15


def fastest_ms(work: Callable[[], object]) -> float:
    """The fastest of several rounds: other work on the machine only ever adds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(1e3 * min(times), 1)


def costs(frames: list[Frame]) -> dict[str, object]:
    packed = [frame_to_members(frame, frame.index) for frame in frames]
    names = [name.partition(".")[2] for name in packed[0]]
    kilobytes = {
        name: round(sum(len(list(files.values())[k]) for files in packed) / len(packed) / 1e3, 1)
        for k, name in enumerate(names)
    }
    middle = frames[len(frames) // 2]
    return {
        "encode_ms": fastest_ms(lambda: frame_to_members(middle, middle.index)),
        "decode_ms": fastest_ms(lambda: frame_from_members(packed[len(frames) // 2])),
        "megabytes": round(sum(kilobytes.values()) / 1e3, 3),
        "kilobytes": kilobytes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="laparoscopy-stereo")
    parser.add_argument("--width", type=int, default=452)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--frames", type=int, default=4)
    given = parser.parse_args()
    size = [f"camera.width={given.width}", f"camera.height={given.height}"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "data"
        verbs.simulate(given.recipe, out=out, frames=given.frames, seed=3, assignments=size)
        frames = list(Dataset.open(out).iter_frames())
    result: dict[str, object] = {
        "recipe": given.recipe,
        "size": [given.width, given.height],
        "all_labels": costs(frames),
    }
    if frames[0].right is not None:
        result["without_the_right_eye"] = costs([replace(frame, right=None) for frame in frames])
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
