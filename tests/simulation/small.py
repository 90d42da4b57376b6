# SPDX-License-Identifier: Apache-2.0
"""A simulation that takes a second: few small frames in short colons."""

from pathlib import Path

from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.settings import ColonSimulation

SMALL = [
    "frames=7",
    "sequence_frames=3",
    "seed=7",
    "anatomy.length_mm=130",
    "camera.width=48",
    "camera.height=40",
]


def small_patient(mask: Path, *assignments: str) -> ColonSimulation:
    """The same in the lumen of a mask."""
    kept = [text for text in SMALL if not text.startswith("anatomy.")]
    return load_recipe("colon", {}, [*kept, f"anatomy.mask={mask}", *assignments])


def small_simulation(*assignments: str) -> ColonSimulation:
    return load_recipe("colon", {}, [*SMALL, *assignments])
