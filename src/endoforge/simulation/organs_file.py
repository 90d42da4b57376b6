# SPDX-License-Identifier: Apache-2.0
"""The organs of one patient as one file beside the shards.

Reading a segmented CT takes many times as long as reading this file, and every worker and every
drawn variation of the same patient needs it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from endoforge.scene.anatomy.abdomen.given import Given
from endoforge.scene.anatomy.abdomen.organs import Organ
from endoforge.scene.anatomy.abdomen.volumes import Grid, Volume
from endoforge.simulation.array_files import opened_arrays, write_arrays

ORGANS_FILE = "organs.npz"


def write_organs(path: Path, given: Given) -> None:
    """Write a patient's organs, whole or not at all; nothing of them is rounded.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    words = []
    for name, organ in given.organs.items():
        grid = organ.volume.grid
        words.append([name, organ.name, organ.label, organ.material, grid.step_mm])
        parts = {
            "vertices_mm": organ.vertices_mm,
            "faces": organ.faces,
            "tint": organ.tint,
            "stain": organ.stain,
            "values": organ.volume.values,
            "origin_mm": grid.origin_mm,
        }
        arrays |= {f"{name}/{key}": value for key, value in parts.items() if value is not None}
    told = {"organs": words, "record": dict(given.record), "complete": given.complete}
    arrays["told"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
    write_arrays(path, arrays)


def read_organs(path: Path) -> Given:
    """Read organs that `write_organs` wrote.

    Raises:
        DataError: The file is damaged; removing it makes the next run read the patient again.
    """
    with opened_arrays(path) as file:
        told = json.loads(file["told"].tobytes())
        organs = {words[0]: _organ(file, words) for words in told["organs"]}
        return Given(organs, told["record"], told["complete"])


def _organ(file: Any, words: list[Any]) -> Organ:
    """One organ of an open file."""
    key, name, label, material, step_mm = words
    values = file[f"{key}/values"]
    i, j, k = values.shape
    return Organ(
        name=name,
        label=label,
        material=material,
        vertices_mm=file[f"{key}/vertices_mm"],
        faces=file[f"{key}/faces"],
        tint=file[f"{key}/tint"],
        volume=Volume(Grid(file[f"{key}/origin_mm"], step_mm, (i, j, k)), values),
        stain=file.get(f"{key}/stain"),
    )
