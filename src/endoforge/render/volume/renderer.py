# SPDX-License-Identifier: Apache-2.0
"""Renders cinematic pictures of a CT: light that scatters through tissue, path by path."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from endoforge.errors import SceneError, SettingsError, ShapeError
from endoforge.geometry.cameras import Camera, PinholeCamera
from endoforge.optics.illumination import Surroundings
from endoforge.optics.transfer import TransferFunction, check_transfer, organ_tables
from endoforge.render import parameters
from endoforge.render.engine import CUDA_VARIANT, Device, start
from endoforge.render.volume.blocks import CELL, VolumeOnDevice, block_ranges
from endoforge.render.volume.label_pass import LabelPass, LabelRequest, check_volume
from endoforge.render.volume.surroundings import SkyTables, sky_tables
from endoforge.render.volume.view import Exposure, VolumeLabels, VolumeView
from endoforge.scene.volume.records import CtVolume
from endoforge.streams import stream

if TYPE_CHECKING:
    from endoforge.render.volume.matter import Matter

Pose = Float64[np.ndarray, "4 4"]

_HALF = 1 << 16
_MOST_LIGHTS = 4
#: Flight steps after which a packet of lanes deals with those that have landed.
PATIENCE = 10
#: Pixels that a lane takes on the CPU, and lanes that there are at least for its threads to share.
PIXELS_PER_LANE, _FEWEST_LANES = 8, 2048


class VolumeRenderer:
    """Renders views of one volume through one camera."""

    def __init__(
        self,
        volume: CtVolume,
        camera: Camera,
        transfer: TransferFunction,
        device: Device = "auto",
    ) -> None:
        """Put everything that stays on the device.

        Args:
            volume: The CT.
            camera: The lens, of any model.
            transfer: What its tissue does to light.
            device: ``"cpu"``, ``"cuda"`` or ``"auto"``.

        Raises:
            SceneError: The volume has fewer than two voxels along an axis, or axes that are not
                square to each other.
            SettingsError: The transfer function cannot be drawn.
            MissingDependency: The renderer cannot start on this machine.
        """
        check_volume(volume)
        self._grid_from_world = grid_pose(volume)
        self.variant = start(device)
        self._device: Device = device
        from endoforge.render.volume.eye import upload_eye
        from endoforge.render.volume.voxels import upload_voxels

        self.volume, self.camera, self.transfer = volume, camera, check_transfer(transfer)
        self._ranges = block_ranges(volume.hu, CELL)
        self._voxels = upload_voxels(volume)
        self._eye = upload_eye(camera)
        self._lanes = lanes_for(self._eye.count, self.variant)
        self._matter = self._upload(self.transfer)
        self._sky: tuple[Surroundings, SkyTables, Any, Any] | None = None
        self._labels: LabelPass | None = None

    def set_transfer(self, transfer: TransferFunction) -> None:
        """Use another transfer function from now on; nothing is compiled again.

        Raises:
            SettingsError: The transfer function cannot be drawn.
        """
        self.transfer = check_transfer(transfer)
        self._matter = self._upload(self.transfer)
        if self._labels is not None:
            self._labels.set_transfer(transfer)

    def expose(
        self, view: VolumeView, samples: int, max_bounces: int = 16, first_sample: int = 0
    ) -> Exposure:
        """Trace paths through every pixel.

        Args:
            view: Pose, light, opening of the lens and seed.
            samples: Paths per pixel, 1 or more.
            max_bounces: Light that was scattered more often is lost.
            first_sample: How many were traced before: other random numbers are drawn, so that the
                means of both exposures can be merged by their numbers of samples.

        Raises:
            SettingsError: A count is below 1, or above what a float counts exactly.
            ShapeError: There are more than four sources, or surroundings without a cell.
        """
        check_counts(samples, max_bounces, first_sample)
        if len(view.lights) > _MOST_LIGHTS:
            raise ShapeError(f"a view takes 0 to 4 lights, got {len(view.lights)}")
        begin = time.perf_counter()
        values = self._values(view)
        values["samples"], values["bounces"] = [samples], [max_bounces]
        values["seed"] = stream(view.seed, "light in tissue", first_sample).integers(_HALF, size=3)
        values["pixels"], values["lanes"] = [self._eye.count], [self._lanes]
        sums = self._trace(view, values)
        return exposure(self._picture(sums), samples, time.perf_counter() - begin)

    def labels(self, view: VolumeView, request: LabelRequest | None = None) -> VolumeLabels:
        """What is known of each pixel without noise; see `label_pass.LabelPass.labels`."""
        if self._labels is None:
            shared = VolumeOnDevice(block_ranges(self.volume.hu), self._voxels)
            self._labels = LabelPass(self.volume, self.camera, self.transfer, self._device, shared)
        return self._labels.labels(view.camera_from_world, request)

    def _upload(self, transfer: TransferFunction) -> "Matter":
        from endoforge.render.volume.matter import upload_matter

        tables = organ_tables(transfer, self.volume.organ_names)
        return upload_matter(self.volume, self._voxels, self._ranges, tables)

    def _trace(self, view: VolumeView, values: Mapping[str, parameters.Numbers]) -> Any:
        import drjit as dr
        import mitsuba as mi

        from endoforge.render.numbers import Numbers
        from endoforge.render.volume import kernel
        from endoforge.render.volume.lights import Lights
        from endoforge.render.volume.matter import medium_in_kernel
        from endoforge.render.volume.paths import World

        layout = parameters.Layout(
            places=parameters.places_of(values),
            lights=len(view.lights),
            models={},
            planes=frozenset(),
            placed=False,
        )
        numbers = Numbers(parameters.pack(values), layout)
        kind, radiance, alias = self._sky_kind(view)
        lights = Lights(
            numbers, len(view.lights), len(view.world_light.disks), kind, radiance, alias
        )
        medium = medium_in_kernel(self._voxels, self._matter, numbers)
        sums = dr.zeros(mi.Float, self._eye.count * kernel.CHANNELS)
        kernel.trace(World(medium, self._eye, lights, numbers, sums), self._lanes)
        dr.eval(sums)
        return sums

    def _values(self, view: VolumeView) -> dict[str, parameters.Numbers]:
        grid, pose = self._grid_from_world, view.camera_from_world
        spacing = self.volume.spacing_mm
        eye = grid[:3, :3] @ parameters.origin_of(pose) + grid[:3, 3]
        turn = grid[:3, :3] @ pose[:3, :3].T
        values: dict[str, parameters.Numbers] = {
            "per_mm": 1 / spacing,
            "extent_mm": (np.array(self.volume.hu.shape) - 1) * spacing,
            "anisotropy": [self.transfer.anisotropy],
            "per_surface_hu": [1 / self.transfer.surface_hu_per_mm],
            "patience": [PATIENCE],
            "eye": eye,
            "grid_from_camera": turn.ravel(),
            "grid_from_world": grid[:3, :3].ravel(),
        }
        if view.aperture_mm > 0:
            flat = float(isinstance(self.camera, PinholeCamera))
            values["aperture"] = [view.aperture_mm, view.focus_mm, flat]
        for k, light in enumerate(view.lights):
            values[f"light{k}_position"] = eye + turn @ light.position_mm
            values[f"light{k}_axis"] = turn @ light.axis
            values[f"light{k}_mu"] = [light.mu]
            values[f"light{k}_power"] = light.intensity * np.asarray(light.colour)
        for k, disk in enumerate(view.world_light.disks):
            values[f"disk{k}_centre"] = grid[:3, :3] @ disk.centre_mm + grid[:3, 3]
            values[f"disk{k}_axis"] = grid[:3, :3] @ disk.axis
            values[f"disk{k}_radius"] = [disk.radius_mm]
            values[f"disk{k}_radiance"] = disk.radiance
        return values | self._sky_values(view.world_light.surroundings)

    def _sky_values(self, surroundings: Surroundings | None) -> dict[str, parameters.Numbers]:
        if surroundings is None:
            return {}
        shown: dict[str, parameters.Numbers] = {"sky_shown": [float(surroundings.seen)]}
        if surroundings.radiance.shape[:2] == (1, 1):
            return shown | {"sky_radiance": surroundings.radiance[0, 0]}
        sky, _, _ = self._sky_on_device(surroundings)
        return shown | {"sky_size": [sky.rows, sky.columns, sky.mean]}

    def _sky_kind(self, view: VolumeView) -> tuple[str, Any, Any]:
        surroundings = view.world_light.surroundings
        if surroundings is None:
            return "dark", None, None
        if surroundings.radiance.shape[:2] == (1, 1):
            return "even", None, None
        return ("map", *self._sky_on_device(surroundings)[1:])

    def _sky_on_device(self, surroundings: Surroundings) -> tuple[SkyTables, Any, Any]:
        """The map's tables; the last map is remembered."""
        if self._sky is None or self._sky[0] is not surroundings:
            import mitsuba as mi

            from endoforge.render.arrays import aligned

            sky = sky_tables(surroundings)
            radiance, alias = mi.Float(aligned(sky.radiance)), mi.Float(aligned(sky.alias))
            self._sky = (surroundings, sky, radiance, alias)
        return self._sky[1:]

    def _picture(self, sums: Any) -> Float64[np.ndarray, "height width channels"]:
        """The sums of the pixels in their places; 0 where the lens sees nothing."""
        rows = sums.numpy().reshape(self._eye.count, -1)
        picture = np.zeros((self.camera.height * self.camera.width, rows.shape[1]))
        picture[self._eye.pixels.numpy()] = rows
        return picture.reshape(self.camera.height, self.camera.width, -1)


def exposure(
    sums: Float64[np.ndarray, "height width channels"], samples: int, seconds: float
) -> Exposure:
    """Mean and variance from sums of radiance, of its squares and of albedo."""
    mean, squares, albedo = np.split(sums / samples, 3, axis=-1)
    variance = None
    if samples > 1:
        variance = np.maximum((squares - mean**2) / (samples - 1), 0).astype(np.float32)
    return Exposure(
        radiance=mean.astype(np.float32),
        samples=samples,
        variance=variance,
        albedo=albedo.astype(np.float32),
        seconds=seconds,
    )


def grid_pose(volume: CtVolume) -> Pose:
    """Mm along the grid's axes, from the first voxel's centre, from the world.

    Raises:
        SceneError: The grid's axes are not square to each other.
    """
    axes = volume.world_from_voxel[:3, :3] / volume.spacing_mm
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
        raise SceneError(
            "a volume's axes must be square to each other, got "
            f"{volume.world_from_voxel[:3, :3].tolist()}; resample the scan"
        )
    pose = np.eye(4)
    pose[:3, :3] = axes.T
    pose[:3, 3] = -axes.T @ volume.world_from_voxel[:3, 3]
    return pose


def lanes_for(pixels: int, variant: str) -> int:
    """How many lanes share the pixels.

    On the CPU each takes several: what some take longer for one, they take shorter for another.
    """
    if variant == CUDA_VARIANT:
        return pixels
    return min(pixels, max(-(-pixels // PIXELS_PER_LANE), _FEWEST_LANES))


def check_counts(samples: int, max_bounces: int, first_sample: int) -> None:
    """Refuse counts that cannot be.

    Raises:
        SettingsError: Names the count.
    """
    most = 1 << 24
    for name, count, least in (
        ("samples", samples, 1),
        ("max_bounces", max_bounces, 1),
        ("first_sample", first_sample, 0),
    ):
        if not least <= count < most:
            raise SettingsError(f"{name} must be {least} to {most - 1}, got {count}")
