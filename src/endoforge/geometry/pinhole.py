# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera with Brown-Conrady distortion."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from endoforge.geometry.arrays import namespace
from endoforge.geometry.camera_values import finite, half_angle_rad, numbers
from endoforge.geometry.lens import Lens, check_field, check_reach, positive
from endoforge.geometry.lens_equations import brown_conrady_project, odd_polynomial
from endoforge.geometry.lens_inverse import RadialTable, pinhole_table, undistort


@dataclass(frozen=True)
class PinholeCamera(Lens):
    """A lens that keeps lines straight but for Brown-Conrady distortion.

    The valid field ends where the distortion would fold back (see `geometry.lens_inverse`) and at
    89 degrees off axis.

    Attributes:
        width: Image width, px.
        height: Image height, px.
        fx: Focal length over the pixel's width, px.
        fy: Focal length over the pixel's height, px.
        cx: Where the optical axis meets the image, from the left border, px.
        cy: The same from the upper border, px.
        distortion: k1, k2, p1, p2, k3 in OpenCV's order.
        content: Centre and radius of the round picture, px; None fills the image.
    """

    model: ClassVar[str] = "pinhole"

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, check in (("fx", positive), ("fy", positive), ("cx", finite), ("cy", finite)):
            object.__setattr__(self, name, check(name, getattr(self, name)))
        object.__setattr__(self, "distortion", numbers("distortion", self.distortion, 5))
        check_field(self, self.distortion, math.inf)

    @classmethod
    def from_field_of_view(
        cls,
        width: int,
        height: int,
        horizontal_deg: float,
        distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0),
    ) -> "PinholeCamera":
        """A centred lens with square pixels that spans an angle from the left to the right border.

        Raises:
            CameraError: The angle is not between 0 and 178 degrees, or the distortion folds first.
        """
        half = half_angle_rad("horizontal_deg", horizontal_deg, 178.0)
        camera = cls(width, height, 1.0, 1.0, width / 2, height / 2, distortion)
        check_reach(camera, distortion, half)
        k1, k2, _, _, k3 = camera.distortion
        focal = camera.width / 2 / float(odd_polynomial(math.tan(half), (k1, k2, k3)))
        return dataclasses.replace(camera, fx=focal, fy=focal)

    @property
    def field_angle_rad(self) -> float:
        """Largest angle off axis in the valid field, rad."""
        return math.atan(float(self._table.nodes[-1]))

    def parameters(self) -> tuple[float, ...]:
        """fx, fy, cx, cy and the distortion, as `brown_conrady_project` wants them."""
        return (self.fx, self.fy, self.cx, self.cy, *self.distortion)

    def resized(self, width: int, height: int) -> "PinholeCamera":
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
        return pinhole_table(self.distortion)

    def _sees(self, x: Any, y: Any, z: Any, ops: Any) -> Any:
        end = float(self._table.nodes[-1])
        return (z > 0) & (x * x + y * y <= (end * z) * (end * z))

    def _image(self, x: Any, y: Any, z: Any, ops: Any) -> tuple[Any, Any]:
        return brown_conrady_project(x, y, z, self.parameters(), ops)

    def _directions(self, u: Any, v: Any) -> tuple[Any, Any, Any]:
        a, b = (u - self.cx) / self.fx, (v - self.cy) / self.fy
        x, y = undistort(a, b, self.distortion, self._table)
        z = 1 / namespace(a).sqrt(x * x + y * y + 1)
        return x * z, y * z, z
