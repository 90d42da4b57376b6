# SPDX-License-Identifier: Apache-2.0
"""Transfer functions as JSON files, and the shipped ones by name.

The form is in docs/reference/transfer-function.md. Numbers survive the way through a file bit by
bit.
"""

import difflib
import importlib.resources
import json
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from endoforge.errors import DataError, SettingsError
from endoforge.optics.transfer import (
    GradientRamp,
    OpticalCurve,
    TransferFunction,
    check_transfer,
)

#: What a file says of itself.
FORMAT, VERSION = "endoforge transfer function", 1

_MOST_BYTES = 1_000_000
_MOST_POINTS = 4096
_LARGEST = 1e300
_KEYS = {"format", "version", "name", "about", "anisotropy", "surface_hu_per_mm", "points"}
_OPTIONAL = {"about", "organs", "gradient"}
_GRADIENT_KEYS = ("from_hu_per_mm", "to_hu_per_mm", "floor")
_POINT_KEYS = ("hu", "extinction_per_mm", "albedo", "roughness", "f0")


def preset_names() -> tuple[str, ...]:
    """Names of the shipped transfer functions."""
    files = _presets().iterdir()
    return tuple(sorted(f.name.removesuffix(".json") for f in files if f.name.endswith(".json")))


def preset(name: str) -> TransferFunction:
    """A shipped transfer function.

    Raises:
        SettingsError: There is none of that name; names the nearest.
    """
    known = preset_names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise SettingsError(f"no transfer function {name!r} is shipped; {hint}")
    content = _presets().joinpath(f"{name}.json").read_bytes()
    return transfer_from_json(content, f"{name}.json")


def read_transfer(path: Path) -> TransferFunction:
    """Read a transfer function from a JSON file.

    Raises:
        DataError: The file cannot be read, is too large or has another form.
        SettingsError: It says what cannot be drawn.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read the transfer function {path}: {error}") from None
    if len(content) > _MOST_BYTES:
        raise DataError(f"{path} has over {_MOST_BYTES} bytes; a transfer function has fewer")
    return transfer_from_json(content, str(path))


def transfer_from_json(content: bytes | str, source: str) -> TransferFunction:
    """Read a transfer function from the text of its file.

    Args:
        content: UTF-8 JSON.
        source: Names the file in errors.

    Raises:
        DataError: It has another form: not JSON, or keys that are missing or unknown.
        SettingsError: It says what cannot be drawn.
    """
    try:
        values = json.loads(content, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{source} is not plain JSON: {' '.join(str(error).split())[:200]}"
        ) from None
    return transfer_from_dict(values, source)


def transfer_from_dict(values: Any, source: str) -> TransferFunction:
    """Build a transfer function from plain values; the other way of `transfer_to_dict`.

    Raises:
        DataError: Keys are missing or unknown, or values of the wrong kind.
        SettingsError: It says what cannot be drawn.
    """
    _check_keys(values, _KEYS - _OPTIONAL, _KEYS | _OPTIONAL, source)
    if (values["format"], values["version"]) != (FORMAT, VERSION):
        raise DataError(
            f"{source} says format {values['format']!r:.60} version {values['version']!r:.20}; "
            f"expected {FORMAT!r} version {VERSION}"
        )
    organs = values.get("organs", {})
    if not isinstance(organs, dict):
        raise DataError(f"{source}: organs must be a group of point lists, got {organs!r:.60}")
    transfer = TransferFunction(
        name=_text(values, "name", source),
        about=_text(values, "about", source) if "about" in values else "",
        anisotropy=_number(values["anisotropy"], "anisotropy", source),
        surface_hu_per_mm=_number(values["surface_hu_per_mm"], "surface_hu_per_mm", source),
        curve=_curve(values["points"], f"{source}: points"),
        organs={
            name: _curve(points, f"{source}: organs.{name}") for name, points in organs.items()
        },
        gradient=_gradient(values["gradient"], source) if "gradient" in values else None,
    )
    return check_transfer(transfer)


def transfer_to_dict(transfer: TransferFunction) -> dict[str, Any]:
    """The plain values that a file holds."""
    ramp = transfer.gradient
    steep = (
        {} if ramp is None else {"gradient": {key: getattr(ramp, key) for key in _GRADIENT_KEYS}}
    )
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": transfer.name,
        "about": transfer.about,
        "anisotropy": transfer.anisotropy,
        "surface_hu_per_mm": transfer.surface_hu_per_mm,
        **steep,
        "points": _points(transfer.curve),
        "organs": {name: _points(curve) for name, curve in transfer.organs.items()},
    }


def transfer_to_json(transfer: TransferFunction) -> str:
    """The text of a file: one point to a line, every number so that it reads back exactly."""
    values = transfer_to_dict(transfer)
    organs = values.pop("organs")
    points = values.pop("points")
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in values.items()]
    lines.append(f'  "points": {_lines(points, 2)},')
    inside = [f"    {json.dumps(name)}: {_lines(rows, 4)}" for name, rows in organs.items()]
    body = "{\n" + ",\n".join(inside) + "\n  }" if inside else "{}"
    return "{\n" + "\n".join(lines) + f'\n  "organs": {body}\n}}\n'


def write_transfer(path: Path, transfer: TransferFunction) -> None:
    """Write a transfer function to a JSON file.

    Raises:
        SettingsError: It cannot be drawn.
        DataError: The file cannot be written.
    """
    text = transfer_to_json(check_transfer(transfer))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write the transfer function {path}: {error}") from None


# ---- inside -------------------------------------------------------------------------------------


def _presets() -> Traversable:
    return importlib.resources.files("endoforge.recipes").joinpath("transfer")


def _lines(points: list[dict[str, Any]], indent: int) -> str:
    pad = " " * indent
    return "[\n" + ",\n".join(f"{pad}  {json.dumps(p)}" for p in points) + f"\n{pad}]"


def _points(curve: OpticalCurve) -> list[dict[str, Any]]:
    columns = [getattr(curve, key).tolist() for key in _POINT_KEYS]
    return [dict(zip(_POINT_KEYS, row, strict=True)) for row in zip(*columns, strict=True)]


def _curve(points: Any, source: str) -> OpticalCurve:
    if not isinstance(points, list) or not 2 <= len(points) <= _MOST_POINTS:
        raise DataError(
            f"{source} must be a list of 2 to {_MOST_POINTS} points, got {points!r:.60}"
        )
    for number, point in enumerate(points):
        _check_keys(point, set(_POINT_KEYS), set(_POINT_KEYS), f"{source}[{number}]")
    columns = {
        key: np.array([_value(point[key], key, f"{source}[{k}]") for k, point in enumerate(points)])
        for key in _POINT_KEYS
    }
    return OpticalCurve(**columns)


def _gradient(values: Any, source: str) -> GradientRamp:
    source = f"{source}: gradient"
    _check_keys(values, set(_GRADIENT_KEYS[:2]), set(_GRADIENT_KEYS), source)
    numbers = {key: _number(value, key, source) for key, value in values.items()}
    return GradientRamp(**numbers)


def _value(value: Any, key: str, source: str) -> Any:
    if key != "albedo":
        return _number(value, key, source)
    if not isinstance(value, list) or len(value) != 3:
        raise DataError(f"{source}: albedo must be three numbers, got {value!r:.60}")
    return [_number(part, key, source) for part in value]


def _number(value: Any, key: str, source: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) <= _LARGEST:
        raise DataError(f"{source}: {key} must be a number, got {value!r:.60}")
    return float(value)


def _text(values: Mapping[str, Any], key: str, source: str) -> str:
    if not isinstance(values[key], str):
        raise DataError(f"{source}: {key} must be text, got {values[key]!r:.60}")
    return str(values[key])


def _check_keys(values: Any, needed: set[str], known: set[str], source: str) -> None:
    if not isinstance(values, dict):
        raise DataError(f"{source} must be a group of keys, got {values!r:.60}")
    if unknown := sorted(set(values) - known):
        near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise DataError(f"{source} has the unknown key {unknown[0]!r:.60}; {hint}")
    if missing := sorted(needed - set(values)):
        raise DataError(f"{source} lacks {missing[0]!r}; it needs {', '.join(sorted(needed))}")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice in one group")
    return values
