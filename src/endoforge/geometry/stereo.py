# SPDX-License-Identifier: Apache-2.0
"""Two eyes on one scope: where a point of the left picture appears in the right one, and depth.

A rig is rectified when both eyes are straight pinholes of one kind, side by side: then a point has
the same v in both and its disparity is u left minus u right. `geometry.rectification` makes one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from endoforge.errors import CameraError
from endoforge.geometry.arrays import floating, like, namespace
from endoforge.geometry.cameras import Camera, PinholeCamera, camera_from_dict, pixel_centres
from endoforge.geometry.depth import points_from_depth
from endoforge.geometry.poses import check_pose, invert_pose, pose_from, transform_points

_SAME_PX, _SAME_MM, _SAME_RAD = 1e-9, 1e-9, 1e-12


@dataclass(frozen=True, eq=False)
class StereoRig:
    """A left and a right camera, rigidly joined.

    Attributes:
        left: The eye whose frame poses and depth are given in.
        right: The other eye; may be another lens.
        right_from_left: Pose of the left camera frame in the right one, mm. The right eye of an
            ordinary scope stands at +x of the left, so the translation's x is negative.
    """

    left: Camera
    right: Camera
    right_from_left: Float64[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        pose = check_pose(self.right_from_left, "right_from_left", tolerance=1e-5)
        pose.setflags(write=False)
        object.__setattr__(self, "right_from_left", pose)
        if self.baseline_mm == 0:
            raise CameraError("a rig's eyes must stand apart, got a baseline of 0 mm")

    @classmethod
    def side_by_side(
        cls, camera: Camera, baseline_mm: float, convergence_rad: float = 0.0
    ) -> "StereoRig":
        """Two equal eyes, the right one at +x and perhaps turned towards the left one's axis.

        Args:
            camera: The lens of both eyes.
            baseline_mm: Distance between the two eyes, mm.
            convergence_rad: Turn of the right eye about its y axis, rad; 0 is rectified.
        """
        c, s = math.cos(convergence_rad), math.sin(convergence_rad)
        rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        centre = np.array([baseline_mm, 0.0, 0.0])
        return cls(camera, camera, pose_from(rotation, -rotation @ centre))

    @property
    def baseline_mm(self) -> float:
        """Distance between the two camera centres, mm."""
        return float(np.linalg.norm(self.right_from_left[:3, 3]))

    @property
    def rectified(self) -> bool:
        """Whether depth and disparity are one division apart."""
        return not self._faults()

    def right_pose(
        self, left_from_world: Float64[np.ndarray, "*batch 4 4"]
    ) -> Float64[np.ndarray, "*batch 4 4"]:
        """Pose of the right eye, right_from_world, when the left eye's is known."""
        return np.asarray(self.right_from_left @ left_from_world)

    def shift_from_depth(
        self, depth_mm: Float[Any, "height width"]
    ) -> Float[Any, "height width 2"]:
        """From each left pixel to where its point appears in the right picture, px.

        For any two lenses. In a rectified rig it is (-disparity, 0).

        Args:
            depth_mm: z of each surface point in the left camera frame, mm; NaN where invalid.

        Returns:
            (du, dv); NaN where depth is invalid or the right lens cannot see the point. Something
            may hide the point from the right eye; depth alone does not tell.

        Raises:
            ShapeError: The depth image is not of the left camera's size.
        """
        depth = floating(depth_mm)
        points = points_from_depth(depth, like(self.left.rays(), depth))
        there = transform_points(like(self.right_from_left, depth), points)
        centres = like(pixel_centres(self.left.width, self.left.height), depth)
        return self.right.project(there) - centres

    def disparity_from_depth(
        self, depth_mm: Float[Any, "*batch height width"]
    ) -> Float[Any, "*batch height width"]:
        """Disparity u left - u right of a rectified rig, px; NaN where there is no depth.

        Raises:
            CameraError: The rig is not rectified; says why.
        """
        strength, shift = self._rectified_numbers()
        depth = floating(depth_mm)
        ops = namespace(depth)
        good = depth > 0
        return ops.where(good, strength / ops.where(good, depth, 1.0) + shift, math.nan)

    def depth_from_disparity(
        self, disparity_px: Float[Any, "*batch height width"]
    ) -> Float[Any, "*batch height width"]:
        """Depth along the left axis, mm; NaN where the disparity puts the point behind the eyes.

        Raises:
            CameraError: The rig is not rectified; says why.
        """
        strength, shift = self._rectified_numbers()
        disparity = floating(disparity_px) - shift
        ops = namespace(disparity)
        good = disparity > 0
        return ops.where(good, strength / ops.where(good, disparity, 1.0), math.nan)

    def resized(self, width: int, height: int) -> "StereoRig":
        """The same rig for pictures of another size."""
        left, right = self.left.resized(width, height), self.right.resized(width, height)
        return StereoRig(left, right, self.right_from_left)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `rig_from_dict` reads them back."""
        pose = self.right_from_left.tolist()
        return {"left": self.left.to_dict(), "right": self.right.to_dict(), "right_from_left": pose}

    def _rectified_numbers(self) -> tuple[float, float]:
        """Focal length times baseline, px mm, and the disparity of what is infinitely far, px."""
        if faults := self._faults():
            raise CameraError(
                f"disparity needs a rectified rig, but {faults[0]}; use shift_from_depth or "
                "rectify the rig first"
            )
        assert isinstance(self.left, PinholeCamera)
        return self.left.fx * self.baseline_mm, self.left.cx - self.right.cx

    def _faults(self) -> list[str]:
        """What keeps the rig from being rectified."""
        left, right, pose = self.left, self.right, self.right_from_left
        if not (isinstance(left, PinholeCamera) and isinstance(right, PinholeCamera)):
            return [f"its lenses are {left.model} and {right.model}, expected two pinholes"]
        faults = []
        if any(left.distortion) or any(right.distortion):
            faults.append(f"its lenses are distorted: {left.distortion} and {right.distortion}")
        ours, theirs = (left.fx, left.fy, left.cy), (right.fx, right.fy, right.cy)
        if max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) > _SAME_PX:
            faults.append(f"fx, fy, cy of its eyes differ: {ours} and {theirs}")
        if np.abs(pose[:3, :3] - np.eye(3)).max() > _SAME_RAD:
            faults.append("its eyes are turned against each other")
        if np.abs(pose[1:3, 3]).max() > _SAME_MM or pose[0, 3] > 0:
            faults.append(f"its right eye is not straight to the right: {pose[:3, 3].tolist()} mm")
        return faults


def rig_from_dict(values: Mapping[str, Any]) -> StereoRig:
    """Build the rig that plain values describe; the inverse of `StereoRig.to_dict`.

    Raises:
        CameraError: Names what is missing, unknown or wrong.
    """
    keys = {"left", "right", "right_from_left"}
    if not isinstance(values, Mapping) or set(values) != keys:
        got = sorted(map(str, values)) if isinstance(values, Mapping) else repr(values)
        raise CameraError(f"a rig must have the keys {sorted(keys)}, got {got!s:.120}")
    try:
        pose = np.asarray(values["right_from_left"], dtype=np.float64)
    except (TypeError, ValueError):
        raise CameraError(
            f"right_from_left must be 4 rows of 4 numbers, got {values['right_from_left']!r:.80}"
        ) from None
    return StereoRig(
        camera_from_dict(values["left"]),
        camera_from_dict(values["right"]),
        check_pose(pose, "right_from_left", tolerance=1e-5),
    )


def triangulate(
    rig: StereoRig, left_px: Float[np.ndarray, "points 2"], right_px: Float[np.ndarray, "points 2"]
) -> tuple[Float64[np.ndarray, "points 3"], Float64[np.ndarray, "points"]]:
    """Points that two eyes see: the midpoints of the closest approach of each pair of rays.

    Returns:
        Points in the left camera frame, mm, and how far the two rays pass each other, mm.
    """
    left = rig.left.unproject(np.asarray(left_px, np.float64))
    left_from_right = invert_pose(rig.right_from_left)
    right = rig.right.unproject(np.asarray(right_px, np.float64)) @ left_from_right[:3, :3].T
    origin = left_from_right[:3, 3]
    cosine = (left * right).sum(1)
    along, across = left @ origin, right @ origin
    with np.errstate(divide="ignore", invalid="ignore"):
        sine2 = 1 - cosine**2
        on_left = left * ((along - cosine * across) / sine2)[:, None]
        on_right = origin + right * ((cosine * along - across) / sine2)[:, None]
    return (on_left + on_right) / 2, np.linalg.norm(on_left - on_right, axis=1)
