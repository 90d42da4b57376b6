# SPDX-License-Identifier: Apache-2.0
"""Drawing the picture beside its depth, with a colour bar, for stills and film."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageDraw, ImageFont

from endoforge.frames.colour import Scale, colour_bar, colour_values

#: Colours of the canvas, of words and of words that matter less.
BACKGROUND = (17, 19, 23)
TEXT = (228, 230, 234)
QUIET = (150, 156, 166)
_WARNING = (255, 190, 90)
_MARGIN, _HEAD, _FOOT = 12, 30, 46


@dataclass(frozen=True)
class Layout:
    """Size of each of the two panels, px; the canvas around them has even sides for video."""

    panel_width: int
    panel_height: int

    @classmethod
    def fitting(cls, width: int, height: int, longer_side: int) -> "Layout":
        """Panels of a picture's shape, shrunk (or enlarged up to twice) to a longer side."""
        factor = min(longer_side / max(width, height), 2.0)
        return cls(max(160, _even(width * factor)), max(64, _even(height * factor)))

    @property
    def canvas_width(self) -> int:
        """Width of the whole picture, px."""
        return _even(2 * self.panel_width + 3 * _MARGIN)

    @property
    def canvas_height(self) -> int:
        """Height of the whole picture, px."""
        return _even(self.panel_height + _HEAD + _FOOT)

    def boxes(self, width: int, height: int) -> tuple[tuple[int, int, int, int], ...]:
        """Where a picture of a size, and its depth, lie in the canvas: left, top, width, height."""
        factor = min(self.panel_width / width, self.panel_height / height)
        w, h = max(1, round(width * factor)), max(1, round(height * factor))
        top = _HEAD + (self.panel_height - h) // 2
        start = _MARGIN + (self.panel_width - w) // 2
        return ((start, top, w, h), (start + self.panel_width + _MARGIN, top, w, h))


@dataclass(frozen=True)
class Caption:
    """The words around the two panels."""

    title: str
    warning: str = ""


def side_by_side(
    image: UInt8[np.ndarray, "height width 3"],
    depth_mm: Float32[np.ndarray, "height width"],
    scale: Scale,
    layout: Layout,
    caption: Caption,
) -> UInt8[np.ndarray, "canvas_height canvas_width 3"]:
    """Draw the input at the left, its depth at the right, and the bar that explains the colours.

    Args:
        image: The input.
        depth_mm: z in the camera frame, mm; NaN where nothing is known.
        scale: How depth becomes colour.
        layout: Sizes.
        caption: A title, and a warning that is written across the depth.
    """
    canvas = np.empty((layout.canvas_height, layout.canvas_width, 3), np.uint8)
    canvas[:] = BACKGROUND
    left, right = _MARGIN, 2 * _MARGIN + layout.panel_width
    for picture, box in zip(
        (image, colour_values(depth_mm, scale)), layout.boxes(*image.shape[1::-1]), strict=True
    ):
        place(canvas, picture, box)
    bar_top = _HEAD + layout.panel_height + 10
    bar_width = layout.panel_width - 90
    canvas[bar_top : bar_top + 8, right : right + bar_width] = colour_bar(bar_width, 8, scale)
    drawn = Image.fromarray(canvas)
    draw = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(14)
    draw.text((left, 7), _latin(caption.title), TEXT, font)
    draw.text((right, 7), "estimated depth", TEXT, font)
    _draw_ticks(draw, scale, right, bar_top, bar_width)
    draw.text((right + bar_width + 12, bar_top - 5), f"{scale.unit}, z", QUIET, font)
    draw.text((left, bar_top - 5), "no ground truth", QUIET, font)
    if caption.warning:
        _draw_warning(draw, caption.warning, right, layout)
    return np.asarray(drawn)


def place(canvas: np.ndarray, picture: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """Draw a picture into a box (left, top, width, height, px) of a canvas."""
    left, top, width, height = box
    method = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_LINEAR
    fitted = cv2.resize(picture, (width, height), interpolation=method)
    canvas[top : top + height, left : left + width] = fitted


# ---- inside -------------------------------------------------------------------------------------


def _even(value: float) -> int:
    return 2 * round(value / 2)


def _latin(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")


def _draw_ticks(draw: ImageDraw.ImageDraw, scale: Scale, left: int, top: int, width: int) -> None:
    font = ImageFont.load_default(12)
    for place, text in scale.ticks():
        x = left + place * (width - 1)
        draw.line([(x, top + 8), (x, top + 12)], QUIET)
        draw.text((x, top + 13), text, QUIET, font, anchor="ma" if place > 0.01 else "la")


def _draw_warning(draw: ImageDraw.ImageDraw, warning: str, left: int, layout: Layout) -> None:
    middle = (left + layout.panel_width / 2, _HEAD + layout.panel_height / 2)
    lines = ["not trusted", *(_latin(part.strip()) for part in warning.split(":"))]
    for index, line in enumerate(lines):
        font = ImageFont.load_default(20 if index == 0 else 13)
        draw.text(
            (middle[0], middle[1] - 26 + 24 * index),
            line,
            _WARNING,
            font,
            anchor="mm",
            stroke_width=2,
            stroke_fill=BACKGROUND,
        )
