# SPDX-License-Identifier: Apache-2.0
"""The numbers of one frame, packed for a kernel that must not be compiled again.

Also the few constants that the kernel and its NumPy twin share.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from endoforge.geometry.cameras import Camera
from endoforge.optics.light import LightSource
from endoforge.optics.tissue import Tissue
from endoforge.scene.records import Surface

Numbers = Sequence[float] | np.ndarray

#: Shadow rays start this far above the wall: light enters tissue and leaves it a little further on.
SHADOW_START_MM = 0.3
#: Visibility rays towards the next camera start this far above the wall.
SIGHT_START_MM = 0.02
#: Once-reflected light falls off as 1 / (d² + this²): close to a wall, its own light is missing.
CAVITY_MM = 14.0
#: What redness patches take away, per colour channel.
PATCH_COLOUR = (0.25, 1.0, 0.9)
#: Share of the relief that the diffuse light under the film can feel.
DIFFUSE_RELIEF = 0.35
#: Sides of the triplanar pattern that weigh less than this are left out.
FAINTEST_SIDE = 0.03
#: Shifts that keep the three sides from showing the same part of the pattern, in periods.
SIDE_SHIFT = (0.0, 0.37, 0.71)
#: Bits beside label and instance: a surface was met; it is hidden in the next frame.
FOUND, HIDDEN = 1 << 24, 1 << 25
#: Cosines towards the camera below this no longer coarsen the pattern's level.
STEEPEST = 0.15


@dataclass(frozen=True)
class Layout:
    """Where each name's numbers lie in the packed row."""

    places: Mapping[str, tuple[int, int]]
    lights: int
    fisheye: bool


def pack(values: Mapping[str, Numbers]) -> Float32[np.ndarray, "numbers"]:
    """Join all numbers, in the order of the names."""
    return np.concatenate([np.asarray(numbers, np.float32) for numbers in values.values()])


def layout_of(values: Mapping[str, Numbers], lights: int, fisheye: bool) -> Layout:
    """Remember where each name went."""
    places, start = {}, 0
    for name, numbers in values.items():
        places[name] = (start, len(numbers))
        start += len(numbers)
    return Layout(places, lights, fisheye)


def pose_numbers(
    camera_from_world: Float64[np.ndarray, "4 4"],
    next_camera_from_world: Float64[np.ndarray, "4 4"],
    centre_mm: Float64[np.ndarray, "3"],
) -> dict[str, Numbers]:
    """Poses as the kernel wants them: differences are taken here, in double precision."""
    world_from_camera = camera_from_world[:3, :3].T
    step = next_camera_from_world @ np.linalg.inv(camera_from_world)
    return {
        "world_from_camera": world_from_camera.ravel(),
        "origin": origin_of(camera_from_world) - centre_mm,
        "next_turn": step[:3, :3].ravel(),
        "next_shift": step[:3, 3],
        "next_origin": origin_of(next_camera_from_world) - centre_mm,
    }


def origin_of(camera_from_world: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "3"]:
    """Where the camera sits in the world, mm."""
    place: Float64[np.ndarray, "3"] = -camera_from_world[:3, :3].T @ camera_from_world[:3, 3]
    return place


def centre_of(surface: Surface) -> Float64[np.ndarray, "3"]:
    """Middle of the bounding box; the kernel works relative to it, where floats are finest."""
    low, high = surface.vertices_mm.min(axis=0), surface.vertices_mm.max(axis=0)
    centre: Float64[np.ndarray, "3"] = (low.astype(np.float64) + high.astype(np.float64)) / 2
    return centre


def lens_numbers(camera: Camera) -> dict[str, Numbers]:
    """The lens, its field, and how wide a pixel is."""
    return {
        "lens": camera.parameters(),
        "cos_field": [math.cos(camera.field_angle_rad)],
        "image_size": [camera.width, camera.height],
        "pixel_rad": [1 / math.sqrt(camera.fx * camera.fy)],
    }


def tissue_numbers(tissue: Tissue) -> dict[str, Numbers]:
    """What the tissue looks like."""
    return {
        "albedo": tissue.albedo,
        "coarse_vessels": [tissue.coarse_vessels],
        "fine_vessels": [tissue.fine_vessels],
        "mottling": [tissue.mottling],
        "relief": [tissue.relief],
        "roughness": [tissue.roughness],
        "f0": [tissue.f0],
        "softness": tissue.softness,
        "edge_glow": [tissue.edge_glow],
        "interreflection": [tissue.interreflection],
        "tile_mm": [tissue.tile_mm],
    }


def light_numbers(
    lights: Sequence[LightSource],
    camera_from_world: Float64[np.ndarray, "4 4"],
    centre_mm: np.ndarray,
) -> dict[str, Numbers]:
    """The sources, in the camera frame and, for shadow rays, in the world."""
    values: dict[str, Numbers] = {}
    origin = origin_of(camera_from_world) - centre_mm
    for k, light in enumerate(lights):
        values[f"light{k}_position"] = light.position_mm
        values[f"light{k}_world"] = origin + camera_from_world[:3, :3].T @ light.position_mm
        values[f"light{k}_axis"] = light.axis
        values[f"light{k}_mu"] = [light.mu]
        values[f"light{k}_power"] = light.intensity * np.asarray(light.colour)
    return values
