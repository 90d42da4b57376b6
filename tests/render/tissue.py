# SPDX-License-Identifier: Apache-2.0
"""A small lump of tissue, a small cavity, and light on them: shared by tests."""

from typing import Literal

import numpy as np

from endoforge.geometry.cameras import Camera, PinholeCamera
from endoforge.geometry.poses import look_at
from endoforge.optics.illumination import DiskLight, Surroundings, WorldLight
from endoforge.optics.light import LightSource
from endoforge.optics.transfer import OpticalCurve, TransferFunction
from endoforge.render.volume.view import VolumeView
from endoforge.scene.volume.records import CtVolume

Kind = Literal["phase", "surface", "hybrid"]

#: HU per mm that make a gradient act as a surface: never, always, and half of the time.
SURFACE = {"phase": 1e9, "surface": 1e-2, "hybrid": 200.0}
HU = np.array([-850.0, -300.0, 50.0, 500.0])
EXTINCTION = np.array([0.0, 0.05, 0.2, 0.4])
ORGAN = 3


def lump() -> CtVolume:
    """A ball with a dense organ in it, on a turned grid whose voxels are no cubes."""
    away = _away((14, 12, 10), (1.0, 1.1, 1.3))
    noise = np.random.default_rng(3).normal(0, 20, away.shape)
    hu = np.where(away < 4.5, 60.0, -1000.0) + np.where(away < 2, 400.0, 0.0) + noise
    axes = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]) @ np.diag([2.0, 1.8, 2.5])
    organs = np.where(away < 2, ORGAN, 0).astype(np.uint8)
    return CtVolume(hu.astype(np.int16), _pose(axes), organs, {ORGAN: "liver"})


def cavity() -> CtVolume:
    """Gas within tissue that fills the rest of the grid; the grid's axes are left-handed."""
    away = _away((12, 12, 12), (1.0, 1.0, 1.0))
    hu = np.where(away < 3.6, -1000, 40).astype(np.int16)
    return CtVolume(hu, _pose(np.diag([-2.0, 2.0, 2.0])))


def _away(shape: tuple[int, int, int], squeeze: tuple[float, float, float]) -> np.ndarray:
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    middle = (np.array(shape) - 1) / 2
    return np.linalg.norm((places - middle) * np.array(squeeze), axis=-1)


def _pose(axes: np.ndarray) -> np.ndarray:
    world_from_voxel = np.eye(4)
    world_from_voxel[:3, :3], world_from_voxel[:3, 3] = axes, (10.0, -14.0, -11.0)
    return world_from_voxel


def tissue(kind: Kind, g: float = 0.4) -> TransferFunction:
    albedo = np.array([[0.9, 0.5, 0.4]] * 3 + [[0.95, 0.9, 0.8]])
    rough, f0 = np.array([0.3, 0.3, 0.4, 0.2]), np.array([0.05, 0.05, 0.04, 0.2])
    liver = OpticalCurve(
        HU, 0.5 * EXTINCTION + 0.05, np.array([[0.5, 0.9, 0.4]] * 4), rough, 0.5 * f0
    )
    curve = OpticalCurve(HU, EXTINCTION, albedo, rough, f0)
    return TransferFunction("test", curve, {"liver": liver}, g, SURFACE[kind])


def plain(kind: Kind, albedo: float, g: float, roughness: float, f0: float) -> TransferFunction:
    """Everything but extinction is the same everywhere."""
    count = len(HU)
    colours = np.full((count, 3), albedo)
    curve = OpticalCurve(HU, EXTINCTION, colours, np.full(count, roughness), np.full(count, f0))
    return TransferFunction("test", curve, {}, g, SURFACE[kind])


def camera(pixels: int = 8) -> Camera:
    return PinholeCamera.from_field_of_view(pixels, pixels, horizontal_deg=40.0)


def outside(volume: CtVolume) -> np.ndarray:
    middle = volume.centre_mm
    return look_at(middle + np.array([30.0, -35.0, 12.0]), middle, np.array([0.0, 0.0, 1.0]))


def inside(volume: CtVolume) -> np.ndarray:
    middle = volume.centre_mm
    return look_at(middle + np.array([-3.0, 1.0, 0.0]), middle, np.array([0.0, 0.0, 1.0]))


LAMPS = (
    LightSource((5.0, 0.0, 0.0), (0.0, 0.0, 1.0), 1.5, 800.0),
    LightSource((-25.0, -8.0, 20.0), (0.6, 0.0, 0.8), 0.5, 400.0, (1.0, 0.5, 0.2)),
)
EVEN = Surroundings(np.array([[[0.5, 0.6, 0.7]]], np.float32))


def uneven(contrast: float) -> Surroundings:
    radiance = np.random.default_rng(5).uniform(0.1, 0.5, (6, 12, 3))
    radiance[1, 4] *= contrast
    return Surroundings(radiance.astype(np.float32))


def disk(volume: CtVolume) -> DiskLight:
    """Close to the volume, tilted, warm."""
    x, y, z = volume.centre_mm
    return DiskLight((x, y - 20.0, z + 25.0), (0.0, 0.6, -0.8), 8.0, (6.0, 5.0, 4.0))


def view(volume: CtVolume, light: str, seed: int = 1) -> VolumeView:
    """The volume under one of several kinds of light."""
    pose = outside(volume)
    if light == "lamps":
        return VolumeView(pose, LAMPS, seed=seed)
    if light == "lumen":
        lamps = (LightSource(mu=1.0, intensity=40.0),)
        return VolumeView(inside(volume), lamps, seed=seed)
    if light == "map":
        return VolumeView(pose, (), WorldLight((), uneven(6.0)), seed=seed)
    world = WorldLight((disk(volume),), EVEN)
    return VolumeView(pose, LAMPS[:1], world, aperture_mm=2.0, focus_mm=40.0, seed=seed)
