# SPDX-License-Identifier: Apache-2.0
"""From many measures to one score between 0 and 1, with the weights that planted damage taught.

There is one expert per kind of damage, a logistic regression whose weights cannot be negative: more
of any measure never makes a frame look better. The odds of all experts are added, and the sum is
calibrated so that the score is a probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import Field, ValidationError
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from endoforge.errors import DataError
from endoforge.evaluation.audit.measures import SCORED
from endoforge.frames.storage import parse_json, read_bytes, write_json
from endoforge.settings import Settings

#: What the score means, beside every number that is made from it.
MEANING = (
    "probability that the labels do not hold (tissue moved by 4 px or more, an organ lost or "
    "invented, textures of two organs swapped, or detail blurred away), where one frame in five "
    "is damaged; 0.5 is where damaged and good are equally likely"
)

_SHIPPED = resources.files("endoforge.evaluation.audit") / "calibration.json"
_LIMIT_BYTES = 1_000_000

#: What each expert looks at. Experts that see everything learn what goes with a domain: they judge
#: unseen scenes worse (cross-validation over scenes in docs/concepts/label-drift.md).
SENSES: Mapping[str, tuple[str, ...]] = {
    "moved": (
        *("slip_short", "slip_short_evidence", "slip_evidence", "slip_2_evidence"),
        *("slip_any_over", "slip_any_long", "slip_any_long_over", "shift_gain"),
    ),
    "lost": (
        *("object_lost", "object_lost_over", "borders_lost", "faded"),
        *("stranger_over", "edges_new"),
    ),
    "invented": ("stranger_over", "stranger_colour_over"),
    "swapped": ("light_order", "depth_worst", "depth_order"),
    "blurred": ("blurred",),
    "classes": ("classes_changed", "class_worst"),
}

#: Share of damaged frames that the score supposes.
PRIOR = 0.2

#: Added before the logarithm of a measure.
_FLOOR = 1e-3


class Expert(Settings):
    """One kind of damage as a logistic regression on log measures."""

    intercept: float = Field(0.0, description="log odds of an average frame")
    weights: dict[str, float] = Field(description="log odds per standardised log measure, >= 0")


class Calibration(Settings):
    """Everything that turns measures into a score."""

    kind: str = Field("endoforge audit calibration", pattern="^endoforge audit calibration$")
    format_version: int = Field(1, ge=1, le=1, description="of this file")
    centre: dict[str, float] = Field(description="mean of each log measure over good frames")
    spread: dict[str, float] = Field(description="its standard deviation")
    experts: dict[str, Expert] = Field(min_length=1, description="by kind of damage")
    slope: float = Field(1.0, gt=0, description="of the calibration of the logarithm of all odds")
    offset: float = Field(0.0, description="of the same")
    provenance: dict[str, Any] = Field(default_factory=dict, description="what it was fitted on")

    def worries(self, measures: Mapping[str, float]) -> dict[str, float]:
        """Log odds of each kind of damage; experts that lack a measure of theirs are silent."""
        return {
            name: expert.intercept
            + sum(w * self._standard(key, measures[key]) for key, w in expert.weights.items())
            for name, expert in self.experts.items()
            if measures.keys() >= expert.weights.keys()
        }

    def score(self, measures: Mapping[str, float]) -> float:
        """The probability of damage, see `MEANING`; 0 for a frame without anything to measure."""
        worries = self.worries(measures)
        if not worries:
            return 0.0
        return float(expit(self.slope * _together(worries) + self.offset))

    def _standard(self, name: str, value: float) -> float:
        return (float(log_measure(value)) - self.centre[name]) / self.spread[name]


@dataclass(frozen=True)
class Example:
    """A frame whose damage is known.

    Attributes:
        kind: ``"good"`` or a kind of damage.
        measures: As `Measurer.measure` returns them.
        counts: Whether it takes part in the last step, where the score becomes a probability;
            damage too small for the meaning of the score does not.
        origin: The kind of good translation that it is or was; each kind weighs the same.
    """

    kind: str
    measures: Mapping[str, float]
    counts: bool = True
    origin: str = ""


def fit_calibration(
    examples: Sequence[Example], provenance: Mapping[str, Any], ridge: float = 0.005
) -> Calibration:
    """Learn the weights from good and from damaged frames.

    Args:
        examples: Good frames, and frames of each kind of damage.
        provenance: What they are; goes into the file.
        ridge: Penalty on squared weights, per example.

    Raises:
        DataError: There are no good frames, or no damaged ones.
    """
    good = [one for one in examples if one.kind == "good"]
    kinds = sorted({one.kind for one in examples} - {"good"})
    if len(good) < 2 or not kinds:
        raise DataError(
            f"a calibration needs good and damaged frames, got {len(good)} good ones and the kinds "
            f"{', '.join(kinds) or 'none'}; plant some damage"
        )
    names = [name for name in SCORED if all(name in one.measures for one in examples)]
    table = _log_table(good, names)
    centre, spread = table.mean(axis=0), table.std(axis=0) + 0.05
    experts = {}
    for kind in kinds:
        bad = [one for one in examples if one.kind == kind]
        seen = [n for n, name in enumerate(names) if name in SENSES.get(kind, names)]
        standard = ((_log_table([*good, *bad], names) - centre) / spread)[:, seen]
        shares = _shares([*good, *bad], 0.5)
        truth = np.repeat([0.0, 1.0], [len(good), len(bad)])
        intercept, weights = _logistic(standard, truth, shares, ridge)
        pairs = zip((names[n] for n in seen), weights, strict=True)
        kept = {name: float(weight) for name, weight in pairs if weight > 1e-3}
        if kept:
            experts[kind] = Expert(intercept=intercept, weights=kept)
    first = Calibration(
        centre=dict(zip(names, centre.tolist(), strict=True)),
        spread=dict(zip(names, spread.tolist(), strict=True)),
        experts=experts,
        provenance=dict(provenance),
    )
    return _calibrated(first, [one for one in examples if one.counts])


def load_calibration(path: Path | None = None) -> Calibration:
    """Read a calibration; the shipped one without a path.

    Raises:
        DataError: The file is missing or damaged.
    """
    content = _SHIPPED.read_bytes() if path is None else read_bytes(path, _LIMIT_BYTES)
    source = "the shipped calibration" if path is None else str(path)
    try:
        calibration = Calibration.model_validate(parse_json(content, source))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{source}: {where}: {first['msg']}; restore the file") from None
    used = {name for expert in calibration.experts.values() for name in expert.weights}
    if missing := sorted(used - (calibration.centre.keys() & calibration.spread.keys())):
        raise DataError(f"{source} lacks centre and spread of {missing[0]}; restore the file")
    return calibration


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Write a calibration that `load_calibration` reads.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    write_json(path, calibration.model_dump(mode="json"))


def log_measure(value: Any) -> Any:
    """Measures are compared by their logarithm, from a small floor up."""
    return np.log(np.maximum(value, 0.0) + _FLOOR)


# ---- inside -------------------------------------------------------------------------------------


def _together(worries: Mapping[str, float]) -> float:
    """The logarithm of the sum of the experts' odds: one that is sure decides, doubts add up."""
    return float(logsumexp(list(worries.values())))


def _log_table(
    examples: Sequence[Example], names: Sequence[str]
) -> Float[np.ndarray, "examples measures"]:
    values = [[one.measures[name] for name in names] for one in examples]
    return np.asarray(log_measure(np.array(values, np.float64).reshape(len(values), len(names))))


def _shares(examples: Sequence[Example], prior: float) -> Float[np.ndarray, " examples"]:
    """What each example weighs: damaged ones `prior` together, each origin the same, in all 1."""
    labels = [(one.kind != "good", one.origin) for one in examples]
    found = {bad: {origin for worse, origin in labels if worse == bad} for bad in (False, True)}
    return np.array(
        [
            (prior if label[0] else 1 - prior) / len(found[label[0]]) / labels.count(label)
            for label in labels
        ]
    )


def _logistic(
    table: Float[np.ndarray, "examples measures"],
    truth: Float[np.ndarray, " examples"],
    weight: Float[np.ndarray, " examples"],
    ridge: float,
    lowest: float = 0.0,
) -> tuple[float, Float[np.ndarray, " measures"]]:
    """Weights of at least `lowest`; each example counts by its own weight."""
    sign = 2 * truth - 1

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x[0] + table @ x[1:])
        value = float(weight @ np.logaddexp(0, -margin) + ridge * x[1:] @ x[1:])
        pull = -weight * sign * expit(-margin)
        return value, np.concatenate([[pull.sum()], pull @ table + 2 * ridge * x[1:]])

    start = np.concatenate([[0.0], np.full(table.shape[1], 0.1)])
    bounds = [(None, None), *[(lowest, None)] * table.shape[1]]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), found.x[1:]


def _calibrated(calibration: Calibration, examples: Sequence[Example]) -> Calibration:
    """Make the logarithm of all odds together a probability (Platt 1999)."""
    odds = [_together(calibration.worries(one.measures)) for one in examples]
    truth = np.array([one.kind != "good" for one in examples], np.float64)
    shares = _shares(examples, PRIOR)
    offset, slope = _logistic(np.array(odds)[:, None], truth, shares, 1e-4, lowest=0.05)
    return calibration.model_copy(update={"slope": float(slope[0]), "offset": offset})
