# SPDX-License-Identifier: Apache-2.0
"""How bright a picture becomes: a fixed gain, and an automatic one that looks at the frame."""

import numpy as np
from jaxtyping import Float32

#: Linear weights of red, green and blue in brightness (ITU-R BT.709).
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def exposure(
    radiance: Float32[np.ndarray, "height width 3"], gain: float, metering: float, target: float
) -> float:
    """Return the gain after automatic exposure has looked at the frame.

    Brightness is metered on every fourth pixel that any light reaches, with highlights counted as
    no more than white, so that neither a few reflections nor the black around a round picture
    count. One frame is enough: nothing is remembered.

    Args:
        radiance: Scene-linear RGB, 0 or more.
        gain: Sensor value per unit of radiance.
        metering: How much of a brightness error is corrected, 0 none, 1 all.
        target: Mean linear value that is aimed at.

    Returns:
        Sensor value per unit of radiance.
    """
    if metering == 0:
        return gain
    metered = radiance[::4, ::4] @ LUMINANCE * gain
    lit = metered[metered > 0]
    return gain * float((target / np.minimum(lit, 1).mean()) ** metering) if len(lit) else gain
