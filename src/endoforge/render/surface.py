# SPDX-License-Identifier: Apache-2.0
"""Renders labelled frames of a surface scene, one compiled kernel for all of them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Float64

from endoforge.errors import SceneError, ShapeError
from endoforge.frames.frame import Frame
from endoforge.geometry.cameras import Camera, FisheyeCamera
from endoforge.optics.light import LightSource
from endoforge.optics.sensor import SensorResponse, develop
from endoforge.optics.texture import tissue_texture
from endoforge.render import parameters
from endoforge.render.engine import Device, start
from endoforge.render.parameters import FOUND, HIDDEN
from endoforge.scene.records import Scene

if TYPE_CHECKING:
    from endoforge.render.kernel import Planes


@dataclass(frozen=True, eq=False)
class View:
    """All that changes from frame to frame.

    Attributes:
        sequence: Number of the sequence.
        index: Number of the frame within it.
        camera_from_world: Pose of this frame, mm.
        next_camera_from_world: Pose that the flow leads to, mm.
        lights: Sources beside the lens, one to four.
        sensor: From radiance to the picture.
    """

    sequence: int
    index: int
    camera_from_world: Float64[np.ndarray, "4 4"]
    next_camera_from_world: Float64[np.ndarray, "4 4"]
    lights: tuple[LightSource, ...]
    sensor: SensorResponse


@dataclass(frozen=True, eq=False)
class Rendering:
    """A frame, and the light that reached the sensor before it was developed.

    Attributes:
        frame: The labelled frame.
        radiance: Scene-linear RGB; 0 where the lens sees nothing.
    """

    frame: Frame
    radiance: Float32[np.ndarray, "height width 3"]


class SurfaceRenderer:
    """Renders views of one scene through one camera."""

    def __init__(self, scene: Scene, camera: Camera, device: Device = "auto") -> None:
        """Build the acceleration structure and put everything that stays on the device.

        Args:
            scene: Anatomy and tissue.
            camera: The lens; its rays are taken as they are, whatever the model.
            device: ``"cpu"``, ``"cuda"`` or ``"auto"``.

        Raises:
            SceneError: The surface has no triangles.
            MissingDependency: The renderer cannot start on this machine.
        """
        if len(scene.surface.faces) == 0:
            raise SceneError("the scene's surface has 0 triangles; build the anatomy again")
        self.variant = start(device)
        from endoforge.render import buffers

        self.scene, self.camera = scene, camera
        self._centre = parameters.centre_of(scene.surface)
        self._mesh = buffers.upload_mesh(scene.surface, self._centre)
        self._words = buffers.upload_texture(tissue_texture(scene.tissues[0].texture_seed))
        self._lens = buffers.upload_lens(camera)
        self._constant = {
            **parameters.lens_numbers(camera),
            **parameters.tissue_numbers(scene.tissues[0]),
        }

    def render(self, view: View) -> Frame:
        """Render one labelled frame."""
        return self.render_linear(view).frame

    def render_linear(self, view: View) -> Rendering:
        """Render one labelled frame and keep its scene-linear radiance.

        Raises:
            ShapeError: The view has no light, or more than four.
        """
        if not 1 <= len(view.lights) <= 4:
            raise ShapeError(f"a view needs 1 to 4 lights, got {len(view.lights)}")
        from endoforge.render import kernel

        values = {
            **self._constant,
            **parameters.pose_numbers(
                view.camera_from_world, view.next_camera_from_world, self._centre
            ),
            **parameters.light_numbers(view.lights, view.camera_from_world, self._centre),
        }
        layout = parameters.layout_of(
            values, len(view.lights), isinstance(self.camera, FisheyeCamera)
        )
        planes = kernel.run(self._mesh, self._lens, self._words, parameters.pack(values), layout)
        return self._assemble(view, planes)

    def _assemble(self, view: View, planes: "Planes") -> Rendering:
        shape = (self.camera.height, self.camera.width)
        radiance = planes.radiance.reshape(*shape, 3)
        meaning = planes.meaning.reshape(shape)
        frame = Frame(
            sequence=view.sequence,
            index=view.index,
            image=develop(radiance, view.sensor),
            camera=self.camera,
            camera_from_world=view.camera_from_world,
            next_camera_from_world=view.next_camera_from_world,
            depth_mm=planes.depth.reshape(shape),
            valid=(meaning & FOUND) != 0,
            normal_camera=planes.normal.reshape(*shape, 3),
            label=meaning.astype(np.uint8),  # the lowest byte
            instance=(meaning >> 8).astype(np.uint16),  # the next two
            flow_px=planes.flow.reshape(*shape, 2),
            occluded=(meaning & HIDDEN) != 0,
        )
        return Rendering(without_depthless(frame), radiance)


def without_depthless(frame: Frame) -> Frame:
    """Mark what a very wide lens sees sideways and behind itself as invalid: z is not above 0."""
    depthless = frame.valid & ~(frame.depth_mm > 0)
    if not depthless.any():
        return frame
    arrays = {
        name: getattr(frame, name).copy() for name in ("depth_mm", "normal_camera", "flow_px")
    }
    for array in arrays.values():
        array[depthless] = np.nan
    return replace(
        frame,
        **arrays,
        valid=frame.valid & ~depthless,
        occluded=frame.occluded & ~depthless,
    )
