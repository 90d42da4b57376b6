# SPDX-License-Identifier: Apache-2.0
"""What a recipe may say instead of a number: a distribution that is drawn from once per sequence.

::

    gain: 1.0                                       fixed
    gain: [0.9, 1.1]                                uniform
    gain: {log_uniform: [0.5, 2.0]}                 even in its logarithm
    gain: {normal: [1.0, 0.1], within: [0.7, 1.3]}  normal, drawn again until it lies within
    gain: {choice: [0.5, 1.0], weights: [1, 3]}     one of several

`drawn` turns settings with distributions into settings of fixed numbers, each parameter from its
own stream. That record is stored with the frames; given back as settings it draws the same again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic.fields import FieldInfo
from typing_extensions import TypeAliasType

from endoforge.settings import Interval, Settings

if TYPE_CHECKING:  # a person who asks for help has no need of NumPy
    from numpy.random import Generator

_ATTEMPTS = 1000

T = TypeVar("T")
SettingsT = TypeVar("SettingsT", bound=Settings)


class LogUniform(Settings):
    """Even in its logarithm between two ends above 0."""

    log_uniform: Interval

    @model_validator(mode="after")
    def _plausible(self) -> "LogUniform":
        if not self.log_uniform[0] > 0:
            raise ValueError(f"a log-uniform's ends must be above 0, got {self.log_uniform}")
        return self


class Normal(Settings):
    """Mean and standard deviation, cut off at four deviations or where `within` says."""

    normal: tuple[float, float]
    within: Interval | None = None

    @model_validator(mode="after")
    def _plausible(self) -> "Normal":
        mean, deviation = self.normal
        if deviation < 0:
            raise ValueError(f"a standard deviation must be 0 or more, got {deviation}")
        low, high = self.ends
        if high < mean - 4 * deviation or low > mean + 4 * deviation:
            raise ValueError(f"{self.normal} hardly ever lies within {low} to {high}")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest value."""
        mean, deviation = self.normal
        return self.within or (mean - 4 * deviation, mean + 4 * deviation)


class Choice(Settings, Generic[T]):
    """One of several values, equally likely unless weights are given."""

    choice: tuple[T, ...] = Field(min_length=1)
    weights: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _plausible(self) -> "Choice[T]":
        if self.weights is None:
            return self
        if len(self.weights) != len(self.choice) or min(self.weights) < 0 or not sum(self.weights):
            raise ValueError(
                f"{len(self.choice)} values need as many weights from 0 up, got {self.weights}"
            )
        return self

    def pick(self, rng: "Generator") -> T:
        """Draw one of the values."""
        total = sum(self.weights or ())
        share = None if self.weights is None else [weight / total for weight in self.weights]
        return self.choice[int(rng.choice(len(self.choice), p=share))]


@dataclass(frozen=True)
class _PerSequence:
    """Marks fields that `drawn` fixes."""

    whole: bool = False


def _as_pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int | float) else value


def _ordered(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise ValueError(f"the lower end {value[0]} is above the upper end {value[1]}")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, LogUniform | Normal | Choice):
        value = value.model_dump()
    if not isinstance(value, dict):
        return "(ends)"
    known = [name for name in ("log_uniform", "normal", "choice") if name in value]
    return f"({known[0]})" if known else "(ends)"


def _option_kind(value: Any) -> str:
    return "(choice)" if isinstance(value, dict | Choice) else "(word)"


# A named alias, because a plain one would leave the T of Choice open: any word would pass.
_Word = TypeAliasType(
    "_Word",
    Annotated[
        Annotated[T, Tag("(word)")] | Annotated[Choice[T], Tag("(choice)")],
        Discriminator(_option_kind),
    ],
    type_params=(T,),
)

#: What a distribution may be once it was read.
Drawable = Interval | LogUniform | Normal | Choice[float]
_Told = Annotated[
    Annotated[Interval, Tag("(ends)")]
    | Annotated[LogUniform, Tag("(log_uniform)")]
    | Annotated[Normal, Tag("(normal)")]
    | Annotated[Choice[float], Tag("(choice)")],
    Discriminator(_kind),
    BeforeValidator(_as_pair),
]

#: A number that is drawn once per sequence.
Distribution = Annotated[_Told, _PerSequence()]

#: A number that is drawn anew for every item within a sequence, e.g. every polyp.
Spread = _Told

#: A whole number that is drawn once per sequence: fixed, or both ends included.
Count = Annotated[
    tuple[int, int], BeforeValidator(_as_pair), AfterValidator(_ordered), _PerSequence(whole=True)
]

#: A word that is chosen once per sequence: ``Option[Literal["insertion", "withdrawal"]]``.
Option = Annotated[_Word[T], _PerSequence()]


def draw(distribution: Drawable, rng: "Generator") -> float:
    """Draw one number."""
    match distribution:
        case LogUniform(log_uniform=(low, high)):
            return float(math.exp(rng.uniform(math.log(low), math.log(high))))
        case Normal():
            return _draw_normal(distribution, rng)
        case Choice():
            return float(distribution.pick(rng))
        case (low, high):
            return float(rng.uniform(low, high))


def draw_count(ends: tuple[int, int], rng: "Generator") -> int:
    """Draw a whole number, both ends included."""
    return int(rng.integers(ends[0], ends[1] + 1))


def ends_of(distribution: Drawable) -> tuple[float, float]:
    """Smallest and largest number that can be drawn."""
    match distribution:
        case LogUniform(log_uniform=ends):
            return ends
        case Normal():
            return distribution.ends
        case Choice(choice=values):
            return min(values), max(values)
        case (low, high):
            return low, high


def check_ends(settings: Settings, limits: Mapping[str, tuple[float, float]]) -> None:
    """Refuse distributions that leave their outer limits; for a class's own validator.

    Raises:
        ValueError: Names the parameter, its limits and what came.
    """
    for name, (low, high) in limits.items():
        ends = ends_of(getattr(settings, name))
        if not low <= ends[0] <= ends[1] <= high:
            raise ValueError(f"{name} must lie within {low} to {high}, got {ends}")


def drawn(settings: SettingsT, seed: int, purpose: str, *counters: int) -> SettingsT:
    """Fix every per-sequence distribution in the settings, each from a stream of its own name.

    Args:
        settings: May hold further settings, also in tuples; all are looked through.
        seed: The run's seed.
        purpose: Names the streams, with the path of each parameter.
        *counters: Where in the run, e.g. the sequence number.

    Returns:
        Settings of the same class; drawing from them again gives the same numbers.
    """
    from endoforge.streams import stream

    changes: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        path = f"{purpose}.{name}"
        mark = _mark_of(field)
        rng = stream(seed, path, *counters)
        changes[name] = (
            _fixed(getattr(settings, name), mark, rng)
            if mark
            else _drawn_inside(getattr(settings, name), seed, path, *counters)
        )
    return settings.model_copy(update=changes)


def _mark_of(field: FieldInfo) -> _PerSequence | None:
    """The mark of a field, also of one that may be None."""
    marks = [*field.metadata]
    for member in get_args(field.annotation):
        marks += getattr(member, "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, _PerSequence)), None)


def _fixed(value: Any, mark: _PerSequence, rng: "Generator") -> Any:
    """One parameter's draw, in the form that its settings hold."""
    if value is None:
        return None
    if mark.whole:
        return (draw_count(value, rng),) * 2
    if isinstance(value, Choice) and not isinstance(value.choice[0], int | float):
        return value.pick(rng)
    return value if isinstance(value, str) else (draw(value, rng),) * 2


def _drawn_inside(value: Any, seed: int, path: str, *counters: int) -> Any:
    if isinstance(value, Settings) and not isinstance(value, LogUniform | Normal | Choice):
        return drawn(value, seed, path, *counters)
    if isinstance(value, tuple) and value and isinstance(value[0], Settings):
        return tuple(drawn(v, seed, f"{path}.{k}", *counters) for k, v in enumerate(value))
    return value


def _draw_normal(distribution: Normal, rng: "Generator") -> float:
    low, high = distribution.ends
    for _ in range(_ATTEMPTS):
        value = float(rng.normal(*distribution.normal))
        if low <= value <= high:
            return value
    return min(max(distribution.normal[0], low), high)
