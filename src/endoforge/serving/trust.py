# SPDX-License-Identifier: Apache-2.0
"""Whether a foreign picture can be trusted: bright enough, with structure, inside a body at all.

Which pixels show content says `frames.content`; depths elsewhere mean nothing.
"""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

#: About so many pixels are enough to judge a picture.
_LOOKED_AT = 100_000

_SMALLEST_SIDE = 32
_SMALLEST_CONTENT = 0.08
_DARK_P99 = 32.0
_BRIGHT_MEDIAN = 248.0
_FLAT_DEVIATION = 2.5


def reasons_not_to_trust(
    image: UInt8[np.ndarray, "height width 3"], content: Bool[np.ndarray, "height width"]
) -> tuple[str, ...]:
    """Why no depth of this picture means anything; empty when it looks usable."""
    height, width = image.shape[:2]
    if min(height, width) < _SMALLEST_SIDE:
        return (f"too small: {width} × {height} px, at least {_SMALLEST_SIDE} needed",)
    if content.mean() < _SMALLEST_CONTENT:
        return (f"no content: {content.mean():.0%} of the picture is not black",)
    luminance = _luminance(image)[content][:: max(1, content.size // _LOOKED_AT)]
    reasons = []
    if (bright := float(np.percentile(luminance, 99))) < _DARK_P99:
        reasons.append(f"too dark: 99 % of the pixels are below {bright:.0f} of 255")
    if (median := float(np.median(luminance))) > _BRIGHT_MEDIAN:
        reasons.append(f"too bright: half of the pixels are above {median:.0f} of 255")
    if not reasons and (deviation := float(luminance.std())) < _FLAT_DEVIATION:
        reasons.append(f"no structure: brightness varies by {deviation:.1f} of 255 only")
    return tuple(reasons)


# ---- inside -------------------------------------------------------------------------------------


def _luminance(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width"]:
    grey: np.ndarray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return grey
