# SPDX-License-Identifier: Apache-2.0
"""The numbers of one frame, packed for a kernel that must not be compiled again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from endoforge.geometry.cameras import Camera
from endoforge.optics.light import LightSource
from endoforge.scene.records import Surface

Numbers = Sequence[float] | np.ndarray
Pose = Float64[np.ndarray, "4 4"]

#: A circle that holds every picture, px: what a lens without a content area has.
_NO_CIRCLE_PX = 1e6


@dataclass(frozen=True)
class Layout:
    """What a kernel is compiled for, and where each name's numbers lie in the packed row.

    Attributes:
        places: First index and count of each name.
        lights: Number of sources.
        models: Lens model of each destination: `next`, `previous` and `right`, as far as wanted.
        planes: Which pictures the kernel gives beside radiance, depth and meaning.
        placed: Patterns lie in rest frames that differ from the world.
        bounces: Light comes from other walls too, instead of its imitation.
    """

    places: Mapping[str, tuple[int, int]]
    lights: int
    models: Mapping[str, str]
    planes: frozenset[str]
    placed: bool
    bounces: bool = False


def pack(values: Mapping[str, Numbers]) -> Float32[np.ndarray, "numbers"]:
    """Join all numbers, in the order of the names."""
    return np.concatenate([np.asarray(numbers, np.float32) for numbers in values.values()])


def places_of(values: Mapping[str, Numbers]) -> dict[str, tuple[int, int]]:
    """Remember where each name went: first index and count."""
    places, start = {}, 0
    for name, numbers in values.items():
        places[name] = (start, len(numbers))
        start += len(numbers)
    return places


def eye_numbers(camera_from_world: Pose, centre_mm: Float64[np.ndarray, "3"]) -> dict[str, Numbers]:
    """The pose of the eye that the rays leave from."""
    return {
        "world_from_camera": camera_from_world[:3, :3].T.ravel(),
        "origin": origin_of(camera_from_world) - centre_mm,
    }


def destination_numbers(
    name: str, there_from_world: Pose, camera_from_world: Pose, centre_mm: Float64[np.ndarray, "3"]
) -> dict[str, Numbers]:
    """Another eye, as seen from this one: differences are taken here, in double precision."""
    step = there_from_world @ np.linalg.inv(camera_from_world)
    return {
        f"{name}_turn": step[:3, :3].ravel(),
        f"{name}_shift": step[:3, 3],
        f"{name}_origin": origin_of(there_from_world) - centre_mm,
        f"{name}_from_world": there_from_world[:3, :3].ravel(),
    }


def origin_of(camera_from_world: Pose) -> Float64[np.ndarray, "3"]:
    """Where the camera sits in the world, mm."""
    place: Float64[np.ndarray, "3"] = -camera_from_world[:3, :3].T @ camera_from_world[:3, 3]
    return place


def centre_of(surface: Surface) -> Float64[np.ndarray, "3"]:
    """Middle of the bounding box in whole mm; the kernel works near it, where floats are finest."""
    low, high = surface.vertices_mm.min(axis=0), surface.vertices_mm.max(axis=0)
    centre: Float64[np.ndarray, "3"] = np.rint((low.astype(np.float64) + high) / 2)
    return centre


def lens_numbers(name: str, camera: Camera) -> dict[str, Numbers]:
    """The lens at a destination, its field and its picture."""
    return {
        f"{name}_lens": camera.parameters(),
        f"{name}_cos_field": [math.cos(camera.field_angle_rad)],
        f"{name}_image_size": [camera.width, camera.height],
        f"{name}_circle": camera.content or (0.0, 0.0, _NO_CIRCLE_PX),
        f"{name}_corner_cut": [camera.corner_cut_px],
    }


def pixel_rad(camera: Camera) -> float:
    """How wide a pixel is next to the axis, rad."""
    return 1 / math.sqrt(camera.fx * camera.fy)


def light_numbers(
    lights: Sequence[LightSource], holder_from_world: Pose, centre_mm: np.ndarray
) -> dict[str, Numbers]:
    """The sources in the world; they ride with the camera whose pose is given."""
    values: dict[str, Numbers] = {}
    origin, turn = origin_of(holder_from_world) - centre_mm, holder_from_world[:3, :3].T
    for k, light in enumerate(lights):
        values[f"light{k}_position"] = origin + turn @ light.position_mm
        values[f"light{k}_axis"] = turn @ light.axis
        values[f"light{k}_mu"] = [light.mu]
        values[f"light{k}_power"] = light.intensity * np.asarray(light.colour)
    return values
