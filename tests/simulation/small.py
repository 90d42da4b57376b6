# SPDX-License-Identifier: Apache-2.0
"""A simulation that takes a second: few small frames in short colons."""

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


def small_simulation(*assignments: str) -> ColonSimulation:
    return load_recipe("colon", {}, [*SMALL, *assignments])
