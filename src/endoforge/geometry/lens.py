# SPDX-License-Identifier: Apache-2.0
"""What all camera models share: an image, its round content, and arrays in and out.

The image covers [0, width] x [0, height] and the first pixel's centre is (0.5, 0.5).
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float64

from endoforge.errors import CameraError
from endoforge.geometry.arrays import namespace, points_of
from endoforge.geometry.camera_values import finite, image_side, numbers

_BAND_ROWS = 32
_LEAST_FIELD_RAD = math.radians(1.0)
#: No lens with a polynomial in the angle is followed further off axis than this.
WIDEST_RAD = math.radians(175.0)

LensT = TypeVar("LensT", bound="Lens")


@dataclass(frozen=True)
class Lens(ABC):
    """An image that a lens draws, perhaps only inside a circle or an octagon.

    Attributes:
        width: Image width, px.
        height: Image height, px.
        content: Centre (from the left and upper border) and radius of the round picture that the
            scope's optics leave, px; what lies outside it is black. None fills the whole image.
        corner_cut_px: How far each corner of the image is cut off along either border, at 45
            degrees, as some processors do, px; 0 for no cut.
    """

    model: ClassVar[str]

    width: int
    height: int
    _: KW_ONLY
    content: tuple[float, float, float] | None = None
    corner_cut_px: float = 0.0

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            object.__setattr__(self, name, image_side(name, getattr(self, name)))
        if self.content is not None:
            content = numbers("content", self.content, 3)
            object.__setattr__(self, "content", content)
            _check_content(content, self.width, self.height)
        object.__setattr__(self, "corner_cut_px", _corner_cut(self))

    @property
    @abstractmethod
    def field_angle_rad(self) -> float:
        """Largest angle off axis in the valid field, rad."""

    @abstractmethod
    def parameters(self) -> tuple[float, ...]:
        """The numbers that this model's formula in `geometry.lens_equations` wants."""

    def rays(self) -> Float64[np.ndarray, "height width 3"]:
        """Unit ray of every pixel centre in the camera frame; NaN outside the valid field.

        The array is kept for the next call and read-only; copy it before you change it.
        """
        return _rays(self)

    def valid(self) -> Bool[np.ndarray, "height width"]:
        """True for every pixel whose centre lies in the valid field and in the content."""
        return np.asarray(np.isfinite(self.rays()[..., 2]))

    def in_field(self, pixels: Float[Any, "*batch 2"]) -> Bool[Any, "*batch"]:
        """True where a pixel position lies inside the image, its content and the valid field."""
        pixels = points_of(pixels, 2, "pixels")
        u, v = pixels[..., 0], pixels[..., 1]
        inside = (u >= 0) & (u <= self.width) & (v >= 0) & (v <= self.height)
        return inside & namespace(pixels).isfinite(self.unproject(pixels)[..., 2])

    def project(self, points: Float[Any, "*batch 3"]) -> Float[Any, "*batch 2"]:
        """Pixel position of points in the camera frame; NaN where the lens cannot see them.

        A point outside the image or its content has a position too, as long as the lens reaches it;
        `in_field` tells them apart.

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
        """Unit ray, in the camera frame, of pixel positions; NaN outside field or content.

        Args:
            pixels: u and v, px; need not be inside the image.

        Raises:
            ShapeError: The last axis does not hold u, v.
        """
        pixels = points_of(pixels, 2, "pixels")
        ops = namespace(pixels)
        with np.errstate(all="ignore"):
            rays = ops.concatenate(self._directions(pixels[..., :1], pixels[..., 1:]), -1)
        if self.corner_cut_px:
            rays = ops.where(self._uncut(pixels), rays, math.nan)
        if self.content is None:
            return rays
        u, v, radius = self.content
        apart2 = (pixels[..., :1] - u) ** 2 + (pixels[..., 1:] - v) ** 2
        return ops.where(apart2 <= radius * radius, rays, math.nan)

    def _uncut(self, pixels: Any) -> Any:
        """True where the distances from the two nearest borders add up to the cut or more."""
        to_side = 0.5 * self.width - abs(pixels[..., :1] - 0.5 * self.width)
        to_end = 0.5 * self.height - abs(pixels[..., 1:] - 0.5 * self.height)
        return to_side + to_end >= self.corner_cut_px

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `camera_from_dict` reads them back."""
        values = {"model": self.model, **dataclasses.asdict(self)}
        if (content := values.pop("content")) is not None:
            values["content"] = content
        if not self.corner_cut_px:
            del values["corner_cut_px"]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def _content_at(self, width: int, height: int) -> tuple[float, float, float] | None:
        """The content of the picture at another size; unequal scaling keeps the circle inside."""
        if self.content is None:
            return None
        (u, v, radius), across, down = self.content, width / self.width, height / self.height
        return u * across, v * down, radius * min(across, down)

    def _cut_at(self, width: int, height: int) -> float:
        """The cut of the picture at another size; unequal scaling keeps it outside the old one."""
        return self.corner_cut_px * max(width / self.width, height / self.height)

    @abstractmethod
    def resized(self: LensT, width: int, height: int) -> LensT:
        """The same lens for the same picture at another size."""

    @abstractmethod
    def _sees(self, x: Any, y: Any, z: Any, ops: Any) -> Any: ...

    @abstractmethod
    def _image(self, x: Any, y: Any, z: Any, ops: Any) -> tuple[Any, Any]: ...

    @abstractmethod
    def _directions(self, u: Any, v: Any) -> tuple[Any, Any, Any]: ...


def pixel_centres(width: int, height: int) -> Float64[np.ndarray, "height width 2"]:
    """Positions of all pixel centres, px; the first is (0.5, 0.5)."""
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([u, v], axis=-1)


def positive(name: str, value: Any) -> float:
    """A finite number above 0, or a `CameraError` that names it."""
    number = finite(name, value)
    if number <= 0:
        raise CameraError(f"{name} must be above 0 px, got {number!r}")
    return number


def angle_limit(value: Any) -> float:
    """Largest angle off axis that a lens is told to have, rad."""
    limit = finite("max_angle_rad", value)
    if not 0 < limit <= WIDEST_RAD:
        raise CameraError(
            f"max_angle_rad must be above 0 and at most {WIDEST_RAD:.4f} "
            f"(175 degrees off axis), got {limit!r}"
        )
    return limit


def check_field(camera: Lens, coefficients: tuple[float, ...], limit_rad: float) -> None:
    """Refuse a distortion that folds next to the axis: its coefficients cannot be meant so."""
    if camera.field_angle_rad < min(_LEAST_FIELD_RAD, limit_rad):
        raise CameraError(
            f"the distortion {coefficients} folds back "
            f"{math.degrees(camera.field_angle_rad):.3f} degrees off axis, expected 1 or more; "
            f"check the order of the coefficients of a {camera.model} camera"
        )


def check_reach(camera: Lens, coefficients: tuple[float, ...], half_rad: float) -> None:
    """Refuse a field of view that is wider than the lens reaches."""
    if half_rad > camera.field_angle_rad + 1e-12:
        raise CameraError(
            f"the distortion {coefficients} folds back "
            f"{math.degrees(camera.field_angle_rad):.2f} degrees off axis, got a field of view "
            f"that needs {math.degrees(half_rad):.2f}; "
            "ask for a narrower one or correct the distortion"
        )


def _check_content(content: tuple[float, ...], width: int, height: int) -> None:
    u, v, radius = content
    apart = math.hypot(u - min(max(u, 0), width), v - min(max(v, 0), height))
    if not 0 <= apart < radius:
        raise CameraError(
            f"content must be centre and radius of a circle that meets the image of "
            f"{width} x {height} px, got {content}"
        )


def _corner_cut(camera: Lens) -> float:
    cut = finite("corner_cut_px", camera.corner_cut_px)
    if not 0 <= cut < 0.5 * (camera.width + camera.height):
        raise CameraError(
            f"corner_cut_px must be 0 or more and leave the middle of an image of "
            f"{camera.width} x {camera.height} px, got {cut}"
        )
    return cut


@lru_cache(maxsize=8)
def _rays(camera: Lens) -> Float64[np.ndarray, "height width 3"]:
    centres = pixel_centres(camera.width, camera.height)
    bands = range(0, camera.height, _BAND_ROWS)  # small enough for the processor's cache
    rays = np.concatenate([camera.unproject(centres[row : row + _BAND_ROWS]) for row in bands])
    rays.setflags(write=False)
    return rays
