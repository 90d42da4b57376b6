# SPDX-License-Identifier: Apache-2.0
"""What every experiment is made of: one folder with one size of it, and data sets made once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endoforge.errors import DataError, EndoforgeError
from endoforge.frames.storage import make_folder, parse_json, read_bytes, write_json
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset

Say = Callable[[str], None]

SETTINGS_FILE = "experiment.json"
LARGEST_RESULT_BYTES = 50_000_000


@dataclass(frozen=True)
class WantedSet:
    """A data set that an experiment needs.

    Attributes:
        folder: Where it goes.
        recipe: Name of the recipe.
        changes: Top-level settings that differ: frames, seed, sequence_frames.
        assignments: ``"a.b=value"`` strings.
    """

    folder: Path
    recipe: str
    changes: Mapping[str, Any]
    assignments: tuple[str, ...]


def open_experiment(out: Path, values: Mapping[str, Any]) -> None:
    """Make the folder, or refuse it when it holds the experiment with other settings.

    Raises:
        DataError: It does; names the first setting that differs.
        StorageError: The folder cannot be written.
    """
    make_folder(out)
    file = out / SETTINGS_FILE
    if not file.exists():
        write_json(file, values)
        return
    before = parse_json(read_bytes(file, LARGEST_RESULT_BYTES), str(file))
    if before != values:
        key = next(k for k in values if before.get(k) != values[k])
        raise DataError(
            f"{out} holds this experiment with {key} {before.get(key)}, asked for was "
            f"{values[key]}; give the same settings to go on, or another folder"
        )


def simulated(wanted: WantedSet, workers: int, say: Say) -> Path:
    """Make a data set, or what is missing of it, and return its folder.

    Raises:
        EndoforgeError: A sequence failed; names it.
    """
    frames = wanted.changes["frames"]
    say(f"simulate {wanted.folder.name}: {frames} frames of {wanted.recipe}")
    told = load_recipe(wanted.recipe, dict(wanted.changes), wanted.assignments)
    report = simulate_dataset(told, wanted.folder, workers)
    if not report.complete:
        first = next(iter(report.failures.items()))
        raise EndoforgeError(
            f"{wanted.folder} has {report.frames} of {frames} frames: sequence {first[0]} failed "
            f"({first[1]}); run again, or choose another seed"
        )
    return wanted.folder
