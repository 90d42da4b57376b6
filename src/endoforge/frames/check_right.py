# SPDX-License-Identifier: Apache-2.0
"""The right eye of a stereo scope: its depth, and where the left picture's points are in it.

Both eyes look at the same moment, so depth and the poses of the rig decide everywhere, whatever
moves.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from endoforge.frames.check_flow import (
    Displacement,
    Fault,
    depth_faults,
    displacement_faults,
    landing_of,
)
from endoforge.frames.check_matter import alike
from endoforge.frames.frame import Frame, RightView
from endoforge.frames.planes import known_pixels
from endoforge.geometry.poses import pose_error, relative_pose

#: Eyes of a scope are closer than this, mm, and nearly parallel, rad.
_FARTHEST_MM, _LARGEST_TURN_RAD = 100.0, 0.8


def right_faults(frame: Frame, depth_step_mm: float) -> Iterator[Fault]:
    """Yield what is wrong with the right eye of a frame.

    Args:
        frame: As it was read.
        depth_step_mm: Precision of the stored depth, mm.
    """
    right = frame.right
    if right is None:
        return
    apart_mm, turn_rad = pose_error(frame.camera_from_world, right.camera_from_world)
    if apart_mm > _FARTHEST_MM or turn_rad > _LARGEST_TURN_RAD:
        yield Fault("rig", f"its eyes are {apart_mm:.0f} mm and {np.degrees(turn_rad):.0f}° apart")
    if (outside := np.isfinite(right.depth_mm) & ~right.camera.valid()).any():
        yield Fault(
            "right-depth", f"{outside.sum()} pixels with depth lie outside the lens's field"
        )
    way = _to_right(frame, right)
    yield from displacement_faults(frame, way, depth_step_mm)
    yield from depth_faults(frame, way, right.depth_mm, "right-depth")
    yield from _picture_faults(frame, right)


def _to_right(frame: Frame, right: RightView) -> Displacement:
    return Displacement(
        "disparity",
        right.from_left_px,
        right.occluded,
        relative_pose(right.camera_from_world, frame.camera_from_world),
        right.camera,
        frame.valid,
    )


def _picture_faults(frame: Frame, right: RightView) -> Iterator[Fault]:
    if (right.image == right.image[0, 0]).all():
        yield Fault("right-image", f"all pixels have the colour {right.image[0, 0].tolist()}")
        return
    landing = landing_of(frame, right.from_left_px)
    seen = frame.valid & ~right.occluded & known_pixels(landing)
    u, v = (np.nan_to_num(landing[..., axis] - 0.5).astype(np.float32) for axis in (0, 1))
    warped = cv2.remap(right.image, u, v, cv2.INTER_LINEAR)
    if not alike(frame.image, warped, seen):
        yield Fault("right-image", "it does not show what the left one shows")
