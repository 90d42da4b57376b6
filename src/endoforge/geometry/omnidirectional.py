# SPDX-License-Identifier: Apache-2.0
"""The omnidirectional camera of Scaramuzza: each pixel's ray is a polynomial of its radius."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from endoforge.errors import CameraError
from endoforge.geometry.arrays import namespace
from endoforge.geometry.camera_values import finite, half_angle_rad, numbers
from endoforge.geometry.lens import Lens, angle_limit, check_field, check_reach, positive
from endoforge.geometry.lens_equations import omnidirectional_project
from endoforge.geometry.radius_polynomial import RadiusPolynomial, radius_polynomial

_STEREOGRAPHIC = (0.0, -0.25, 0.0, 0.0)

Polynomial5 = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class OmnidirectionalCamera(Lens):
    """A wide lens whose ray is a polynomial of the radius in the image (Scaramuzza, OCamCalib).

    A pixel (u, v) is first straightened, (u - cx, v - cy) = [[c, d], [e, 1]] (x, y). Then its ray
    points along (x, y, a0 + a1 ρ + a2 ρ² + a3 ρ³ + a4 ρ⁴), where ρ is the length of (x, y) in px.

    The valid field ends at `max_angle_rad`, or before it where the ray nearly ceases to turn
    outwards with the radius (`geometry.radius_polynomial`).

    Attributes:
        width: Image width, px.
        height: Image height, px.
        cx: Where the optical axis meets the image, from the left border, px.
        cy: The same from the upper border, px.
        polynomial: a0 (the focal length, px) to a4 in px^(1 - power), z forwards: OCamCalib's with
            the sign changed. Its a1 is 0.
        stretch: c, d, e; pure numbers near 1, 0, 0.
        max_angle_rad: Largest angle off axis that the lens can see, rad.
        content: Centre and radius of the round picture, px; None fills the image.

    Source:
        Scaramuzza, Martinelli & Siegwart, *A flexible technique for accurate omnidirectional camera
        calibration and structure from motion*, ICVS 2006; axes as in MATLAB's `fisheyeIntrinsics`.
    """

    model: ClassVar[str] = "omnidirectional"

    cx: float
    cy: float
    polynomial: Polynomial5
    stretch: tuple[float, float, float] = (1.0, 0.0, 0.0)
    max_angle_rad: float = math.radians(110.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("cx", "cy"):
            object.__setattr__(self, name, finite(name, getattr(self, name)))
        object.__setattr__(self, "polynomial", numbers("polynomial", self.polynomial, 5))
        object.__setattr__(self, "stretch", numbers("stretch", self.stretch, 3))
        object.__setattr__(self, "max_angle_rad", angle_limit(self.max_angle_rad))
        positive("polynomial's a0", self.polynomial[0])
        c, d, e = self.stretch
        if not (c > 0 and c - d * e > 0):
            raise CameraError(
                f"stretch must hold c, d, e near 1, 0, 0 that mirror nothing, got {self.stretch}"
            )
        check_field(self, self.polynomial, self.max_angle_rad)

    @classmethod
    def from_field_of_view(
        cls,
        width: int,
        height: int,
        diagonal_deg: float,
        shape: tuple[float, float, float, float] = _STEREOGRAPHIC,
    ) -> "OmnidirectionalCamera":
        """A centred lens with square pixels that spans an angle from corner to corner.

        Args:
            width: Image width, px.
            height: Image height, px.
            diagonal_deg: Angle between the rays of opposite corners, degrees.
            shape: a1 to a4 for a focal length of 1; a2 = -0.25 is a stereographic lens, all 0 a
                pinhole.

        Raises:
            CameraError: The angle is not between 0 and 350 degrees, or the lens folds before it.
        """
        half = half_angle_rad("diagonal_deg", diagonal_deg, 350.0)
        limit = max(half, math.radians(110.0))
        unit = cls(width, height, width / 2, height / 2, (1.0, *shape), max_angle_rad=limit)
        check_reach(unit, unit.polynomial, half)
        along = (math.sin(half), 0.0, math.cos(half))
        seen = unit._image(*along, np)[0] - unit.cx  # image radius for a focal length of 1 px
        focal = math.hypot(unit.width, unit.height) / 2 / float(seen)
        return dataclasses.replace(unit, polynomial=_magnified(unit.polynomial, focal))

    @classmethod
    def from_ocamcalib(
        cls,
        size: tuple[int, int],
        polynomial: tuple[float, ...],
        centre: tuple[float, float],
        stretch: tuple[float, float, float] = (1.0, 0.0, 0.0),
    ) -> "OmnidirectionalCamera":
        """A camera from the figures in OCamCalib's `calib_results.txt`.

        The toolbox counts rows first, puts the first pixel's centre at (0, 0) and lets z point
        backwards; all that is turned round here.

        Args:
            size: Image width and height, px.
            polynomial: a0 to a4 of the direct mapping; a0 is negative.
            centre: Row and column, px.
            stretch: c, d, e.

        Raises:
            CameraError: The figures describe no lens.
        """
        c, d, e = numbers("stretch", stretch, 3)
        row, column = numbers("centre", centre, 2)
        if c <= 0:
            raise CameraError(f"stretch must begin with a c above 0, got {stretch}")
        powers = numbers("polynomial", polynomial, 5)
        # Theirs is [[1, e], [d, c]] in our order of axes; c moves from v's place into the radius.
        ours = _magnified(tuple(-a for a in powers), c)
        return cls(*size, column + 0.5, row + 0.5, ours, (1 / c, e / c, d / c))

    @property
    def fx(self) -> float:
        """Focal length over the pixel's width next to the axis, px."""
        return self.polynomial[0] * self.stretch[0]

    @property
    def fy(self) -> float:
        """Focal length over the pixel's height next to the axis, px."""
        return self.polynomial[0]

    @property
    def field_angle_rad(self) -> float:
        """Largest angle off axis in the valid field, rad."""
        return self._radius.end_rad

    def parameters(self) -> tuple[float, ...]:
        """19 numbers that `omnidirectional_project` wants: see there."""
        a0, (_, d, e), radius = self.polynomial[0], self.stretch, self._radius
        intrinsics = (self.fx, self.fy, self.cx, self.cy, a0 * d, a0 * e)
        return (*intrinsics, *radius.shape, radius.end, *radius.start)

    def resized(self, width: int, height: int) -> "OmnidirectionalCamera":
        """The same lens for the same picture at another size."""
        across, down = width / self.width, height / self.height
        c, d, e = self.stretch
        return dataclasses.replace(
            self,
            width=width,
            height=height,
            cx=self.cx * across,
            cy=self.cy * down,
            polynomial=_magnified(self.polynomial, down),
            stretch=(c * across / down, d * across / down, e),
            content=self._content_at(width, height),
            corner_cut_px=self._cut_at(width, height),
        )

    @property
    def _radius(self) -> RadiusPolynomial:
        a0 = self.polynomial[0]
        shape = tuple(a * a0**power for power, a in enumerate(self.polynomial[1:]))
        return radius_polynomial(shape, self.max_angle_rad)

    def _sees(self, x: Any, y: Any, z: Any, ops: Any) -> Any:
        off_axis = ops.sqrt(x * x + y * y)
        return ((off_axis > 0) | (z > 0)) & (ops.atan2(off_axis, z) <= self.field_angle_rad)

    def _image(self, x: Any, y: Any, z: Any, ops: Any) -> tuple[Any, Any]:
        return omnidirectional_project(x, y, z, self.parameters(), ops)

    def _directions(self, u: Any, v: Any) -> tuple[Any, Any, Any]:
        (c, d, e), a0, radius = self.stretch, self.polynomial[0], self._radius
        across, down = (u - self.cx) / a0, (v - self.cy) / a0
        x, y = (across - d * down) / (c - d * e), (c * down - e * across) / (c - d * e)
        ops = namespace(u)
        radius2 = x * x + y * y
        t = ops.sqrt(ops.where(radius2 == 0, 1.0, radius2))
        t = ops.where(radius2 == 0, 0.0, t)
        z = radius.forward(t)
        length = ops.sqrt(radius2 + z * z)
        valid = t <= radius.end
        rays = (ops.where(valid, value / length, math.nan) for value in (x, y, z))
        a, b, forward = rays
        return a, b, forward


def _magnified(polynomial: tuple[float, ...], scale: float) -> Polynomial5:
    """The polynomial of the same lens when its radius is counted in finer pixels."""
    a0, a1, a2, a3, a4 = polynomial
    return a0 * scale, a1, a2 / scale, a3 / scale**2, a4 / scale**3
