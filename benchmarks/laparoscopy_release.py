# SPDX-License-Identifier: Apache-2.0
"""Hours and gigabytes of 20,000 laparoscopy frames of 10 anatomies at 452 x 256 with all labels.

    python benchmarks/laparoscopy_release.py [--frames 1000] [--workers 2] [--folder DIR]

A part is simulated and read back. That it may be scaled up is shown by its quarters: the rate must
not fall. All ten anatomies are drawn in the part, once by each worker that uses them, and would not
be drawn again in the whole, so the whole is a little faster. Where the time goes is measured
afterwards on one sequence in this process.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from endoforge.frames.frame import Frame
from endoforge.frames.journal import read_journal
from endoforge.frames.shards import ShardReader, shard_name, write_shard
from endoforge.simulation.draws import draw_sequence
from endoforge.simulation.label_choice import LABEL_NAMES, NEEDS
from endoforge.simulation.laparoscopy_shot import abdomen_of
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset
from endoforge.simulation.sequence import prepare_shot, render_sequence
from endoforge.simulation.settings import LaparoscopySimulation

_RELEASE = 20_000
_ANATOMIES = 10
_SEQUENCE = 100
_TIMED_FRAMES = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where 1.2 MB a frame may lie for a while")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = measured(options.frames, options.workers, Path(folder) / "data")
    json.dump(result | {"stages": stages()}, sys.stdout, indent=1)
    print()


def settings_of(frames: int) -> LaparoscopySimulation:
    """The release's settings; a small part has shorter sequences, so that it has all anatomies."""
    values = {
        "frames": frames,
        "seed": 1,
        "sequence_frames": max(min(_SEQUENCE, frames // _ANATOMIES), 1),
        "labels": "all",
    }
    sizes = ["camera.width=452", "camera.height=256", f"randomise.anatomies={_ANATOMIES}"]
    settings = load_recipe("laparoscopy", values, sizes)
    assert isinstance(settings, LaparoscopySimulation)
    missing = set(LABEL_NAMES) - set(settings.wanted)
    assert missing <= {"stereo"}, f"only one eye has no {NEEDS['stereo']}, but {missing} miss"
    return settings


def measured(frames: int, workers: int, data: Path) -> dict[str, object]:
    """Simulate a part and scale it up."""
    marks = [(0, 0.0)]
    started = time.monotonic()

    def note(done: int, _: int) -> None:
        marks.append((done, time.monotonic() - started))

    settings = settings_of(frames)
    report = simulate_dataset(settings, data, workers, note)
    if report.frames == 0:
        raise SystemExit(f"every sequence failed: {report.failures}")
    size = sum(record.bytes for record in read_journal(data))
    rendered = marks[-1][0]
    quarters = [
        next(seconds for done, seconds in marks if done >= share * rendered)
        for share in (0.25, 0.5, 0.75, 1.0)
    ]
    last = [0.0, *quarters]
    scale = _RELEASE / report.frames
    return {
        "frames": report.frames,
        "frames_per_sequence": settings.sequence_frames,
        "labels": list(settings.wanted),
        "anatomies": len(anatomies_in(data, settings.sequences)),
        "failed_sequences": report.failures,
        "workers": workers,
        "seconds": round(report.seconds, 1),
        "seconds_after_each_quarter": [round(q, 1) for q in quarters],
        "frames_per_s_in_each_quarter": [
            round(rendered / 4 / max(quarters[k] - last[k], 1e-3), 2) for k in range(4)
        ],
        "frames_per_s": round(report.frames / report.seconds, 2),
        "mb_per_frame": round(size / report.frames / 1e6, 3),
        "hours_for_20000": round(report.seconds * scale / 3600, 2),
        "gb_for_20000": round(size * scale / 1e9, 1),
    }


def anatomies_in(data: Path, sequences: int) -> set[int]:
    """Which anatomies the sequences on disk were drawn with, by what is stored in them."""
    found = set()
    for sequence in range(sequences):
        path = data / shard_name(sequence)
        if path.exists():
            with ShardReader(path) as shard:
                found.add(int(shard.frame(0).facts["draw"]["counters"]["anatomy"]))
    return found


def stages() -> dict[str, float]:
    """Seconds that the parts of one sequence take, and minutes of all in the whole release."""
    settings = settings_of(_ANATOMIES * _SEQUENCE)
    draw = draw_sequence(settings, 0)
    assert isinstance(draw.settings, LaparoscopySimulation)
    clock = [time.perf_counter()]
    abdomen_of(draw.settings, draw.counters["anatomy"])
    clock.append(time.perf_counter())
    prepare_shot(settings, 0)
    clock.append(time.perf_counter())
    waits: list[float] = []

    def some() -> Iterator[Frame]:
        frames = render_sequence(settings, 0)  # prepares the shot once more, within the first frame
        for _ in range(_TIMED_FRAMES):
            before = time.perf_counter()
            frame = next(frames)
            waits.append(time.perf_counter() - before)
            yield frame

    with tempfile.TemporaryDirectory() as folder:
        before = time.perf_counter()
        write_shard(Path(folder) / shard_name(0), some())
        whole = time.perf_counter() - before
    build, place = clock[1] - clock[0], clock[2] - clock[1]
    render = sorted(waits[2:])[len(waits[2:]) // 2]
    start = max(waits[0] - place - render, 0.0)
    encode = (whole - sum(waits)) / _TIMED_FRAMES
    sequences = _RELEASE / _SEQUENCE
    return {
        "build_s_per_anatomy": round(build, 2),
        "tools_and_camera_s_per_sequence": round(place, 2),
        "textures_and_first_frame_s_per_sequence": round(start, 2),
        "render_ms_per_frame": round(1e3 * render, 1),
        "encode_ms_per_frame": round(1e3 * encode, 1),
        "build_minutes": round(build * _ANATOMIES / 60, 1),
        "tools_and_camera_minutes": round(place * sequences / 60, 1),
        "textures_and_first_frame_minutes": round(start * sequences / 60, 1),
        "render_minutes": round(render * _RELEASE / 60, 1),
        "encode_minutes": round(encode * _RELEASE / 60, 1),
    }


if __name__ == "__main__":
    main()
