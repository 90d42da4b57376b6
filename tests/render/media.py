# SPDX-License-Identifier: Apache-2.0
"""Volumes whose labels are known in closed form, and cameras that look at them."""

import numpy as np

from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.poses import look_at
from endoforge.optics.transfer import OpticalCurve, TransferFunction
from endoforge.scene.volume.records import CtVolume

LOOKS = 24  # px


def curve(*points: tuple[float, float]) -> OpticalCurve:
    """Extinction over HU; everything else is grey and dull."""
    hu, extinction = np.array(points, float).T.copy()
    count = len(points)
    return OpticalCurve(
        hu, extinction, np.full((count, 3), 0.5), np.full(count, 0.3), np.full(count, 0.04)
    )


def transfer(*points: tuple[float, float], **organs: OpticalCurve) -> TransferFunction:
    return TransferFunction("test", curve(*points), organs=organs)


def turned_grid(rng: np.random.Generator, spacing=(1.0, 1.0, 1.0), mirrored=False) -> np.ndarray:
    """A grid that lies in the world at any angle, with voxels of any size."""
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    axes = axes * (1 if (np.linalg.det(axes) < 0) == mirrored else -1)
    world_from_voxel = np.eye(4)
    world_from_voxel[:3, :3] = axes * np.array(spacing)
    world_from_voxel[:3, 3] = rng.uniform(-50, 50, 3)
    return world_from_voxel


def in_world(volume: CtVolume, place) -> np.ndarray:
    return (
        volume.world_from_voxel[:3, :3] @ np.asarray(place, float) + volume.world_from_voxel[:3, 3]
    )


def looking(volume: CtVolume, eye, target) -> np.ndarray:
    """A pose between two places in voxels."""
    eye, target = in_world(volume, eye), in_world(volume, target)
    up = np.array([0.3, -0.5, 0.8])
    return look_at(eye, target, up)


def camera(degrees: float = 50.0) -> PinholeCamera:
    return PinholeCamera.from_field_of_view(LOOKS, LOOKS, horizontal_deg=degrees)


def world_rays(pose: np.ndarray, lens: PinholeCamera) -> np.ndarray:
    """Unit directions of all pixels, in the world."""
    return lens.rays().reshape(-1, 3) @ pose[:3, :3]
