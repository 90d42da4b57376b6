# SPDX-License-Identifier: Apache-2.0
"""Labels as channels beside a picture, or in its place: what a translator of simulation can be fed.

Channels stand in the order of the planes asked for: image 3, depth 1, normals 3, labels one per
class. All lie in [-1, 1].
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from endoforge.errors import DataError
from endoforge.frames.sizes import reduced_depth, reduced_image, reduced_label
from endoforge.translation.settings import Plane

#: What to decode of a frame for each plane, see `members.ALL_FIELDS`.
FIELDS_OF: Mapping[Plane, tuple[str, ...]] = {
    "image": ("image",),
    "depth": ("depth_mm", "valid"),
    "normals": ("normal_camera", "valid"),
    "labels": ("label",),
}

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class PlaneStack:
    """Which channels there are and how numbers become them.

    Attributes:
        planes: In their order.
        depth_range_mm: Depth that becomes -1 and 1 on a logarithmic scale; invalid depth is 0.
        classes: Class indices that have a channel each: 1 inside the class, -1 elsewhere.
    """

    planes: tuple[Plane, ...]
    depth_range_mm: tuple[float, float] = (1.0, 300.0)
    classes: tuple[int, ...] = ()

    @property
    def channels(self) -> int:
        """How many channels all planes have together."""
        counts = {"image": 3, "depth": 1, "normals": 3, "labels": len(self.classes)}
        return sum(counts[plane] for plane in self.planes)

    @property
    def fields(self) -> tuple[str, ...]:
        """What to decode of a frame."""
        return tuple(dict.fromkeys(name for plane in self.planes for name in FIELDS_OF[plane]))

    @property
    def mirror_signs(self) -> Float32[np.ndarray, " channels"]:
        """What each channel is multiplied with when a picture is mirrored left-right."""
        signs = np.ones(self.channels, np.float32)
        at = 0
        for plane in self.planes:
            if plane == "normals":
                signs[at] = -1
            at += PlaneStack((plane,), classes=self.classes).channels
        return signs

    def stacked(self, fields: Fields) -> Float32[np.ndarray, "channels height width"]:
        """Turn a frame's arrays into channels in [-1, 1].

        Args:
            fields: Arrays by name as `Dataset.fields` returns them, all of one size.
        """
        return np.concatenate([self._one(plane, fields) for plane in self.planes])

    def _one(self, plane: Plane, fields: Fields) -> Float32[np.ndarray, "channels height width"]:
        match plane:
            case "image":
                picture = fields["image"].astype(np.float32) / np.float32(127.5) - np.float32(1)
                return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)
            case "depth":
                return _depth_channel(fields["depth_mm"], self.depth_range_mm)[None]
            case "normals":
                normal = np.nan_to_num(fields["normal_camera"].astype(np.float32))
                return np.ascontiguousarray(normal.transpose(2, 0, 1), np.float32)
            case "labels":
                inside = [fields["label"] == index for index in self.classes]
                return np.asarray(np.stack(inside) * 2.0 - 1.0, np.float32)


def depth_from_channel(
    channel: Float32[np.ndarray, "height width"], depth_range_mm: tuple[float, float]
) -> Float32[np.ndarray, "height width"]:
    """Return the depth, mm, that a channel in [-1, 1] stands for; the inverse of `PlaneStack`."""
    low, high = (math.log(end) for end in depth_range_mm)
    logarithm = (channel + 1) * np.float32((high - low) / 2) + np.float32(low)
    return np.asarray(np.exp(logarithm), np.float32)


def reduced_fields(fields: Fields, size: tuple[int, int]) -> dict[str, Any]:
    """Return a frame's arrays at another size (width, height), each reduced in its own way."""
    found: dict[str, Any] = {}
    for name, array in fields.items():
        match name:
            case "image":
                found[name] = reduced_image(array, size)
            case "depth_mm":
                found[name] = reduced_depth(array, fields["valid"], size)
            case "normal_camera":
                found[name] = _reduced_normal(array, size)
            case "label":
                found[name] = reduced_label(array, size)
            case "valid":
                found[name] = reduced_mask(array, size)
    return found


def reduced_mask(
    mask: Bool[np.ndarray, "tall wide"], size: tuple[int, int]
) -> Bool[np.ndarray, "height width"]:
    """Return a mask at another size (width, height): True where three quarters are True."""
    if mask.shape[::-1] == size:
        return mask
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(share >= 0.75)


def classes_of(labels: Sequence[Mapping[int, str]]) -> tuple[int, ...]:
    """The class indices of data sets that are to be learnt from together.

    Raises:
        DataError: Two of them name a class differently.
    """
    first = labels[0]
    for other in labels[1:]:
        if differing := sorted(k for k in {*first, *other} if first.get(k) != other.get(k)):
            k = differing[0]
            raise DataError(
                f"all data sets must name their classes alike, got {first.get(k)!r} and "
                f"{other.get(k)!r} for class {k}; use the plane 'labels' with data sets of one kind"
            )
    return tuple(sorted(first))


# ---- inside -------------------------------------------------------------------------------------


def _depth_channel(
    depth_mm: Float32[np.ndarray, "height width"], depth_range_mm: tuple[float, float]
) -> Float32[np.ndarray, "height width"]:
    low, high = (math.log(end) for end in depth_range_mm)
    known = np.nan_to_num(depth_mm) > 0
    logarithm = np.log(np.where(known, depth_mm, 1.0))
    channel = np.clip((logarithm - low) * (2 / (high - low)) - 1, -1, 1)
    return np.where(known, channel, 0.0).astype(np.float32)


def _reduced_normal(
    normal: Float32[np.ndarray, "tall wide 3"], size: tuple[int, int]
) -> Float32[np.ndarray, "height width 3"]:
    """The mean of the known normals that a pixel covers, unit length; 0 where none is known."""
    mean = cv2.resize(np.nan_to_num(normal), size, interpolation=cv2.INTER_AREA)
    length = np.linalg.norm(mean, axis=-1, keepdims=True)
    return np.where(length > 1e-3, mean / np.maximum(length, 1e-3), 0).astype(np.float32)
