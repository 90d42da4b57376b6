# SPDX-License-Identifier: Apache-2.0
"""The labels of a volume: opacity, the three depths and Hounsfield units must fit each other."""

from collections.abc import Iterator

import numpy as np

from endoforge.frames.check_flow import Fault
from endoforge.frames.frame import Frame
from endoforge.frames.manifest import DatasetManifest
from endoforge.frames.volume_planes import OPACITY_STEPS

#: A valid pixel stops at least this share of the eye's ray: else it has no depth at half opacity.
LEAST_OPACITY = 0.5

#: Share of pixels that may break a rule, where rounding decides.
_STRAYS = 0.005

#: Which label holds the depth that a data set's rule names.
_SAME: dict[str, str] = {"expected": "expected_depth_mm", "first": "first_depth_mm"}


def volume_faults(frame: Frame, manifest: DatasetManifest) -> Iterator[Fault]:
    """Yield what is wrong with the labels of a volume.

    Args:
        frame: As it was read.
        manifest: Says by which rule the depth was taken.
    """
    step_mm = manifest.depth_scale_mm
    if frame.opacity is not None:
        thin = frame.valid & (frame.opacity < LEAST_OPACITY - 1 / OPACITY_STEPS)
        if thin.any():
            yield Fault("opacity", f"{thin.sum()} valid pixels stop less than half of the light")
    for name in ("expected", "first"):
        depth = getattr(frame, f"{name}_depth_mm")
        if depth is not None and (lost := frame.valid & ~np.isfinite(depth)).any():
            yield Fault(f"{name}-depth", f"{lost.sum()} valid pixels have none")
    if frame.first_depth_mm is not None and manifest.depth_rule == "half":
        with np.errstate(invalid="ignore"):
            late = frame.valid & (frame.first_depth_mm > frame.depth_mm + 1.01 * step_mm)
        if late.mean() > _STRAYS:
            yield Fault(
                "first-depth", f"it is behind the depth in {100 * late.mean():.1f} % of all"
            )
    yield from _rule_faults(frame, manifest.depth_rule, step_mm)
    if frame.hu is not None and (none := frame.valid & (frame.hu <= -1024)).mean() > _STRAYS:
        yield Fault("hu", f"{none.sum()} valid pixels lie in -1024 HU, which stops no light")


def _rule_faults(frame: Frame, rule: str, step_mm: float) -> Iterator[Fault]:
    """The depth is the one that the rule names."""
    depth = getattr(frame, _SAME.get(rule, ""), None)
    if depth is None or not frame.valid.any():
        return
    apart = np.abs(depth - frame.depth_mm)[frame.valid]
    if float(np.quantile(apart[np.isfinite(apart)], 0.99, method="lower")) > 1.01 * step_mm:
        yield Fault("depth-rule", f"the depth is not the one that the rule {rule!r} names")
