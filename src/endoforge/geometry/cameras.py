# SPDX-License-Identifier: Apache-2.0
"""Camera models: where a point appears in the image, and which way each pixel looks.

Both models answer in NumPy and torch. The image covers [0, width] x [0, height] and the first
pixel's centre is (0.5, 0.5); OpenCV calibrations put it at (0, 0), so add 0.5 to their cx and cy.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float64

from endoforge.errors import CameraError
from endoforge.geometry.arrays import namespace, points_of
from endoforge.geometry.camera_values import finite, half_angle_rad, image_side, numbers
from endoforge.geometry.lens_equations import (
    brown_conrady_project,
    kannala_brandt_project,
    odd_polynomial,
)
from endoforge.geometry.lens_inverse import (
    RadialTable,
    fisheye_table,
    invert_radial,
    pinhole_table,
    undistort,
)

_BAND_ROWS = 32
_LEAST_FIELD_RAD = math.radians(1.0)
_WIDEST_FISHEYE_RAD = math.radians(175.0)


LensT = TypeVar("LensT", bound="_Lens")


@dataclass(frozen=True)
class _Lens(ABC):
    """What the two camera models share: an image, four intrinsics, and arrays in and out."""

    model: ClassVar[str]
    distortion_count: ClassVar[int]

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            object.__setattr__(self, name, image_side(name, getattr(self, name)))
        for name in ("fx", "fy", "cx", "cy"):
            object.__setattr__(self, name, finite(name, getattr(self, name)))
        for name in ("fx", "fy"):
            if getattr(self, name) <= 0:
                raise CameraError(f"{name} must be above 0 px, got {getattr(self, name)!r}")
        distortion = numbers("distortion", self.distortion, self.distortion_count)
        object.__setattr__(self, "distortion", distortion)

    def parameters(self) -> tuple[float, ...]:
        """fx, fy, cx, cy and the distortion, as `geometry.lens_equations` wants them."""
        return (self.fx, self.fy, self.cx, self.cy, *self.distortion)

    def rays(self) -> Float64[np.ndarray, "height width 3"]:
        """Unit ray of every pixel centre in the camera frame; NaN outside the valid field.

        The array is kept for the next call and read-only; copy it before you change it.
        """
        return _rays(self)

    def valid(self) -> Bool[np.ndarray, "height width"]:
        """True for every pixel whose centre lies in the valid field."""
        return np.asarray(np.isfinite(self.rays()[..., 2]))

    def in_field(self, pixels: Float[Any, "*batch 2"]) -> Bool[Any, "*batch"]:
        """True where a pixel position lies inside the image and inside the valid field."""
        pixels = points_of(pixels, 2, "pixels")
        u, v = pixels[..., 0], pixels[..., 1]
        inside = (u >= 0) & (u <= self.width) & (v >= 0) & (v <= self.height)
        return inside & namespace(pixels).isfinite(self.unproject(pixels)[..., 2])

    def project(self, points: Float[Any, "*batch 3"]) -> Float[Any, "*batch 2"]:
        """Pixel position of points in the camera frame; NaN where the lens cannot see them.

        A point outside the image has a position too, as long as it lies in the valid field.

        Args:
            points: In the camera frame, mm.

        Returns:
            u and v, px.

        Raises:
            ShapeError: The last axis does not hold x, y, z.
        """
        points = points_of(points, 3, "points")
        ops = namespace(points)
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        with np.errstate(all="ignore"):
            seen = self._sees(x, y, z, ops)
            pixels = self._image(x, y, ops.where(seen, z, 1.0), ops)
        return ops.stack([ops.where(seen, value, math.nan) for value in pixels], -1)

    def unproject(self, pixels: Float[Any, "*batch 2"]) -> Float[Any, "*batch 3"]:
        """Unit ray, in the camera frame, of pixel positions; NaN outside the valid field.

        Args:
            pixels: u and v, px; need not be inside the image.

        Raises:
            ShapeError: The last axis does not hold u, v.
        """
        pixels = points_of(pixels, 2, "pixels")
        a = (pixels[..., :1] - self.cx) / self.fx
        b = (pixels[..., 1:] - self.cy) / self.fy
        with np.errstate(all="ignore"):
            return namespace(pixels).concatenate(self._directions(a, b), -1)

    def resized(self: LensT, width: int, height: int) -> LensT:
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
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `camera_from_dict` reads them back."""
        values = {"model": self.model, **dataclasses.asdict(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @abstractmethod
    def _sees(self, x: Any, y: Any, z: Any, ops: Any) -> Any: ...

    @abstractmethod
    def _image(self, x: Any, y: Any, z: Any, ops: Any) -> tuple[Any, Any]: ...

    @abstractmethod
    def _directions(self, a: Any, b: Any) -> tuple[Any, Any, Any]: ...


@dataclass(frozen=True)
class PinholeCamera(_Lens):
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
    """

    model: ClassVar[str] = "pinhole"
    distortion_count: ClassVar[int] = 5

    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_field(self, math.inf)

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
        focal = camera.width / 2 / _image_radius(camera, half)
        return dataclasses.replace(camera, fx=focal, fy=focal)

    @property
    def field_angle_rad(self) -> float:
        """Largest angle off axis in the valid field, rad."""
        return math.atan(float(self._table.nodes[-1]))

    @property
    def _table(self) -> RadialTable:
        return pinhole_table(self.distortion)

    def _sees(self, x: Any, y: Any, z: Any, ops: Any) -> Any:
        end = float(self._table.nodes[-1])
        return (z > 0) & (x * x + y * y <= (end * z) * (end * z))

    def _image(self, x: Any, y: Any, z: Any, ops: Any) -> tuple[Any, Any]:
        return brown_conrady_project(x, y, z, self.parameters(), ops)

    def _directions(self, a: Any, b: Any) -> tuple[Any, Any, Any]:
        ops = namespace(a)
        x, y = undistort(a, b, self.distortion, self._table)
        z = 1 / ops.sqrt(x * x + y * y + 1)
        return x * z, y * z, z


@dataclass(frozen=True)
class FisheyeCamera(_Lens):
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
    """

    model: ClassVar[str] = "fisheye"
    distortion_count: ClassVar[int] = 4

    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    max_angle_rad: float = math.radians(110.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        limit = finite("max_angle_rad", self.max_angle_rad)
        object.__setattr__(self, "max_angle_rad", limit)
        if not 0 < limit <= _WIDEST_FISHEYE_RAD:
            raise CameraError(
                f"max_angle_rad must be above 0 and at most {_WIDEST_FISHEYE_RAD:.4f} "
                f"(175 degrees off axis), got {limit!r}"
            )
        _check_field(self, limit)

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
        focal = math.hypot(camera.width, camera.height) / 2 / _image_radius(camera, half)
        return dataclasses.replace(camera, fx=focal, fy=focal)

    @property
    def field_angle_rad(self) -> float:
        """Largest angle off axis in the valid field, rad."""
        return float(self._table.nodes[-1])

    @property
    def _table(self) -> RadialTable:
        return fisheye_table(self.distortion, self.max_angle_rad)

    def _sees(self, x: Any, y: Any, z: Any, ops: Any) -> Any:
        off_axis = ops.sqrt(x * x + y * y)
        return ((off_axis > 0) | (z > 0)) & (ops.atan2(off_axis, z) <= self.field_angle_rad)

    def _image(self, x: Any, y: Any, z: Any, ops: Any) -> tuple[Any, Any]:
        return kannala_brandt_project(x, y, z, self.parameters(), ops)

    def _directions(self, a: Any, b: Any) -> tuple[Any, Any, Any]:
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


Camera = PinholeCamera | FisheyeCamera


def pixel_centres(width: int, height: int) -> Float64[np.ndarray, "height width 2"]:
    """Positions of all pixel centres, px; the first is (0.5, 0.5)."""
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([u, v], axis=-1)


def camera_from_dict(values: Mapping[str, Any]) -> Camera:
    """Build the camera that plain values describe; the inverse of `to_dict`.

    Raises:
        CameraError: Names the key that is missing, unknown or wrong, and the value that came.
    """
    models: dict[str, type[Camera]] = {"pinhole": PinholeCamera, "fisheye": FisheyeCamera}
    if not isinstance(values, Mapping):
        raise CameraError(f"a camera must be a group of keys, got {values!r:.80}")
    model = values.get("model")
    if not isinstance(model, str) or model not in models:
        raise CameraError(f"camera key 'model' must be 'pinhole' or 'fisheye', got {model!r:.80}")
    kind = models[model]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(str(key) for key in values if key != "model" and key not in fields):
        raise CameraError(f"unknown camera key {unknown[0]!r:.80}; valid: {', '.join(fields)}")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise CameraError(f"camera key {name!r} is missing; a {model} camera needs it")
    known: dict[str, Any] = {name: values[name] for name in fields if name in values}
    if isinstance(distortion := known.get("distortion"), list):
        known["distortion"] = tuple(distortion)
    return kind(**known)


@lru_cache(maxsize=8)
def _rays(camera: _Lens) -> Float64[np.ndarray, "height width 3"]:
    centres = pixel_centres(camera.width, camera.height)
    bands = range(0, camera.height, _BAND_ROWS)  # small enough for the processor's cache
    rays = np.concatenate([camera.unproject(centres[row : row + _BAND_ROWS]) for row in bands])
    rays.setflags(write=False)
    return rays


def _check_field(camera: Camera, limit_rad: float) -> None:
    """Refuse a distortion that folds next to the axis: its coefficients cannot be meant so."""
    if camera.field_angle_rad < min(_LEAST_FIELD_RAD, limit_rad):
        raise CameraError(
            f"the distortion {camera.distortion} folds back "
            f"{math.degrees(camera.field_angle_rad):.3f} degrees off axis, expected 1 or more; "
            f"check the order of the coefficients of a {camera.model} camera"
        )


def _image_radius(camera: Camera, half_rad: float) -> float:
    """Image radius over focal length at an angle off axis, which must lie in the field."""
    if half_rad > camera.field_angle_rad + 1e-12:
        raise CameraError(
            f"the distortion {camera.distortion} folds back "
            f"{math.degrees(camera.field_angle_rad):.2f} degrees off axis, got a field of view "
            f"that needs {math.degrees(half_rad):.2f}; "
            "ask for a narrower one or correct the distortion"
        )
    if isinstance(camera, PinholeCamera):
        k1, k2, _, _, k3 = camera.distortion
        return float(odd_polynomial(math.tan(half_rad), (k1, k2, k3)))
    return float(odd_polynomial(half_rad, camera.distortion))
