# SPDX-License-Identifier: Apache-2.0
"""Pictures inside the page: shrunk, packed, and written as data URIs so that one file is enough."""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8
from markupsafe import Markup

from endoforge.errors import DataError
from endoforge.evaluation.report.svg import drawing, element, label
from endoforge.frames.colour import Scale, colour_bar


@dataclass(frozen=True)
class Image:
    """A picture of the page.

    Attributes:
        source: Data URI.
        alternative: What it shows, for those who cannot see it.
        width: px.
        height: px.
    """

    source: str
    alternative: str
    width: int
    height: int


def photograph(
    picture: UInt8[np.ndarray, "height width 3"], alternative: str, longest: int = 320
) -> Image:
    """A picture of the world, packed with a little loss."""
    return _packed(picture, alternative, longest, ".jpg", cv2.INTER_AREA)


def value_map(
    picture: UInt8[np.ndarray, "height width 3"], alternative: str, longest: int = 320
) -> Image:
    """A false-colour picture, packed without loss; shrinking never mixes two classes."""
    return _packed(picture, alternative, longest, ".png", cv2.INTER_NEAREST)


def bar_of(scale: Scale, name: str) -> Markup:
    """The bar that explains a false-colour picture, with its values and unit."""
    width, steps = 340.0, 85
    ticks = scale.ticks()
    shown = ", ".join(text for _, text in ticks)
    colours = colour_bar(steps, 1, scale)[0]
    pieces = [
        element(
            "rect",
            {"x": 8 + width * k / steps, "y": 2, "width": width / steps * 1.6, "height": 12,
             "fill": "#{:02x}{:02x}{:02x}".format(*colour)},
        )
        for k, colour in enumerate(colours)
    ]  # fmt: skip
    texts = [label(8 + width * place, 29.0, text) for place, text in ticks]
    unit = label(8 + width + 14, 12.0, scale.unit, "tick", "start")
    description = f"Colour bar of {name}: {shown} {scale.unit}"
    return drawing(480, 34, description, *pieces, *texts, unit, kind="colour-bar")


def _packed(picture: np.ndarray, alternative: str, longest: int, kind: str, method: int) -> Image:
    height, width = picture.shape[:2]
    factor = min(1.0, longest / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = picture if factor == 1 else cv2.resize(picture, size, interpolation=method)
    flags = [cv2.IMWRITE_JPEG_QUALITY, 88] if kind == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    done, packed = cv2.imencode(kind, np.ascontiguousarray(small[..., ::-1]), flags)
    if not done:
        raise DataError(f"could not pack a picture of {width} × {height} px as {kind}")
    mime = "image/jpeg" if kind == ".jpg" else "image/png"
    text = base64.b64encode(packed.tobytes()).decode("ascii")
    return Image(f"data:{mime};base64,{text}", alternative, size[0], size[1])
