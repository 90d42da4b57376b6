# SPDX-License-Identifier: Apache-2.0
"""Intel's Open Image Denoise, which the extra `denoise` installs. It needs no renderer."""

import numpy as np
from jaxtyping import Float32

from endoforge.errors import MissingDependency

Colour = Float32[np.ndarray, "height width 3"]


def by_oidn(noisy: Colour) -> Colour:
    """Let Intel's Open Image Denoise smooth a scene-linear picture, by colour alone.

    Raises:
        MissingDependency: The package is not installed.
    """
    try:
        import mitsuba_oidn
    except ImportError as error:
        raise MissingDependency(
            f"the denoiser 'oidn' needs the package mitsuba-oidn ({error}); install "
            "endoforge[denoise] or set denoise to 'guided'"
        ) from error
    smooth = mitsuba_oidn.denoise(np.ascontiguousarray(noisy), hdr=True)
    return np.asarray(smooth, dtype=np.float32)
