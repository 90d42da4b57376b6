# SPDX-License-Identifier: Apache-2.0
"""From camera settings to lenses, one eye or two."""

import dataclasses
import math
from pathlib import Path
from typing import assert_never

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import Drawable, ends_of
from endoforge.geometry.camera_files import read_camera
from endoforge.geometry.cameras import Camera, FisheyeCamera, OmnidirectionalCamera, PinholeCamera
from endoforge.simulation.camera_settings import (
    CameraFileSettings,
    FisheyeSettings,
    OmnidirectionalSettings,
    PinholeSettings,
    StereoSettings,
)

AnyCameraSettings = FisheyeSettings | OmnidirectionalSettings | PinholeSettings | CameraFileSettings


def build_camera(settings: AnyCameraSettings) -> Camera:
    """Build the camera that the settings describe; a range that was not drawn from is its middle.

    Raises:
        CameraError: The camera file is damaged or describes an impossible lens.
    """
    camera = _lens(settings)
    if radius := _middle(settings.content_radius) * camera.height / 2:
        camera = dataclasses.replace(camera, content=(camera.cx, camera.cy, radius))
    if cut := _middle(settings.corner_cut) * camera.height / 2:
        camera = dataclasses.replace(camera, corner_cut_px=cut)
    return camera


def is_fixed(settings: AnyCameraSettings) -> bool:
    """Whether all sequences see through the same lens."""
    drawn = [settings.content_radius, settings.corner_cut]
    match settings:
        case (
            FisheyeSettings(diagonal_deg=angle)
            | OmnidirectionalSettings(diagonal_deg=angle)
            | PinholeSettings(horizontal_deg=angle)
        ):
            drawn.append(angle)
    return all(isinstance(ends, tuple) and ends[0] == ends[1] for ends in drawn)


def right_from_left(settings: StereoSettings) -> Float64[np.ndarray, "4 4"]:
    """Pose of the right eye: a baseline to the right, turned towards the left one's axis."""
    turn = -math.radians(_middle(settings.convergence_deg))
    c, s = math.cos(turn), math.sin(turn)
    pose = np.eye(4)
    left_from_right = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    pose[:3, :3] = left_from_right.T
    pose[:3, 3] = -left_from_right.T @ np.array([_middle(settings.baseline_mm), 0.0, 0.0])
    return pose


def _lens(settings: AnyCameraSettings) -> Camera:
    match settings:
        case FisheyeSettings(width=width, height=height, diagonal_deg=angle, distortion=k):
            return FisheyeCamera.from_field_of_view(width, height, _middle(angle), k)
        case OmnidirectionalSettings(width=width, height=height, diagonal_deg=angle, shape=k):
            return OmnidirectionalCamera.from_field_of_view(width, height, _middle(angle), k)
        case PinholeSettings(width=width, height=height, horizontal_deg=angle, distortion=k):
            return PinholeCamera.from_field_of_view(width, height, _middle(angle), k)
        case CameraFileSettings(file=file):
            return read_camera(Path(file))
        case _:
            assert_never(settings)


def _middle(distribution: Drawable) -> float:
    low, high = ends_of(distribution)
    return (low + high) / 2
