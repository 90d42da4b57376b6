# SPDX-License-Identifier: Apache-2.0
"""The renderer once more, in plain NumPy and double precision: slow, short and easy to check.

Every ray is tested against every triangle, so keep scenes below a few thousand of them. The kernel
of `render.surface` is compared with this file pixel by pixel.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from endoforge.frames.frame import IGNORE, Frame, RightView
from endoforge.geometry.cameras import Camera, pixel_centres
from endoforge.render.assemble import developed, developed_clean, without_depthless
from endoforge.render.basic_geometry import Hits, clear, closest, facets, mix
from endoforge.render.basic_skin import BasicLight, shade
from endoforge.render.constants import BRIGHTNESS, SIGHT_START_MM
from endoforge.render.normals import TurningNormals
from endoforge.render.parameters import origin_of
from endoforge.render.view import Rendering, RightEye, View
from endoforge.scene.records import Scene, Surface


@dataclass(frozen=True, eq=False)
class Eye:
    """A lens at a pose."""

    camera: Camera
    camera_from_world: Float[np.ndarray, "4 4"]


def render_basic(
    scene: Scene, camera: Camera, view: View, labels: frozenset[str] = frozenset()
) -> Rendering:
    """Render one labelled frame, slowly."""
    now = surface_at(scene, view.index)
    eye = Eye(camera, view.camera_from_world)
    hits, light, radiance = look(scene, now, eye, view)
    later = Eye(camera, view.next_camera_from_world)
    flow, seen = follow(hits, now, surface_at(scene, view.index + 1), eye, later)
    world_from_camera = view.camera_from_world[:3, :3].T
    shape = (camera.height, camera.width)
    frame = Frame(
        sequence=view.sequence,
        index=view.index,
        image=developed(radiance, view, camera),
        camera=camera,
        camera_from_world=view.camera_from_world,
        next_camera_from_world=view.next_camera_from_world,
        depth_mm=picture(shape, hits, hits.distance * camera.rays().reshape(-1, 3)[hits.pixel, 2]),
        valid=picture(shape, hits, np.ones(len(hits.pixel), bool), False),
        normal_camera=picture(shape, hits, hits.normal @ world_from_camera),
        label=_labels(now, camera, hits),
        instance=picture(shape, hits, now.face_instance[hits.face], np.uint16(0)),
        flow_px=picture(shape, hits, flow),
        occluded=picture(shape, hits, ~seen, False),
    )
    frame = replace(frame, **_optional(scene, view, eye, hits, light, labels))
    if "clean" in labels:
        frame = replace(frame, clean=developed_clean(radiance, view))
    frame = without_depthless(frame)
    if "right" in labels and view.right is not None:
        frame = replace(frame, right=_right(scene, view, frame, hits, view.right))
    return Rendering(frame, radiance)


def surface_at(scene: Scene, frame: int) -> Surface:
    """The surface with its vertices and normals at a frame."""
    surface = scene.surface
    if scene.motion is None:
        return surface
    moved = scene.motion.vertices_at(frame)
    normals = TurningNormals(surface.vertices_mm, surface.faces, surface.normals).at(moved)
    rest = surface.vertices_mm if surface.texture_mm is None else surface.texture_mm
    return replace(surface, vertices_mm=moved, normals=normals, texture_mm=rest)


def look(
    scene: Scene, now: Surface, eye: Eye, view: View
) -> tuple[Hits, BasicLight, Float[np.ndarray, "height width 3"]]:
    """What an eye meets and the light that comes from there."""
    camera = eye.camera
    rays = camera.rays().reshape(-1, 3)
    origin, turn = origin_of(eye.camera_from_world), eye.camera_from_world[:3, :3].T
    hits = closest(now, origin, rays, turn)
    light = shade(scene.tissues, now, camera, view, hits)
    radiance = np.zeros((camera.height * camera.width, 3), np.float32)
    radiance[hits.pixel] = light.albedo * light.shading + light.film
    return hits, light, radiance.reshape(camera.height, camera.width, 3)


def follow(
    hits: Hits, now: Surface, there: Surface, here: Eye, eye: Eye
) -> tuple[Float[np.ndarray, "hits 2"], Bool[np.ndarray, "hits"]]:
    """Where each visible point goes in another picture, and whether it is seen there."""
    matrix = eye.camera_from_world
    points = hits.point + mix(there.vertices_mm, hits, there) - mix(now.vertices_mm, hits, now)
    pixels = eye.camera.project(points @ matrix[:3, :3].T + matrix[:3, 3])
    with np.errstate(invalid="ignore"):
        seen = eye.camera.in_field(pixels)
    facet = hits.side[:, None] * facets(there, hits.face)
    origin = origin_of(matrix)
    seen &= np.einsum("nk,nk->n", facet, origin - points) > 0
    seen &= clear(there, points + SIGHT_START_MM * facet, origin)
    centres = pixel_centres(here.camera.width, here.camera.height).reshape(-1, 2)
    return pixels - centres[hits.pixel], seen


def _optional(
    scene: Scene, view: View, eye: Eye, hits: Hits, light: BasicLight, labels: frozenset[str]
) -> dict[str, Any]:
    shape = (eye.camera.height, eye.camera.width)
    now = surface_at(scene, view.index)
    values = _look_labels(now, hits, light)
    if scene.motion is not None:
        values["moving"] = scene.motion.moving[now.faces[hits.face]].any(axis=1)
    if view.previous_camera_from_world is not None:
        earlier = Eye(eye.camera, view.previous_camera_from_world)
        flow, seen = follow(hits, now, surface_at(scene, view.index - 1), eye, earlier)
        values |= {"back_flow_px": flow, "back_occluded": ~seen}
    empty = {"material": np.uint8(0), "specular": False, "moving": False, "back_occluded": False}
    return {
        name: picture(shape, hits, value, empty.get(name, np.nan))
        for name, value in values.items()
        if name in labels
    }


def _look_labels(now: Surface, hits: Hits, light: BasicLight) -> dict[str, Any]:
    tissue, film = light.albedo * light.shading @ BRIGHTNESS, light.film @ BRIGHTNESS
    material = (
        np.zeros(len(now.faces), np.uint8) if now.face_material is None else now.face_material
    )
    return {
        "albedo": light.albedo,
        "shading": light.shading,
        "specular": film > tissue,
        "texture_mm": hits.rest,
        "material": material[hits.face] + np.uint8(1),
    }


def _right(scene: Scene, view: View, frame: Frame, hits: Hits, eye: RightEye) -> RightView:
    now = surface_at(scene, view.index)
    left, right = Eye(frame.camera, frame.camera_from_world), Eye(eye.camera, eye.camera_from_world)
    flow, seen = follow(hits, now, now, left, right)
    met, _, radiance = look(scene, now, right, view)
    rays = eye.camera.rays().reshape(-1, 3)[met.pixel, 2]
    shape = (frame.camera.height, frame.camera.width)
    depth = picture((eye.camera.height, eye.camera.width), met, met.distance * rays)
    valid = frame.valid[..., None]
    return RightView(
        image=developed(radiance, view, eye.camera, 1),
        camera=eye.camera,
        camera_from_world=eye.camera_from_world,
        depth_mm=np.where(depth > 0, depth, np.float32(np.nan)),
        from_left_px=np.where(valid, picture(shape, hits, flow), np.float32(np.nan)),
        occluded=picture(shape, hits, ~seen, False) & frame.valid,
    )


def picture(
    shape: tuple[int, int], hits: Hits, values: np.ndarray, elsewhere: object = np.nan
) -> np.ndarray:
    """Put the values of the hits into an image."""
    kind = np.float32 if values.dtype == np.float64 else values.dtype
    image = np.full((shape[0] * shape[1], *values.shape[1:]), elsewhere, kind)
    image[hits.pixel] = values
    return image.reshape(*shape, *values.shape[1:])


def _labels(surface: Surface, camera: Camera, hits: Hits) -> np.ndarray:
    labels = np.where(camera.valid().ravel(), np.uint8(0), np.uint8(IGNORE))
    labels[hits.pixel] = surface.face_label[hits.face]
    return labels.reshape(camera.height, camera.width)
