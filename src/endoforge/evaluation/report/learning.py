# SPDX-License-Identifier: Apache-2.0
"""Learning curves from a run's metrics: losses as they were reported and smoothed, validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from endoforge.evaluation.report.charts import Chart, Series, line_chart

#: Width of the window of the smoothed curve, as a share of all reports.
_WINDOW = 0.06

#: Colours of curves in the style sheet.
_COLOURS = 6

_BOOKKEEPING = {"step", "wall_s", "skipped", "learning_rate"}
_ERRORS = ("abs_rel", "abs_rel_median_scaled", "abs_rel_scale_shifted", "rmse_log", "log10")


@dataclass(frozen=True)
class Curves:
    """A chart with its legend (name and number of its colour) and caption."""

    title: str
    chart: Markup
    legend: tuple[tuple[str, int], ...]
    caption: str


def learning_charts(metrics: Sequence[Mapping[str, Any]]) -> list[Curves]:
    """Charts of the training losses and of the validation figures; empty without metrics."""
    names = sorted({name for line in metrics for name in line} - _BOOKKEEPING)
    losses = [name for name in names if not name.startswith("validation/")]
    errors = [f"validation/{name}" for name in _ERRORS if f"validation/{name}" in names]
    held_out = [name for name in names if name.count("/") > 1]  # validation/<player>/<loss>
    charts = []
    for title, names in _by_player(losses):
        charts.append(
            _curves(
                title,
                metrics,
                names,
                "Faint: each report's mean. Strong: the same, smoothed. Logarithmic scale where "
                "all are positive.",
            )
        )
    if errors:
        charts.append(
            _curves(
                "Held-out figures",
                metrics,
                errors,
                "On sequences that the network does not learn from. Lower is better.",
            )
        )
    for title, names in _by_player(held_out):
        caption = "The same losses on pictures that are not learnt from."
        charts.append(_curves(title.replace("Training", "Held-out"), metrics, names, caption))
    return [chart for chart in charts if chart is not None]


# ---- inside -------------------------------------------------------------------------------------


def _by_player(losses: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Losses of one player together, at most as many in a chart as there are colours."""
    players: dict[str, list[str]] = {}
    for name in losses:
        players.setdefault(name.rpartition("/")[0], []).append(name)
    groups = []
    for player, names in players.items():
        whose = player.removeprefix("validation/")
        title = "Training losses" + (f" of {whose}" if len(players) > 1 else "")
        parts = range(0, len(names), _COLOURS)
        groups += [(title, names[start : start + _COLOURS]) for start in parts]
    return groups


def _curves(
    title: str, metrics: Sequence[Mapping[str, Any]], names: Sequence[str], caption: str
) -> Curves:
    validation = names[0].startswith("validation/")
    series: list[Series] = []
    for colour, name in enumerate(names):
        steps, values = _column(metrics, name)
        shown = name.rpartition("/")[2].replace("_", " ")
        if validation or len(values) < 8:
            series.append(Series(shown, steps, values, colour=colour))
        else:
            series.append(Series(shown, steps, values, faint=True, colour=colour))
            series.append(Series(shown, steps, _smoothed(values), colour=colour))
    low_to_high = _all_positive(series)
    chart = Chart(f"{title}: {', '.join(names)}", "step", "value", log_y=low_to_high)
    legend = tuple((s.name, s.colour) for s in series if not s.faint)
    return Curves(title, line_chart(chart, series), legend, caption)


def _column(metrics: Sequence[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of one figure, without the lines that lack it."""
    pairs = [
        (float(line["step"]), float(line[name]))
        for line in metrics
        if isinstance(line.get(name), int | float)
    ]
    return [step for step, _ in pairs], [value for _, value in pairs]


def _smoothed(values: Sequence[float]) -> list[float]:
    """Mean over a window around each value; the window shrinks towards both ends."""
    half = max(1, round(_WINDOW * len(values) / 2))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    reach = np.minimum(half, np.minimum(places, len(values) - 1 - places))
    means = (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)
    return [float(mean) for mean in means]


def _all_positive(series: Sequence[Series]) -> bool:
    values = [value for s in series for value in s.y]
    return bool(values) and min(values) > 0
