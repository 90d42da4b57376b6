# SPDX-License-Identifier: Apache-2.0
"""The charts of the report: curves, histograms, shares, grouped bars."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from endoforge.evaluation.report.svg import (
    Attribute,
    Axis,
    drawing,
    element,
    label,
    line,
    number,
    polyline,
)

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 14, 42
_MOST_POINTS = 400


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: In the legend.
        x: Places, in the unit of the chart's horizontal axis.
        y: Values.
        faint: Drawn thin and pale, without a legend entry.
        colour: Number of the style sheet's series colour.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    faint: bool = False
    colour: int = 0


@dataclass(frozen=True)
class Chart:
    """What a chart says around its data: title for those who cannot see it, and its two axes."""

    description: str
    x_name: str
    y_name: str
    log_x: bool = False
    log_y: bool = False
    width: int = 620
    height: int = 300


@dataclass(frozen=True)
class Bar:
    """One bar: a name, a value, a text beside it, and its colour."""

    name: str
    value: float
    text: str
    colour: str = ""


@dataclass(frozen=True)
class Group:
    """Bars that stand together under one name; missing values are None."""

    name: str
    values: Sequence[float | None] = field(default_factory=tuple)


def line_chart(chart: Chart, series: Sequence[Series]) -> Markup:
    """Curves over a common axis."""
    xs = [v for s in series for v in s.x]
    ys = [v for s in series for v in s.y]
    x = Axis.around(xs, _LEFT, chart.width - _RIGHT, chart.log_x)
    near_zero = not chart.log_y and min(ys, default=1) > 0 and min(ys) < 0.5 * max(ys)
    y = Axis.around(ys + [0.0] * near_zero, chart.height - _BOTTOM, _TOP, chart.log_y)
    curves = []
    for s in sorted(series, key=lambda s: not s.faint):
        stride = max(1, len(s.x) // _MOST_POINTS)
        points = [
            (x.place(a), y.place(b)) for a, b in zip(s.x[::stride], s.y[::stride], strict=True)
        ]
        kind = f"curve c{s.colour}" + (" faint" if s.faint else "")
        curves.append(_curve(points, kind))
    return _framed(chart, x, y, *curves)


def histogram(chart: Chart, edges: Sequence[float], counts: Sequence[float]) -> Markup:
    """Columns between edges; counts are shown as a share of their sum, in percent."""
    edges, counts = _without_empty_ends(edges, counts)
    total = sum(counts) or 1.0
    shares = [100 * c / total for c in counts]
    x = Axis(edges[0], edges[-1], _LEFT, chart.width - _RIGHT, chart.log_x)
    y = Axis(0, max([*shares, 1e-9]) * 1.05, chart.height - _BOTTOM, _TOP)
    columns = []
    for low, high, share in zip(edges[:-1], edges[1:], shares, strict=True):
        left, right = x.place(low), x.place(high)
        attributes: dict[str, Attribute] = {
            "x": left + 0.5,
            "y": y.place(share),
            "width": max(right - left - 1, 0.3),
            "height": y.start - y.place(share),
            "class": "column",
        }
        note = element("title", None, f"{number(low)} to {number(high)}: {share:.2f} %")
        columns.append(element("rect", attributes, note))
    return _framed(chart, x, y, *columns)


def bars(description: str, items: Sequence[Bar], width: int = 620) -> Markup:
    """Horizontal bars with their names at the left and their texts behind them."""
    longest = max([item.value for item in items] + [1e-12])
    row, left, room = 30, 96, width - 96 - 210
    children = []
    for index, item in enumerate(items):
        top = 6 + row * index
        length = max(room * item.value / longest, 1.0)
        rectangle: dict[str, Attribute] = {
            "x": left, "y": top, "width": float(length), "height": 18, "rx": 2, "class": "column",
        }  # fmt: skip
        if item.colour:
            rectangle |= {"class": "swatch", "fill": item.colour}
        children += [
            label(left - 10, top + 13.5, item.name, "name", "end"),
            element("rect", rectangle),
            label(left + length + 8, top + 13.5, item.text, "tick", "start"),
        ]
    return drawing(width, 8 + row * max(len(items), 1), description, *children, kind="chart narrow")


def grouped_bars(chart: Chart, names: Sequence[str], groups: Sequence[Group]) -> Markup:
    """Columns side by side in groups, one colour per name; the legend is the page's business."""
    values = [v for g in groups for v in g.values if v is not None]
    y = Axis(0, max([*values, 1e-9]) * 1.05, chart.height - _BOTTOM, _TOP)
    x = Axis(0, max(len(groups), 1), _LEFT, chart.width - _RIGHT)
    children = []
    for index, group in enumerate(groups):
        for k, value in enumerate(group.values):
            if value is not None:
                children.append(_group_column(x, y, (index, k, len(names)), (group, names), value))
        children.append(label(x.place(index + 0.5), y.start + 16, group.name))
    return _framed(chart, None, y, *children)


# ---- inside -------------------------------------------------------------------------------------


def _without_empty_ends(
    edges: Sequence[float], counts: Sequence[float]
) -> tuple[Sequence[float], Sequence[float]]:
    """Leave out the columns at both ends that are too low to be seen."""
    seen = [k for k, count in enumerate(counts) if count > 5e-4 * sum(counts)]
    if not seen:
        return edges, counts
    first, last = seen[0], seen[-1] + 1
    return edges[first : last + 1], counts[first:last]


def _group_column(
    x: Axis,
    y: Axis,
    at: tuple[int, int, int],
    of: tuple[Group, Sequence[str]],
    value: float,
) -> Markup:
    index, k, count = at
    group, names = of
    width = 0.8 / count
    left, right = x.place(index + 0.1 + k * width), x.place(index + 0.1 + (k + 1) * width)
    attributes: dict[str, Attribute] = {
        "x": left + 0.5,
        "y": y.place(value),
        "width": right - left - 1,
        "height": y.start - y.place(value),
        "class": f"fill c{k}",
    }
    note = element("title", None, f"{names[k]}, {group.name}: {number(value)}")
    return element("rect", attributes, note)


def _curve(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    if len(points) == 1:
        x, y = points[0]
        return element("circle", {"cx": x, "cy": y, "r": 3, "class": kind.replace("curve", "fill")})
    return polyline(points, kind)


def _framed(chart: Chart, x: Axis | None, y: Axis, *inside: Markup) -> Markup:
    """Put grid, ticks and the axes' names around the data."""
    left, right, bottom = _LEFT, chart.width - _RIGHT, chart.height - _BOTTOM
    frame: list[Markup] = []
    for value, text in y.ticks(5):
        frame.append(line(left, y.place(value), right, y.place(value), "grid"))
        frame.append(label(left - 8, y.place(value) + 4, text, "tick", "end"))
    if x is not None:
        for value, text in x.ticks(8):
            frame.append(line(x.place(value), bottom, x.place(value), bottom + 4, "rule"))
            frame.append(label(x.place(value), bottom + 16, text))
    axis_names = [
        label((left + right) / 2, chart.height - 6, chart.x_name, "axis"),
        element(
            "text",
            {
                "class": "axis",
                "text_anchor": "middle",
                "transform": f"translate(12 {(bottom + _TOP) / 2}) rotate(-90)",
            },
            chart.y_name,
        ),
    ]
    rule = line(left, bottom, right, bottom, "rule")
    content = [*frame, *inside, rule, *axis_names]
    return drawing(chart.width, chart.height, chart.description, *content, kind="chart narrow")
