# SPDX-License-Identifier: Apache-2.0
"""Plain values as texts for the tables of the page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST = 400


@dataclass(frozen=True)
class Row:
    """A name and a text."""

    name: str
    text: str


def rows_of(values: Mapping[str, Any]) -> list[Row]:
    """Nested plain values as rows with dotted names."""
    return [Row(name, _text(value)) for name, value in _flat(values, "")]


def facts_of(facts: Iterable[tuple[str, Any]]) -> list[Row]:
    """Pairs as rows, as they come."""
    return [Row(name, _text(value)) for name, value in facts]


def duration(seconds: float) -> str:
    """Seconds the way people say them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def _flat(values: Mapping[str, Any], before: str) -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    many = isinstance(value, list | tuple)
    text = ", ".join(_text(v) for v in value) if many else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
