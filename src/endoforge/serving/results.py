# SPDX-License-Identifier: Apache-2.0
"""Writing one picture's results: 16-bit depth, the side-by-side picture, the point cloud."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from endoforge.errors import CameraError
from endoforge.frames.colour import Scale
from endoforge.frames.media.media import Picture
from endoforge.frames.planes import DEPTH_SCALE_MM, encode_depth
from endoforge.frames.png import encode_png
from endoforge.frames.storage import write_atomically
from endoforge.geometry.camera_files import read_camera
from endoforge.geometry.cameras import Camera, FisheyeCamera
from endoforge.serving.clouds import point_cloud
from endoforge.serving.panels import Caption, Layout, side_by_side
from endoforge.serving.records import FrameRecord
from endoforge.serving.settings import RunSettings

_LARGEST_ASPECT_ERROR = 0.01


@dataclass(frozen=True)
class Lens:
    """The calibrated camera, or the field of view of the fisheye that stands in for it."""

    calibrated: Camera | None
    assumed_diagonal_deg: float

    @classmethod
    def from_settings(cls, settings: RunSettings) -> "Lens":
        """Read the camera file, if there is one.

        Raises:
            CameraError: The file cannot be read or describes no camera.
        """
        if settings.camera is None:
            return cls(None, settings.assumed_diagonal_deg)
        return cls(read_camera(settings.camera), settings.assumed_diagonal_deg)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        if self.calibrated is not None:
            return {"assumed": False, **self.calibrated.to_dict()}
        return {
            "assumed": True,
            "model": "fisheye",
            "diagonal_deg": self.assumed_diagonal_deg,
            "note": "no camera file was given; an equidistant fisheye lens of this field is "
            "assumed, so the shape of the point clouds is approximate",
        }


def lens_for(lens: Lens, width: int, height: int) -> Camera:
    """The lens for pictures of one size.

    Raises:
        CameraError: The calibrated camera's picture has another shape.
    """
    camera = lens.calibrated
    if camera is None:
        return FisheyeCamera.from_field_of_view(width, height, lens.assumed_diagonal_deg)
    if abs(camera.width * height / (camera.height * width) - 1) > _LARGEST_ASPECT_ERROR:
        raise CameraError(
            f"the camera file is for {camera.width} × {camera.height} px, but a picture has "
            f"{width} × {height}; the shapes differ, give the camera of these pictures"
        )
    return camera.resized(width, height)


@dataclass(frozen=True)
class Results:
    """Where results go, how many of each, and in which colours."""

    out: Path
    settings: RunSettings
    lens: Lens
    expected: int | None

    @property
    def scale(self) -> Scale:
        """The colour scale of all pictures of the run."""
        low, high = self.settings.range_mm
        low = max(low, 0.1)
        return Scale(low, max(high, 1.01 * low), "mm", True, "depth", reverse=True)

    def wants(self, index: int, most: int) -> bool:
        """Whether frame `index` is one of `most` that are spread evenly over the run."""
        return wants_frame(index, most, self.expected)


def wants_frame(index: int, most: int, expected: int | None) -> bool:
    """Whether frame `index` is one of `most` that are spread evenly over those expected."""
    if most == 0:
        return False
    return index % max(1, math.ceil((expected or 10_000) / most)) == 0


@dataclass(frozen=True, eq=False)
class Estimated:
    """One picture with its depth.

    Attributes:
        picture: The input.
        depth_mm: z in the camera frame, mm; NaN where nothing is known.
        reasons: Why the picture is not trusted; empty when it is.
    """

    picture: Picture
    depth_mm: Float32[np.ndarray, "height width"]
    reasons: tuple[str, ...]

    def drawn(
        self, scale: Scale, layout: Layout
    ) -> UInt8[np.ndarray, "canvas_height canvas_width 3"]:
        """The input beside its depth."""
        caption = Caption(
            f"{self.picture.name}   {self.picture.time_s:.2f} s", "; ".join(self.reasons)
        )
        return side_by_side(self.picture.image, self.depth_mm, scale, layout, caption)


def write_frame(
    results: Results,
    index: int,
    estimated: Estimated,
    layout: Layout,
    drawing: UInt8[np.ndarray, "canvas_height canvas_width 3"],
) -> FrameRecord:
    """Write what is wanted of one picture and return its line of the manifest.

    Args:
        results: Where to, and how many of each.
        index: Number of the frame within the run.
        estimated: The picture with its depth.
        layout: Of the drawing.
        drawing: The input beside its depth.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
        CameraError: The camera file does not fit the picture.
    """
    out, settings = results.out, results.settings
    picture, depth_mm = estimated.picture, estimated.depth_mm
    height, width = depth_mm.shape
    depth_file = f"depth/{picture.name}.png"
    write_atomically(out / depth_file, _encode(depth_mm, picture.name))
    still_file = cloud_file = None
    if results.wants(index, settings.stills):
        still_file = f"side_by_side/{picture.name}.png"
        write_atomically(out / still_file, encode_png(drawing))
    if not estimated.reasons and results.wants(index, settings.point_clouds):
        cloud_file = f"points/{picture.name}.ply"
        camera = lens_for(results.lens, width, height)
        cloud = point_cloud(picture.image, depth_mm, camera, settings.points)
        write_atomically(out / cloud_file, cloud)
    return FrameRecord(
        name=picture.name,
        time_s=round(picture.time_s, 4),
        trusted=not estimated.reasons,
        reasons=estimated.reasons,
        depth=depth_file,
        side_by_side=still_file,
        panels=layout.boxes(width, height) if still_file else (),
        points=cloud_file,
        content=round(float(np.isfinite(depth_mm).mean()), 4),
        depth_mm=_statistics(depth_mm),
    )


# ---- inside -------------------------------------------------------------------------------------


def _encode(depth_mm: Float32[np.ndarray, "height width"], name: str) -> bytes:
    """Pack depth as everywhere else; what is beyond the farthest depth stays at it."""
    fitting = np.clip(depth_mm, DEPTH_SCALE_MM, 65_535 * DEPTH_SCALE_MM)
    return encode_depth(fitting.astype(np.float32), DEPTH_SCALE_MM, name)


def _statistics(depth_mm: Float32[np.ndarray, "height width"]) -> dict[str, float | None]:
    """Near, middle and far depth, mm; None for each when nothing is known."""
    known = depth_mm[np.isfinite(depth_mm)]
    names = ("p5", "median", "p95")
    if known.size == 0:
        return dict.fromkeys(names)
    found = np.percentile(known, (5, 50, 95))
    return {name: round(float(value), 3) for name, value in zip(names, found, strict=True)}
