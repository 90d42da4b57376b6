# SPDX-License-Identifier: Apache-2.0
"""Intel's Open Image Denoise, which the extra `denoise` installs. It needs no renderer."""

import numpy as np
from jaxtyping import Float32

from endoforge.errors import MissingDependency

Colour = Float32[np.ndarray, "height width 3"]


def by_oidn(noisy: Colour, albedo: Colour | None = None) -> Colour:
    """Let Intel's Open Image Denoise smooth a picture of any brightness.

    Args:
        noisy: Scene-linear radiance.
        albedo: Of what is seen, 0 to 1, as noisy as it comes; None to guess edges from colour.

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
    guide = None if albedo is None else np.ascontiguousarray(albedo)
    smooth = mitsuba_oidn.denoise(np.ascontiguousarray(noisy), albedo=guide, hdr=True)
    return np.asarray(smooth, dtype=np.float32)
