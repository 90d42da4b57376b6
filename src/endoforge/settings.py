# SPDX-License-Identifier: Apache-2.0
"""The base of every settings class, and one-line answers to wrong settings.

What a particular stage can be told lives beside that stage; this file only knows how settings
behave: read-only, complete, and unknown keys refused with the nearest valid name.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from endoforge.errors import SettingsError

_MAX_TEXT_BYTES = 1_000_000
_MAX_DEPTH = 50


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    low, high = value
    if low > high:
        raise ValueError(f"the lower end {low} is above the upper end {high}")
    return value


#: Lower and upper end of a range.
Interval = Annotated[tuple[float, float], AfterValidator(_ordered)]


class Settings(BaseModel):
    """Base of every settings class: read-only, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def check_ranges(settings: Settings, limits: Mapping[str, tuple[float, float]]) -> None:
    """Refuse intervals that leave their outer limits; for a class's own validator.

    Raises:
        ValueError: Names the range, its limits and what came.
    """
    for name, (low, high) in limits.items():
        drawn = getattr(settings, name)
        if not low <= drawn[0] <= drawn[1] <= high:
            raise ValueError(f"{name} must lie within {low} to {high}, got {drawn}")


SettingsT = TypeVar("SettingsT", bound=Settings)


def validate(kind: type[SettingsT], values: Mapping[str, Any]) -> SettingsT:
    """Build settings from plain values, or say in one line what is wrong with them.

    Raises:
        SettingsError: Names the key's full path, the value that came, and the nearest valid key.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_one_line(kind, error)) from None


def keys_of(group: Any) -> dict[str, Any] | None:
    """The keys that a group of settings has, written or read; None for what is no group.

    For telling the members of a union apart. Their tags are in round brackets: messages leave such
    parts of a path out, because no user wrote them.
    """
    return dict(group) if isinstance(group, dict | BaseModel) else None


def override(values: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Apply ``a.b=value`` assignments to nested plain values and return the new values.

    The value is read as YAML without tags or aliases, so numbers, lists and ``true`` work.

    Example:
        >>> override({"camera": {"width": 320}}, ["camera.width=640"])
        {'camera': {'width': 640}}
    """
    result = _copied(values)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise SettingsError(f"expected KEY=VALUE after --set, got {assignment!r}")
        node = result
        *parents, last = path.split(".")
        for parent in parents:
            child = node.setdefault(parent, {})
            if not isinstance(child, dict):
                raise SettingsError(f"{path!r} goes through {parent!r}, which is not a group")
            node = child
        node[last] = read_yaml(text, source=f"--set {path}")
    return result


def read_settings_file(path: Path) -> dict[str, Any]:
    """Read a YAML settings file as plain values.

    Raises:
        SettingsError: The file is missing, over 1 MB, or not a plain mapping.
    """
    try:
        size = path.stat().st_size
        if size > _MAX_TEXT_BYTES:
            raise SettingsError(f"{path} has {size} bytes; a settings file has at most 1,000,000")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the settings file {path}: {error}") from None
    values = read_yaml(text, source=str(path))
    if not isinstance(values, dict):
        raise SettingsError(f"{path} holds {type(values).__name__}; expected a mapping of settings")
    return values


def read_yaml(text: str, source: str) -> Any:
    """Read YAML as plain values: no tags, no aliases, at most 50 levels.

    Raises:
        SettingsError: Says where the text comes from and what is wrong with it.
    """
    try:
        return _PlainLoader(text).get_single_data()
    except (yaml.YAMLError, RecursionError) as error:
        problem = " ".join(str(error).split())[:200]
        raise SettingsError(f"{source} is not plain YAML: {problem}") from None


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that also refuses aliases and deep nesting."""

    _level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed in settings")
        self._level += 1
        if self._level > _MAX_DEPTH:
            raise yaml.YAMLError(f"more than {_MAX_DEPTH} levels of nesting")
        node = super().compose_node(parent, index)
        self._level -= 1
        return node


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copied(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def _one_line(kind: type[Settings], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = [str(part) for part in first["loc"] if not str(part).startswith("(")]  # a kind's tag
    key = ".".join(where) or kind.__name__
    if first["type"] == "extra_forbidden":
        hint = _nearest(where[-1], _fields_at(kind, where[:-1]))
        return f"unknown setting {key!r}; {hint}"
    if not where and first["type"] == "value_error":  # several keys together; they are in the words
        return _said(first)
    shown = repr(first.get("input"))
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return f"setting {key!r}: {_said(first)} (got {shown})"


def _said(error: ErrorDetails) -> str:
    """What is wrong, without names that are only ours."""
    match error["type"]:
        case "union_tag_not_found":
            return "expected a group of settings"
        case "union_tag_invalid":
            tag, known = (re.sub(r"[()']", "", error["ctx"][k]) for k in ("tag", "expected_tags"))
            return f"there is no {tag!r}; expected one of {known}"
        case _:
            return error["msg"].removeprefix("Value error, ")


def _nearest(name: str, known: set[str]) -> str:
    """Say which valid key was meant."""
    if name in known:  # valid in another member of the same union
        return "it belongs to another choice than the one that the other settings make"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"valid here: {', '.join(sorted(known))}"


def _fields_at(kind: type[BaseModel], path: Sequence[str]) -> set[str]:
    """Names that are valid at a path inside a settings class, over all members of a union."""
    kinds = {kind}
    for part in path:
        fields = [k.model_fields[part].annotation for k in kinds if part in k.model_fields]
        if fields:  # other parts of the path are places in a list
            kinds = {found for annotation in fields for found in _models_in(annotation)}
    return {name for k in kinds for name in k.model_fields}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
