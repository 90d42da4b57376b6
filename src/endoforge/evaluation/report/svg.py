# SPDX-License-Identifier: Apache-2.0
"""Small pieces of SVG: escaped elements, axes with round ticks, mapping values to places.

Colours come from the page's style sheet by class, so that charts follow light and dark.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

#: Attribute names use an underscore where SVG has a hyphen.
Attribute = str | float | int


def element(
    tag: str, attributes: Mapping[str, Attribute] | None = None, *children: str | Markup
) -> Markup:
    """Build one element; texts and attribute values are escaped, Markup children are not."""
    parts = "".join(
        f' {name.replace("_", "-")}="{escape(_text(value))}"'
        for name, value in (attributes or {}).items()
    )
    inside = Markup("").join(children)
    return Markup(f"<{tag}{parts}>{inside}</{tag}>")


def drawing(
    width: int, height: int, description: str, *children: Markup, kind: str = "chart"
) -> Markup:
    """Wrap children as a picture with a text for those who cannot see it."""
    attributes: dict[str, Attribute] = {
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-label": description,
        "class": kind,
    }
    return element("svg", attributes, *children)


def label(x: float, y: float, text: str, kind: str = "tick", anchor: str = "middle") -> Markup:
    """Build a text of one of the style sheet's kinds: tick, axis, name."""
    return element("text", {"x": x, "y": y, "class": kind, "text_anchor": anchor}, text)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Build a straight line of one of the style sheet's kinds: grid, rule, tickmark."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def polyline(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """Build a line through points; points that are not numbers interrupt it."""
    commands: list[str] = []
    pen_down = False
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}")
        pen_down = True
    return element("path", {"d": "".join(commands), "class": kind, "fill": "none"})


@dataclass(frozen=True)
class Axis:
    """Maps values to places along one side of a chart.

    Attributes:
        low: Value at the start.
        high: Value at the end.
        start: Place of the start, in the drawing's units.
        end: Place of the end.
        logarithmic: Equal steps are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    @classmethod
    def around(
        cls, values: Sequence[float], start: float, end: float, logarithmic: bool = False
    ) -> "Axis":
        """An axis that holds all finite (and, if logarithmic, positive) values."""
        usable = [v for v in values if math.isfinite(v) and (v > 0 or not logarithmic)]
        low, high = (min(usable), max(usable)) if usable else (0.1, 1.0)
        if logarithmic:
            low, high = low * 0.9, high * 1.1
        elif high <= low:
            low, high = low - 0.5, high + 0.5
        return cls(low, high, start, end, logarithmic)

    def place(self, value: float) -> float:
        """Where a value lies; NaN for what the axis cannot show."""
        if not math.isfinite(value) or (self.logarithmic and value <= 0):
            return math.nan
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Round values with their texts."""
        values = (
            self._decades(most) if self.logarithmic else round_values(self.low, self.high, most)
        )
        return [(v, number(v)) for v in values]

    def _decades(self, most: int) -> list[float]:
        """1, 2, 5 or 1, 3 or 1 of each power of ten; round values where these are too few."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps in ((1, 2, 5), (1, 3), (1,)):
            values = [s * 10.0**p for p in range(first, last + 1) for s in steps]
            inside = [v for v in values if self.low <= v <= self.high]
            if len(inside) <= most:
                break
        stride = max(1, math.ceil(len(inside) / most))
        return inside[::stride] if len(inside) >= 3 else round_values(self.low, self.high, most)


def round_values(low: float, high: float, most: int) -> list[float]:
    """At most `most` round values from low to high."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    step = 10.0 ** math.floor(math.log10(span / most))
    step *= next(f for f in (1, 2, 2.5, 5, 10, 20) if span / (step * f) <= most)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + k) * step, 12) for k in range(count)]


def number(value: float) -> str:
    """A number the way people read it: thousands as k, no needless digits."""
    if value != 0 and abs(value) >= 1e6:
        return f"{value / 1e6:g} M"
    if abs(value) >= 10_000:
        return f"{value / 1000:g} k"
    return f"{value:.4g}".replace("-", "−")


def _text(value: Attribute) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
