# SPDX-License-Identifier: Apache-2.0
"""The fisheye camera of Kannala and Brandt."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from endoforge.geometry.arrays import namespace
from endoforge.geometry.camera_values import finite, half_angle_rad, numbers
from endoforge.geometry.lens import Lens, angle_limit, check_field, check_reach, positive
from endoforge.geometry.lens_equations import kannala_brandt_project, odd_polynomial
from endoforge.geometry.lens_inverse import RadialTable, fisheye_table, invert_radial


@dataclass(frozen=True)
class FisheyeCamera(Lens):
    """A wide lens whose image radius is an odd polynomial of the angle (Kannala-Brandt).

    The valid field ends at `max_angle_rad`, or before it where the polynomial would fold back.

    Attributes:
        width: Image width, px.
        height: Image height, px.
        fx: Focal length over the pixel's width, px.
        fy: Focal length over the pixel's height, px.
        cx: Where the optical axis meets the image, from the left border, px.
        cy: The same from the upper border, px.
        distortion: k1, k2, k3, k4 as OpenCV's fisheye model has them.
        max_angle_rad: Largest angle off axis that the lens can see, rad.
        content: Centre and radius of the round picture, px; None fills the image.
    """

    model: ClassVar[str] = "fisheye"

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    max_angle_rad: float = math.radians(110.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, check in (("fx", positive), ("fy", positive), ("cx", finite), ("cy", finite)):
            object.__setattr__(self, name, check(name, getattr(self, name)))
        object.__setattr__(self, "distortion", numbers("distortion", self.distortion, 4))
        object.__setattr__(self, "max_angle_rad", angle_limit(self.max_angle_rad))
        check_field(self, self.distortion, self.max_angle_rad)

    @classmethod
    def from_field_of_view(
        cls,
        width: int,
        height: int,
        diagonal_deg: float,
        distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    ) -> "FisheyeCamera":
        """A centred lens with square pixels that spans an angle from corner to corner.

        Raises:
            CameraError: The angle is not between 0 and 350 degrees, or the polynomial folds first.
        """
        half = half_angle_rad("diagonal_deg", diagonal_deg, 350.0)
        limit = max(half, math.radians(110.0))
        camera = cls(width, height, 1.0, 1.0, width / 2, height / 2, distortion, limit)
        check_reach(camera, distortion, half)
        corner = math.hypot(camera.width, camera.height) / 2
        focal = corner / float(odd_polynomial(half, camera.distortion))
        return dataclasses.replace(camera, fx=focal, fy=focal)

    @property
    def field_angle_rad(self) -> float:
        """Largest angle off axis in the valid field, rad."""
        return float(self._table.nodes[-1])

    def parameters(self) -> tuple[float, ...]:
        """fx, fy, cx, cy and the distortion, as `kannala_brandt_project` wants them."""
        return (self.fx, self.fy, self.cx, self.cy, *self.distortion)

    def resized(self, width: int, height: int) -> "FisheyeCamera":
        """The same lens for the same picture at another size."""
        across, down = width / self.width, height / self.height
        return dataclasses.replace(
            self,
            width=width,
            height=height,
            fx=self.fx * across,
            fy=self.fy * down,
            cx=self.cx * across,
            cy=self.cy * down,
            content=self._content_at(width, height),
            corner_cut_px=self._cut_at(width, height),
        )

    @property
    def _table(self) -> RadialTable:
        return fisheye_table(self.distortion, self.max_angle_rad)

    def _sees(self, x: Any, y: Any, z: Any, ops: Any) -> Any:
        off_axis = ops.sqrt(x * x + y * y)
        return ((off_axis > 0) | (z > 0)) & (ops.atan2(off_axis, z) <= self.field_angle_rad)

    def _image(self, x: Any, y: Any, z: Any, ops: Any) -> tuple[Any, Any]:
        return kannala_brandt_project(x, y, z, self.parameters(), ops)

    def _directions(self, u: Any, v: Any) -> tuple[Any, Any, Any]:
        a, b = (u - self.cx) / self.fx, (v - self.cy) / self.fy
        ops = namespace(a)
        radius2 = a * a + b * b
        on_axis = radius2 == 0
        radius = ops.sqrt(ops.where(on_axis, 1.0, radius2))
        angle = ops.where(on_axis, 0.0, invert_radial(radius, self._table))
        valid = on_axis | (radius <= float(self._table.images[-1]))
        scale = ops.where(on_axis, 1.0, ops.sin(angle) / radius)
        rays = a * scale, b * scale, ops.cos(angle)
        x, y, z = (ops.where(valid, value, math.nan) for value in rays)
        return x, y, z
