# SPDX-License-Identifier: Apache-2.0
"""Drawing the picture beside the same with its masks over it, and the names of their colours."""

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from endoforge.frames.colour import CLASS_COLOURS, class_colour
from endoforge.serving.panels import BACKGROUND, QUIET, TEXT, Layout, place

_LINE, _SWATCH = 17, 10
_COLOURS = len(CLASS_COLOURS) - 1  # the first, dark one is of what is outside

PictureAndLabel = tuple[UInt8[np.ndarray, "height width 3"], UInt8[np.ndarray, "height width"]]


def beside_its_masks(
    shown: PictureAndLabel,
    classes: tuple[str, ...],
    opacity: float,
    layout: Layout,
    title: str,
) -> UInt8[np.ndarray, "canvas_height canvas_width 3"]:
    """Draw the input at the left and at the right with its masks over it.

    Args:
        shown: The picture, and the class of each pixel; an index that is no class is left bare.
        classes: Their names.
        opacity: Share of the class colour.
        layout: Sizes.
        title: Written above.
    """
    image, label = shown
    canvas = np.empty((layout.canvas_height, layout.canvas_width, 3), np.uint8)
    canvas[:] = BACKGROUND
    left, right = layout.boxes(*image.shape[1::-1])
    place(canvas, image, left)
    place(canvas, masked(image, label, len(classes), opacity), right)
    drawn = Image.fromarray(canvas)
    draw, font = ImageDraw.Draw(drawn), ImageFont.load_default(14)
    draw.text((left[0], 7), title.encode("latin-1", "replace").decode("latin-1"), TEXT, font)
    draw.text((right[0], 7), "estimated masks, no ground truth", QUIET, font)
    _draw_names(draw, classes, np.unique(label), layout)
    return np.asarray(drawn)


def masked(
    image: UInt8[np.ndarray, "height width 3"],
    label: UInt8[np.ndarray, "height width"],
    classes: int,
    opacity: float,
) -> UInt8[np.ndarray, "height width 3"]:
    """Lay the colours of classes over a picture; what is no class stays as it is."""
    table = np.zeros((256, 3), np.uint8)
    table[:classes] = [colour_of(index) for index in range(classes)]
    mixed = cv2.addWeighted(image, 1 - opacity, table[label], opacity, 0)
    return np.where((label < classes)[..., None], mixed, image)


def colour_of(index: int) -> tuple[int, int, int]:
    """Colour of a class of a segmentation network; paler where there are more than colours."""
    pale = 0.5 * (index // _COLOURS % 2)
    red, green, blue = (round(c + pale * (255 - c)) for c in class_colour(1 + index % _COLOURS))
    return red, green, blue


# ---- inside -------------------------------------------------------------------------------------


def _draw_names(
    draw: ImageDraw.ImageDraw, classes: tuple[str, ...], there: np.ndarray, layout: Layout
) -> None:
    """Write the names of the classes that the picture shows, in two lines at most."""
    font, start = ImageFont.load_default(12), 12.0
    x, y = start, layout.canvas_height - 2 * _LINE - 6
    for index in there[there < len(classes)].tolist():
        width = _SWATCH + 6 + draw.textlength(classes[index], font) + 14
        if x + width > layout.canvas_width and x > start:
            x, y = start, y + _LINE
        if y + _LINE > layout.canvas_height:
            return
        draw.rectangle([x, y + 3, x + _SWATCH, y + 3 + _SWATCH], fill=colour_of(index))
        draw.text((x + _SWATCH + 6, y), classes[index], TEXT, font)
        x += width
