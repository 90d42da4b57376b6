# SPDX-License-Identifier: Apache-2.0
"""Renders labelled frames of a surface scene, one compiled kernel for all of them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from endoforge.errors import SceneError, SettingsError, ShapeError
from endoforge.frames.frame import Frame
from endoforge.geometry.cameras import Camera
from endoforge.render import parameters
from endoforge.render.assemble import Rows, assemble, with_right
from endoforge.render.engine import Device, start
from endoforge.render.parameters import Layout
from endoforge.render.partition import partition
from endoforge.render.transport import (
    Transport,
    blur_numbers,
    path_numbers,
    subsample_numbers,
)
from endoforge.render.view import OPTIONAL_LABELS, Rendering, RightEye
from endoforge.render.view import View as View  # users take both from here
from endoforge.scene.records import Scene

if TYPE_CHECKING:
    from endoforge.render.buffers import LensBuffers
    from endoforge.render.hits import World

#: Labels that the kernel computes under their own names.
_PLANES = frozenset({"albedo", "shading", "texture_mm"})
_MOST_MATERIALS = 255


class SurfaceRenderer:
    """Renders views of one scene through one camera."""

    def __init__(
        self,
        scene: Scene,
        camera: Camera,
        device: Device = "auto",
        labels: frozenset[str] | None = None,
    ) -> None:
        """Build the acceleration structure and put everything that stays on the device.

        Args:
            scene: Anatomy, tissue and motion.
            camera: The lens; its rays are taken as they are, whatever the model.
            device: ``"cpu"``, ``"cuda"`` or ``"auto"``.
            labels: Which optional labels each frame shall have, by their names in
                `frames.frame.Frame` (see `view.OPTIONAL_LABELS`); None for none of them. `moving`
                stays None in a scene where nothing moves.

        Raises:
            SceneError: The surface has no triangles, or names a tissue that the scene lacks.
            SettingsError: A label is not known.
            MissingDependency: The renderer cannot start on this machine.
        """
        check_scene(scene)
        self.labels = check_labels(labels or frozenset())
        self.variant = start(device)
        from endoforge.render import buffers, materials, moments

        self.scene, self.camera = scene, camera
        self._centre = parameters.centre_of(scene.surface)
        self._parts = partition(scene)
        self._mesh = buffers.upload_mesh(scene.surface, self._parts)
        self._moments = moments.Moments(scene, self._parts, self._centre)
        self._materials = materials.upload_materials(scene.tissues)
        self._lens = buffers.upload_lens(camera)
        self._face_colours: Any = None
        if not self._parts.moves:
            self.labels -= {"moving"}

    def render(self, view: View, transport: Transport | None = None) -> Frame:
        """Render one labelled frame; see `render_linear`."""
        return self.render_linear(view, transport).frame

    def render_linear(self, view: View, transport: Transport | None = None) -> Rendering:
        """Render one labelled frame and keep its scene-linear radiance.

        Args:
            view: All that changes from frame to frame.
            transport: Light over several walls, and the blur of lens and shutter; None for direct
                light with an imitation of inter-reflection, sharp everywhere.

        Raises:
            ShapeError: The view has no light, or more than four, or lacks a pose that a label
                needs.
        """
        check_view(view, self.labels)
        transport = transport or Transport()
        world = self._world(view, transport)
        rows = self._seen(world, view, transport)
        rendering = assemble(view, self.camera, rows, self.labels)
        if view.right is None or "right" not in self.labels:
            return rendering
        right_rows = self._seen(world, view, transport, view.right)
        return with_right(rendering, view, view.right, rows, right_rows)

    def _seen(
        self, world: "World", view: View, transport: Transport, right: RightEye | None = None
    ) -> Rows:
        """What one eye sees, with light over several walls and blur as far as wanted."""
        camera = self.camera if right is None else right.camera
        lens = self._lens if right is None else _lens_of(camera)
        values = self._values(view) if right is None else self._right_values(view, right)
        eye = 0 if right is None else 1
        sharp = transport.for_sharp_labels(self.labels)
        rows = self._run(
            world,
            lens,
            {**values, **path_numbers(sharp, view, eye)},
            self._destinations(view) if right is None else {},
        )
        if sharp.bounces > 0:
            from endoforge.render.indirect import with_incoming

            rows = with_incoming(rows, camera, sharp.denoise)
        if transport.blurs:
            from endoforge.render.aperture import Shot, blurred

            values |= blur_numbers(transport, camera, view, self._centre)
            numbers = [
                {**values, **subsample_numbers(transport, view, eye, k)}
                for k in range(transport.subsamples)
            ]
            layout = self._layout(numbers[0], {})
            shot = Shot(camera, lens, partial(self._world_near, world, view.index), numbers, layout)
            rows = {**rows, "sharp": rows["radiance"], "radiance": blurred(shot, transport)}
        return rows

    def _world_near(self, world: "World", frame: int, share: float) -> "World":
        """The scene at a time near a frame, as a share of the way to the next or previous one."""
        if not self._parts.moves:
            return world
        now = self._moments.between(frame, share)
        return replace(world, now=now, normals=self._moments.normals_of(now))

    def _world(self, view: View, transport: Transport) -> "World":
        from endoforge.render.hits import World

        back = self.labels & {"back_flow_px", "back_occluded"}
        beside = (
            (view.index - 1, view.index, view.index + 1) if back else (view.index, view.index + 1)
        )
        earlier = self._moments.at(view.index - 1, beside) if back else None
        now, later = (self._moments.at(view.index + k, beside) for k in (0, 1))
        normals = self._moments.normals(view.index)
        colours = self._colours() if transport.bounces > 0 else None
        return World(self._mesh, self._materials, now, normals, later, earlier, colours)

    def _colours(self) -> Any:
        """Mean albedo of the faces, put on the device when it is first asked for."""
        if self._face_colours is None:
            from endoforge.render.bounces import upload_colours

            self._face_colours = upload_colours(self.scene, self._parts)
        return self._face_colours

    def _destinations(self, view: View) -> dict[str, Camera]:
        """The eyes that the flows lead to."""
        eyes = {"next": self.camera}
        if self.labels & {"back_flow_px", "back_occluded"}:
            eyes["previous"] = self.camera
        if view.right is not None and "right" in self.labels:
            eyes["right"] = view.right.camera
        return eyes

    def _values(self, view: View) -> dict[str, parameters.Numbers]:
        here, centre = view.camera_from_world, self._centre
        values = {
            **parameters.eye_numbers(here, centre),
            "pixel_rad": [parameters.pixel_rad(self.camera)],
            **parameters.light_numbers(view.lights, here, centre),
        }
        poses = {
            "next": view.next_camera_from_world,
            "previous": view.previous_camera_from_world,
            "right": None if view.right is None else view.right.camera_from_world,
        }
        for name, camera in self._destinations(view).items():
            pose = poses[name]
            assert pose is not None  # check_view has seen to it
            values |= parameters.destination_numbers(name, pose, here, centre)
            values |= parameters.lens_numbers(name, camera)
        return values

    def _right_values(self, view: View, eye: RightEye) -> dict[str, parameters.Numbers]:
        return {
            **parameters.eye_numbers(eye.camera_from_world, self._centre),
            "pixel_rad": [parameters.pixel_rad(eye.camera)],
            **parameters.light_numbers(view.lights, view.camera_from_world, self._centre),
        }

    def _run(
        self,
        world: "World",
        lens: "LensBuffers",
        values: dict[str, parameters.Numbers],
        destinations: Mapping[str, Camera],
    ) -> Mapping[str, np.ndarray]:
        from endoforge.render import kernel

        return kernel.run(world, lens, parameters.pack(values), self._layout(values, destinations))

    def _layout(
        self, values: Mapping[str, parameters.Numbers], destinations: Mapping[str, Camera]
    ) -> Layout:
        """What a kernel for these numbers is compiled for."""
        surface = self.scene.surface
        planes = (self.labels & _PLANES) | {"normal_camera"} if destinations else frozenset()
        return Layout(
            places=parameters.places_of(values),
            lights=sum(name.endswith("_mu") for name in values),
            models={name: camera.model for name, camera in destinations.items()},
            planes=planes | ({"albedo", "film"} if "bounces" in values else frozenset()),
            placed=surface.texture_mm is not None or self._parts.moves,
            bounces="bounces" in values,
        )


@lru_cache(maxsize=2)
def _lens_of(camera: Camera) -> Any:
    """A second eye's rays on the device; the last two are remembered."""
    from endoforge.render.buffers import upload_lens

    return upload_lens(camera)


def check_scene(scene: Scene) -> None:
    """Refuse what cannot be rendered.

    Raises:
        SceneError: The surface has no triangles, or names a tissue that the scene lacks.
    """
    if len(scene.surface.faces) == 0:
        raise SceneError("the scene's surface has 0 triangles; build the anatomy again")
    material = scene.surface.face_material
    last = 0 if material is None else int(material.max())
    if last >= len(scene.tissues) or len(scene.tissues) > _MOST_MATERIALS:
        raise SceneError(
            f"the scene's faces name tissue {last} and it has {len(scene.tissues)} tissues, "
            f"expected one for each and at most {_MOST_MATERIALS}; build the scene again"
        )


def check_labels(labels: frozenset[str]) -> frozenset[str]:
    """Refuse labels that nobody knows.

    Raises:
        SettingsError: Names the label and those that there are.
    """
    if unknown := sorted(labels - OPTIONAL_LABELS):
        raise SettingsError(
            f"unknown label {unknown[0]!r}; expected some of {', '.join(sorted(OPTIONAL_LABELS))}"
        )
    return labels


def check_view(view: View, labels: frozenset[str]) -> None:
    """Refuse a view without light, or without a pose that a label needs.

    Raises:
        ShapeError: Says what is missing.
    """
    if not 1 <= len(view.lights) <= 4:
        raise ShapeError(f"a view needs 1 to 4 lights, got {len(view.lights)}")
    back = labels & {"back_flow_px", "back_occluded"}
    if back and view.previous_camera_from_world is None:
        raise ShapeError(
            f"the label {min(back)} needs the pose of the previous frame, got a view without "
            "previous_camera_from_world; give it one"
        )
    if "right" in labels and view.right is None:
        raise ShapeError("the label right needs a second eye, got a view without one; give it one")
