# SPDX-License-Identifier: Apache-2.0
"""Labels of a volume, without noise and the same to the bit every time.

What each label means is in docs/concepts/volume-labels.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from endoforge.errors import SceneError, SettingsError, ShapeError
from endoforge.geometry.cameras import Camera
from endoforge.optics.transfer import TransferFunction, check_transfer, organ_tables
from endoforge.render import parameters
from endoforge.render.assemble import as_picture
from endoforge.render.engine import Device, start
from endoforge.render.parameters import Layout
from endoforge.render.volume.blocks import VolumeOnDevice
from endoforge.render.volume.settings import DepthRule
from endoforge.render.volume.view import VolumeFlow, VolumeLabels
from endoforge.scene.volume.records import CtVolume

if TYPE_CHECKING:
    from endoforge.render.volume.medium import Tables

Pose = Float64[np.ndarray, "4 4"]

#: Opacity at which a ray has hit something first.
FIRST_OPACITY = 0.1

#: A point is hidden from another eye where less than this share of its light would arrive: where
#: the way there is optically more than three times as deep as the way to the eye that sees it.
LEAST_TRANSMITTANCE = 0.125

_DISTANCES: Mapping[DepthRule, str] = {
    "half": "distance_mm",
    "expected": "expected_mm",
    "first": "first_mm",
}


@dataclass(frozen=True, eq=False)
class LabelRequest:
    """What is asked for one frame beside its own pose.

    Attributes:
        rule: Which point of a ray is meant by normal, HU, organ and flow.
        next_camera_from_world: Where the flow leads to, mm; None for no flow.
        previous_camera_from_world: Where the backward flow leads to, mm; None for none.
        first_opacity: Opacity at which a ray has hit something first, above 0 and below 1.
    """

    rule: DepthRule = "half"
    next_camera_from_world: Pose | None = None
    previous_camera_from_world: Pose | None = None
    first_opacity: float = FIRST_OPACITY


class LabelPass:
    """Labels of one volume through one camera; all frames share one compiled kernel."""

    def __init__(
        self,
        volume: CtVolume,
        camera: Camera,
        transfer: TransferFunction,
        device: Device = "auto",
        shared: VolumeOnDevice | None = None,
    ) -> None:
        """Put the volume on the device.

        Args:
            volume: The CT.
            camera: The lens; its rays are taken as they are, whatever the model.
            transfer: What stops light, and how strongly.
            device: ``"cpu"``, ``"cuda"`` or ``"auto"``.
            shared: The same volume where it is on the device already; None to put it there.

        Raises:
            SceneError: The volume has fewer than two voxels along an axis.
            SettingsError: The transfer function cannot be drawn.
            MissingDependency: The renderer cannot start on this machine.
        """
        check_volume(volume)
        start(device)
        from endoforge.render.buffers import upload_lens
        from endoforge.render.volume.voxels import upload_volume

        self.camera = camera
        self._volume = volume
        self._on_device = shared or upload_volume(volume)
        self._lens = upload_lens(camera)
        self._tables = self._upload(transfer)

    def set_transfer(self, transfer: TransferFunction) -> None:
        """Use another transfer function from now on; nothing is compiled again.

        Raises:
            SettingsError: The transfer function cannot be drawn.
        """
        self._tables = self._upload(transfer)

    def labels(self, camera_from_world: Pose, request: LabelRequest | None = None) -> VolumeLabels:
        """Label one frame.

        Args:
            camera_from_world: Pose of this frame, mm.
            request: What is asked for; distances, normal, HU and organ if not given.

        Raises:
            SettingsError: The rule is not known, or the opacity of a first hit cannot be.
            ShapeError: A pose is not 4x4.
        """
        from endoforge.render.volume import label_kernel

        request = check_request(request or LabelRequest())
        values = self._values(camera_from_world, request)
        layout = Layout(
            places=parameters.places_of(values),
            lights=0,
            models={name: self.camera.model for name in _destinations(request)},
            planes=frozenset({_DISTANCES[request.rule]}),
            placed=False,
        )
        rows = label_kernel.run(
            self._on_device.voxels, self._tables, self._lens, parameters.pack(values), layout
        )
        pictures = {name: as_picture(row, self.camera) for name, row in rows.items()}
        return labels_from(pictures, request.rule)

    def _upload(self, transfer: TransferFunction) -> "Tables":
        from endoforge.render.volume.medium import upload_tables

        tables = organ_tables(check_transfer(transfer), self._volume.organ_names)
        on_device = self._on_device
        return upload_tables(self._volume, on_device.voxels, on_device.ranges, tables)

    def _values(self, pose: Pose, request: LabelRequest) -> dict[str, parameters.Numbers]:
        voxel_from_world = np.linalg.inv(self._volume.world_from_voxel)
        world_from_camera = pose[:3, :3].T
        values: dict[str, parameters.Numbers] = {
            "eye": _in_voxels(voxel_from_world, parameters.origin_of(pose)),
            "voxel_from_ray": (voxel_from_world[:3, :3] @ world_from_camera).ravel(),
            "camera_from_gradient": (pose[:3, :3] @ voxel_from_world[:3, :3].T).ravel(),
            "half_depth": [math.log(2)],
            "first_depth": [-math.log1p(-request.first_opacity)],
            "hidden_depth": [-math.log(LEAST_TRANSMITTANCE)],
        }
        for name, there in _destinations(request).items():
            step = there @ np.linalg.inv(pose)
            values[f"{name}_turn"] = step[:3, :3].ravel()
            values[f"{name}_shift"] = step[:3, 3]
            values[f"{name}_eye"] = _in_voxels(voxel_from_world, parameters.origin_of(there))
            values |= parameters.lens_numbers(name, self.camera)
        return values


def labels_from(pictures: Mapping[str, np.ndarray], rule: DepthRule) -> VolumeLabels:
    """Bring the kernel's pictures into their record."""
    from endoforge.render.volume.label_kernel import FOUND, HIDDEN_NEXT, HIDDEN_PREVIOUS

    flags = pictures["flags"]
    flows: dict[str, Any] = {
        name: VolumeFlow(pictures[picture], (flags & hidden) != 0)
        for name, picture, hidden in (
            ("next", "flow_px", HIDDEN_NEXT),
            ("previous", "back_flow_px", HIDDEN_PREVIOUS),
        )
        if picture in pictures
    }
    distance = pictures["distance_mm"]
    return VolumeLabels(
        distance_mm=distance,
        expected_mm=pictures["expected_mm"],
        first_mm=pictures["first_mm"],
        opacity=np.clip(pictures["opacity"], 0, 1),
        normal_camera=pictures["normal_camera"],
        hu=np.rint(pictures["hu"]).astype(np.int16),
        organ=pictures["organ"].astype(np.uint8),
        found=(flags & FOUND) != 0,
        rule=rule,
        **flows,
    )


def check_volume(volume: CtVolume) -> None:
    """Refuse a volume that has no cell.

    Raises:
        SceneError: Says how many voxels it has.
    """
    if min(volume.hu.shape) < 2:
        raise SceneError(
            f"a volume needs two voxels or more along each axis, got {volume.hu.shape}; read the "
            "whole series"
        )


def check_request(request: LabelRequest) -> LabelRequest:
    """Refuse what cannot be asked for.

    Raises:
        SettingsError: The rule is not known, or the opacity of a first hit cannot be.
        ShapeError: A pose is not 4x4.
    """
    if request.rule not in _DISTANCES:
        raise SettingsError(
            f"the depth rule must be one of {', '.join(_DISTANCES)}, got {request.rule!r}"
        )
    if not 0 < request.first_opacity < 1:
        raise SettingsError(
            f"the opacity of a first hit must lie above 0 and below 1, got {request.first_opacity}"
        )
    for name, pose in _destinations(request).items():
        if pose.shape != (4, 4):
            raise ShapeError(f"the {name} pose must be 4x4, got {pose.shape}")
    return request


def _destinations(request: LabelRequest) -> dict[str, Pose]:
    poses = {
        "next": request.next_camera_from_world,
        "previous": request.previous_camera_from_world,
    }
    return {name: pose for name, pose in poses.items() if pose is not None}


def _in_voxels(voxel_from_world: Pose, point_mm: np.ndarray) -> Float64[np.ndarray, "3"]:
    return np.asarray(voxel_from_world[:3, :3] @ point_mm + voxel_from_world[:3, 3])
