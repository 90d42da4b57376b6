# SPDX-License-Identifier: Apache-2.0
"""The renderer once more, in plain NumPy and double precision: slow, short and easy to check.

Every ray is tested against every triangle, so keep scenes below a few thousand of them. The kernel
of `render.surface` is compared with this file pixel by pixel.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from endoforge.frames.frame import IGNORE, Frame
from endoforge.geometry.cameras import Camera, pixel_centres
from endoforge.optics import texture as pattern
from endoforge.optics.light import LightSource, irradiance
from endoforge.optics.sensor import develop
from endoforge.optics.tissue import (
    COARSE_TRANSMISSION,
    FINE_TRANSMISSION,
    Tissue,
    edge_gain,
    ggx_density,
    schlick_fresnel,
    smith_visibility,
    soft_cosine,
)
from endoforge.render import constants as fixed
from endoforge.render.assemble import without_depthless
from endoforge.render.parameters import origin_of, pixel_rad
from endoforge.render.view import Rendering, View
from endoforge.scene.records import Scene, Surface

_RAYS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Hits:
    """The closest surface of the rays that met one; world frame."""

    pixel: Int[np.ndarray, "hits"]
    face: Int[np.ndarray, "hits"]
    point: Float[np.ndarray, "hits 3"]
    out: Float[np.ndarray, "hits 3"]
    normal: Float[np.ndarray, "hits 3"]
    facet: Float[np.ndarray, "hits 3"]
    tint: Float[np.ndarray, "hits 3"]
    distance: Float[np.ndarray, "hits"]


@dataclass(frozen=True, eq=False)
class Skin:
    """What the pattern says at each hit; the gradient is that of a relief of unit slope."""

    albedo: Float[np.ndarray, "hits 3"]
    gradient: Float[np.ndarray, "hits 3"]
    roughening: Float[np.ndarray, "hits"]


def render_basic(scene: Scene, camera: Camera, view: View) -> Rendering:
    """Render one labelled frame, slowly."""
    world_from_camera = np.linalg.inv(view.camera_from_world)
    eye, turn = world_from_camera[:3, 3], world_from_camera[:3, :3]
    rays = camera.rays().reshape(-1, 3)
    hits = closest(scene.surface, eye, rays, turn)
    skin = read_skin(scene, camera, hits)
    radiance = np.zeros((len(rays), 3))
    radiance[hits.pixel] = shade(scene, view, hits, skin)
    flow, seen = follow(scene.surface, camera, view, hits)
    shape = (camera.height, camera.width)
    frame = Frame(
        sequence=view.sequence,
        index=view.index,
        image=develop(radiance.astype(np.float32).reshape(*shape, 3), view.sensor),
        camera=camera,
        camera_from_world=view.camera_from_world,
        next_camera_from_world=view.next_camera_from_world,
        depth_mm=_picture(shape, hits, hits.distance * rays[hits.pixel, 2]),
        valid=_picture(shape, hits, np.ones(len(hits.pixel), bool), False),
        normal_camera=_picture(shape, hits, hits.normal @ turn),
        label=_labels(scene.surface, camera, hits),
        instance=_picture(shape, hits, scene.surface.face_instance[hits.face], np.uint16(0)),
        flow_px=_picture(shape, hits, flow),
        occluded=_picture(shape, hits, ~seen, False),
    )
    return Rendering(without_depthless(frame), radiance.astype(np.float32).reshape(*shape, 3))


def _picture(
    shape: tuple[int, int], hits: Hits, values: np.ndarray, elsewhere: object = np.nan
) -> np.ndarray:
    kind = np.float32 if values.dtype == np.float64 else values.dtype
    picture = np.full((shape[0] * shape[1], *values.shape[1:]), elsewhere, kind)
    picture[hits.pixel] = values
    return picture.reshape(*shape, *values.shape[1:])


def _labels(surface: Surface, camera: Camera, hits: Hits) -> np.ndarray:
    labels = np.where(camera.valid().ravel(), np.uint8(0), np.uint8(IGNORE))
    labels[hits.pixel] = surface.face_label[hits.face]
    return labels.reshape(camera.height, camera.width)


# ---- geometry ----


def intersect(
    surface: Surface, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
) -> tuple[Float[np.ndarray, "rays"], Int[np.ndarray, "rays"], Float[np.ndarray, "rays 2"]]:
    """Distance (inf for none), face and barycentric coordinates of each ray's closest triangle.

    Source:
        Möller, Trumbore, *Fast, minimum storage ray/triangle intersection*, JGT 1997.
    """
    corners = surface.vertices_mm.astype(np.float64)[surface.faces]
    base, edge1, edge2 = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    answers = []
    for start in range(0, len(origins), _RAYS_AT_ONCE):
        ray = directions[start : start + _RAYS_AT_ONCE, None]
        shift = origins[start : start + _RAYS_AT_ONCE, None] - base
        across = np.cross(ray, edge2)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1 / np.sum(across * edge1, axis=-1)
            u = inverse * np.sum(across * shift, axis=-1)
            turned = np.cross(shift, edge1)
            v = inverse * np.sum(turned * ray, axis=-1)
            distance = inverse * np.sum(turned * edge2, axis=-1)
            inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
        distance = np.where(inside, distance, np.inf)
        face = np.argmin(distance, axis=1)
        row = np.arange(len(face))
        answers.append((distance[row, face], face, np.stack([u[row, face], v[row, face]], -1)))
    distances, faces, places = zip(*answers, strict=True)
    return np.concatenate(distances), np.concatenate(faces), np.concatenate(places)


def closest(
    surface: Surface,
    eye: Float[np.ndarray, "3"],
    rays: Float[np.ndarray, "pixels 3"],
    turn: Float[np.ndarray, "3 3"],
) -> Hits:
    """Find what each pixel's ray meets first and read the surface there."""
    looking = np.flatnonzero(np.isfinite(rays[:, 2]))
    directions = rays[looking] @ turn.T
    distance, face, place = intersect(surface, np.broadcast_to(eye, directions.shape), directions)
    met = np.isfinite(distance)
    distance, face, place, ray = distance[met], face[met], place[met], directions[met]
    weights = np.column_stack([1 - place.sum(axis=1), place])[..., None]
    corners = surface.faces[face]
    base, second, third = surface.vertices_mm.astype(np.float64)[corners].swapaxes(0, 1)
    facet = _unit(np.cross(second - base, third - base))
    side = np.where(_dot(facet, ray) > 0, -1.0, 1.0)[:, None]
    normal = side * _unit(np.sum(weights * surface.normals[corners], axis=1))
    normal = _unit(normal - np.maximum(_dot(normal, ray), 0)[:, None] * ray)
    return Hits(
        pixel=looking[met],
        face=face,
        point=eye + distance[:, None] * ray,
        out=-ray,
        normal=normal,
        facet=side * facet,
        tint=np.sum(weights * surface.tint[corners], axis=1),
        distance=distance,
    )


def clear(
    surface: Surface,
    starts: Float[np.ndarray, "points 3"],
    end: Float[np.ndarray, "3"],
) -> Bool[np.ndarray, "points"]:
    """True where nothing stands between the points and the end."""
    away = end - starts
    length = np.linalg.norm(away, axis=1)
    distance, _, _ = intersect(surface, starts, away / length[:, None])
    reached: Bool[np.ndarray, "points"] = distance >= length * (1 - 1e-4)
    return reached


def follow(
    surface: Surface, camera: Camera, view: View, hits: Hits
) -> tuple[Float[np.ndarray, "hits 2"], Bool[np.ndarray, "hits"]]:
    """Where each visible point goes in the next frame, and whether it is seen there."""
    matrix = view.next_camera_from_world
    pixels = camera.project(hits.point @ matrix[:3, :3].T + matrix[:3, 3])
    eye = origin_of(matrix)
    with np.errstate(invalid="ignore"):
        seen = camera.in_field(pixels)
    seen &= _dot(hits.facet, eye - hits.point) > 0
    seen &= clear(surface, hits.point + fixed.SIGHT_START_MM * hits.facet, eye)
    centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)
    return pixels - centres[hits.pixel], seen


# ---- tissue ----


def shade(scene: Scene, view: View, hits: Hits, skin: Skin) -> Float[np.ndarray, "hits 3"]:
    """Radiance towards the camera: soft diffuse, wet film, once-reflected light."""
    tissue = scene.tissues[0]
    soft_normal = bend(hits, skin, tissue.relief * fixed.DIFFUSE_RELIEF)
    film_normal = bend(hits, skin, tissue.relief)
    alpha = np.sqrt(tissue.roughness**2 + tissue.relief**2 * skin.roughening)
    softness = np.asarray(tissue.softness)
    glow = edge_gain(np.maximum(_dot(soft_normal, hits.out), 0), tissue.edge_glow)[:, None]
    starts = hits.point + fixed.SHADOW_START_MM * hits.normal
    total = np.zeros_like(hits.point)
    for light in view.lights:
        lamp = np.linalg.inv(view.camera_from_world) @ (*light.position_mm, 1.0)
        away = lamp[:3] - hits.point
        toward = _unit(away)
        facing = _dot(soft_normal, toward)
        lit = (facing > -max(tissue.softness)) & clear(scene.surface, starts, lamp[:3])
        beam = _irradiance(light, hits.point, view.camera_from_world)
        diffuse = skin.albedo / np.pi * glow * soft_cosine(facing[:, None], softness)
        film = reflect(film_normal, hits.out, toward, alpha, tissue.f0)[:, None]
        total += np.where(lit[:, None], beam * (diffuse + film), 0)
        squared = np.sum(away**2, axis=1, keepdims=True)
        around = beam * squared / (squared + fixed.CAVITY_MM**2)
        total += tissue.interreflection * skin.albedo**2 / np.pi * around
    return total


def _irradiance(
    light: LightSource, points: np.ndarray, camera_from_world: np.ndarray
) -> Float[np.ndarray, "hits 3"]:
    """Light on surfaces that face the source, per colour channel."""
    inside = points @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    arriving: Float[np.ndarray, "hits 3"] = irradiance(light, inside)[:, None] * light.colour
    return arriving


def reflect(
    normal: np.ndarray, out: np.ndarray, toward: np.ndarray, alpha: np.ndarray, f0: float
) -> Float[np.ndarray, "hits"]:
    """The film's reflection times the cosine of incidence."""
    half = _unit(out + toward)
    cos_in = np.maximum(_dot(normal, toward), 0)
    cos_out = np.maximum(_dot(normal, out), 1e-3)
    density = ggx_density(np.maximum(_dot(normal, half), 0), alpha)
    fresnel = schlick_fresnel(np.maximum(_dot(half, out), 0), f0)
    result: Float[np.ndarray, "hits"] = (
        density * smith_visibility(cos_in, cos_out, alpha) * fresnel * cos_in
    )
    return result


def bend(hits: Hits, skin: Skin, slope: float) -> Float[np.ndarray, "hits 3"]:
    """The normal tilted by the relief."""
    along = skin.gradient - _dot(skin.gradient, hits.normal)[:, None] * hits.normal
    return _unit(hits.normal - slope * along)


def read_skin(scene: Scene, camera: Camera, hits: Hits) -> Skin:
    """Read the pattern from three sides and mix by the normal."""
    texture = pattern.tissue_texture(scene.tissues[0].texture_seed)
    place = hits.point / scene.tissues[0].tile_mm
    level = pattern_level(scene.tissues[0], camera, hits)
    mixed = np.zeros((len(place), 8))
    gradient = np.zeros((len(place), 3))
    for axis, weight in enumerate(side_weights(hits.normal).T):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        uv = np.stack([place[:, first] + fixed.SIDE_SHIFT[axis], place[:, second]], -1)
        read = _read(texture, uv, level)
        mixed += weight[:, None] * read
        slopes = pattern.SLOPE_SPAN * (2 * read[:, pattern.SLOPE_U : pattern.SLOPE_V + 1] - 1)
        gradient[:, [first, second]] += weight[:, None] * slopes
    albedo = tissue_colour(scene.tissues[0], hits.tint, mixed)
    return Skin(albedo, gradient, mixed[:, pattern.ROUGHENING])


def _read(
    texture: pattern.TissueTexture, points: np.ndarray, level: np.ndarray
) -> Float[np.ndarray, "hits 8"]:
    result = np.zeros((len(points), 8))
    for k in np.unique(level):
        result[level == k] = pattern.sample_texture(texture, points[level == k], int(k))
    return result


def tissue_colour(
    tissue: Tissue, tint: np.ndarray, mixed: np.ndarray
) -> Float[np.ndarray, "hits 3"]:
    """Albedo with blotches, patches and vessels, times the mesh's tint."""
    coarse, fine, blotch, patch = (mixed[:, k, None] for k in range(4))
    kept = 1 - tissue.coarse_vessels * coarse * (1 - np.asarray(COARSE_TRANSMISSION))
    kept = kept * (1 - tissue.fine_vessels * fine * (1 - np.asarray(FINE_TRANSMISSION)))
    kept = kept * (1 - tissue.mottling * patch * np.asarray(fixed.PATCH_COLOUR))
    kept = kept * (1 + tissue.mottling * (2 * blotch - 1))
    albedo: Float[np.ndarray, "hits 3"] = np.clip(tissue.albedo * tint * kept, 0, 0.98)
    return albedo


def side_weights(normal: Float[np.ndarray, "hits 3"]) -> Float[np.ndarray, "hits 3"]:
    """How much each of the three sides counts; mostly one of them alone."""
    raw = normal**4 / np.sum(normal**4, axis=1, keepdims=True)
    kept = np.maximum(raw - fixed.FAINTEST_SIDE, 0)
    result: Float[np.ndarray, "hits 3"] = kept / kept.sum(axis=1, keepdims=True)
    return result


def pattern_level(tissue: Tissue, camera: Camera, hits: Hits) -> Int[np.ndarray, "hits"]:
    """The level whose texels are about as wide as a pixel is on the surface."""
    facing = np.maximum(_dot(hits.normal, hits.out), fixed.STEEPEST)
    width_mm = hits.distance * pixel_rad(camera) / np.sqrt(facing)
    texels = np.maximum(width_mm * pattern.SIZE / tissue.tile_mm, 1)
    level = np.minimum(np.log2(texels) + 0.5, pattern.LEVELS - 1)
    whole: Int[np.ndarray, "hits"] = level.astype(np.int64)
    return whole


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    product: np.ndarray = np.einsum("nk,nk->n", a, b)
    return product
