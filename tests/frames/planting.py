# SPDX-License-Identifier: Apache-2.0
"""Ways to plant a fault with hashes that agree, so that only the labels can give it away."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from endoforge.frames import shards
from endoforge.frames.check import CheckReport
from endoforge.frames.frame import Frame
from endoforge.frames.journal import JOURNAL, read_journal
from endoforge.frames.manifest import MANIFEST
from endoforge.frames.shards import ShardReader, read_shard, shard_name, write_shard
from endoforge.frames.storage import sha256_of


def change_manifest(folder: Path, **changes) -> None:
    values = json.loads((folder / MANIFEST).read_text()) | changes
    (folder / MANIFEST).write_text(json.dumps(values))


def change_journal(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    lines = (folder / JOURNAL).read_text().splitlines()
    (folder / JOURNAL).write_text("".join(line + "\n" for line in change(lines)))


def relist(folder: Path) -> None:
    lines = []
    for record in read_journal(folder):
        path = folder / record.shard
        new = replace(record, bytes=path.stat().st_size, sha256=sha256_of(path))
        lines.append(json.dumps(asdict(new)))
    change_journal(folder, lambda _: lines)


def rewrite(
    folder: Path,
    change: Callable[[Frame], Frame],
    every: bool = False,
    depth_scale_mm: float = 0.005,
) -> None:
    """Change the middle frame of sequence 1 (or all frames), with hashes that agree."""
    for record in read_journal(folder):
        path = folder / record.shard
        frames = [
            change(f) if every or (f.sequence, f.index) == (1, 1) else f for f in read_shard(path)
        ]
        write_shard(path, frames, depth_scale_mm)
    relist(folder)


def swap_labels(folder: Path, *fields: str) -> None:
    """Give two frames of a sequence each other's labels."""
    path = folder / shard_name(1)
    a, b, c = read_shard(path)
    first = replace(a, **{name: getattr(c, name) for name in fields})
    last = replace(c, **{name: getattr(a, name) for name in fields})
    write_shard(path, [first, b, last])
    relist(folder)


def replace_file(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change one file of the middle frame of sequence 1, with hashes that agree."""
    path = folder / shard_name(1)
    parts = []
    with ShardReader(path) as shard:
        for position in range(len(shard)):
            for member, data in shard.members(position).items():
                data = change(data) if (position, member) == (1, name) else data
                full = f"{position:06d}.{member}"
                parts += [shards._header(full, len(data)), data, bytes(-len(data) % 512)]
    path.write_bytes(b"".join(parts) + bytes(1024))
    relist(folder)


def edit(**changes) -> Callable[[Frame], Frame]:
    """Change arrays of a frame, each by a function of the array and the frame."""
    return lambda f: replace(f, **{k: v(getattr(f, k).copy(), f) for k, v in changes.items()})


def kinds(report: CheckReport) -> set[str]:
    return {problem.kind for problem in report.problems}
