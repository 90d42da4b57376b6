# SPDX-License-Identifier: Apache-2.0
"""From a kind's name to an instrument."""

from collections.abc import Callable, Mapping

from endoforge.scene.instruments.channel_tools import forceps, snare
from endoforge.scene.instruments.records import Instrument
from endoforge.scene.instruments.suction import suction
from endoforge.scene.instruments.tools import clipper, dissector, grasper, hook, scissors

_BUILDERS: Mapping[str, Callable[[float, bool], Instrument]] = {
    "grasper": grasper,
    "dissector": dissector,
    "scissors": scissors,
    "hook": hook,
    "clipper": clipper,
    "suction": suction,
}
_STEEL = frozenset({"clipper", "suction"})
_USUAL_MM = 5.0
_CLIPPER_MM = 10.0


def build_tool(kind: str, diameter_mm: float | None = None, shaft: str = "usual") -> Instrument:
    """Build an instrument for a port.

    Args:
        kind: Which.
        diameter_mm: Of the shaft; 10 for a clipper and 5 for all others if None.
        shaft: ``"steel"``, ``"plastic"`` (black insulation) or ``"usual"``.
    """
    usual = _CLIPPER_MM if kind == "clipper" else _USUAL_MM
    steel = kind in _STEEL if shaft == "usual" else shaft == "steel"
    return _BUILDERS[kind](diameter_mm or usual, steel)


def build_channel_tool(kind: str) -> Instrument:
    """Build a tool for an endoscope's working channel."""
    return forceps() if kind == "forceps" else snare()
