# SPDX-License-Identifier: Apache-2.0
"""The light of the slow renderer: tissue, what covers it, and the sources beside the lens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from endoforge.geometry.cameras import Camera
from endoforge.optics import texture as pattern
from endoforge.optics.light import irradiance
from endoforge.optics.tissue import (
    COARSE_TRANSMISSION,
    FINE_TRANSMISSION,
    Tissue,
    edge_gain,
    film_roughness,
    ggx_density,
    schlick_fresnel,
    smith_visibility,
    soft_cosine,
)
from endoforge.render import constants as fixed
from endoforge.render.basic_geometry import Hits, clear, dot, mix, unit
from endoforge.render.normals import mesh_normals
from endoforge.render.parameters import pixel_rad
from endoforge.render.view import View
from endoforge.scene.records import Surface


@dataclass(frozen=True, eq=False)
class BasicLight:
    """What each hit sends to the eye: radiance = albedo * shading + film."""

    albedo: Float[np.ndarray, "hits 3"]
    shading: Float[np.ndarray, "hits 3"]
    film: Float[np.ndarray, "hits 3"]


@dataclass(frozen=True, eq=False)
class Pattern:
    """What the pattern says at each hit: its channels, and the gradient of a unit relief."""

    channels: Float[np.ndarray, "hits 8"]
    gradient: Float[np.ndarray, "hits 3"]


@dataclass(frozen=True, eq=False)
class Coat:
    """The outermost layer of each hit."""

    albedo: Float[np.ndarray, "hits 3"]
    relief: Float[np.ndarray, "hits"]
    roughness: Float[np.ndarray, "hits"]
    f0: Float[np.ndarray, "hits 3"]


def shade(
    tissues: Sequence[Tissue], now: Surface, camera: Camera, view: View, hits: Hits
) -> BasicLight:
    """Light that leaves each hit towards the eye, tissue by tissue."""
    material = np.zeros(len(now.faces), int) if now.face_material is None else now.face_material
    parts = [np.zeros((len(hits.face), 3)) for _ in range(3)]
    for number, tissue in enumerate(tissues):
        chosen = np.flatnonzero(material[hits.face] == number)
        if len(chosen):
            some = some_of(hits, chosen)
            read = read_pattern(tissue, now, camera, some)
            light = from_lamps(tissue, now, view, some, read)
            for whole, part in zip(parts, light, strict=True):
                whole[chosen] = part
    return BasicLight(*parts)


def some_of(hits: Hits, chosen: Int[np.ndarray, "some"]) -> Hits:
    """A few of the hits."""
    return Hits(**{name: getattr(hits, name)[chosen] for name in Hits.__dataclass_fields__})


def from_lamps(
    tissue: Tissue, now: Surface, view: View, hits: Hits, read: Pattern
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Albedo, shading and film of hits on one tissue."""
    coat = coat_of(tissue, now, hits, read)
    soft_normal = bend(hits, read, coat.relief * fixed.DIFFUSE_RELIEF)
    film_normal = bend(hits, read, coat.relief)
    roughening = read.channels[:, pattern.ROUGHENING]
    alpha = np.sqrt(coat.roughness**2 + coat.relief**2 * roughening)
    softness = np.asarray(tissue.softness)
    glow = edge_gain(np.maximum(dot(soft_normal, hits.out), 0), tissue.edge_glow)[:, None]
    starts = hits.point + fixed.SHADOW_START_MM * hits.normal
    shading, film = np.zeros_like(hits.point), np.zeros_like(hits.point)
    world_from_camera = np.linalg.inv(view.camera_from_world)
    inside = hits.point @ view.camera_from_world[:3, :3].T + view.camera_from_world[:3, 3]
    for light in view.lights:
        lamp = (world_from_camera @ (*light.position_mm, 1.0))[:3]
        toward = unit(lamp - hits.point)
        facing = dot(soft_normal, toward)
        lit = (facing > -max(tissue.softness)) & clear(now, starts, lamp)
        beam = irradiance(light, inside)[:, None] * np.asarray(light.colour)
        arriving = np.where(lit[:, None], beam, 0)
        shading += arriving / np.pi * glow * soft_cosine(facing[:, None], softness)
        film += arriving * reflect(film_normal, hits.out, toward, alpha, coat.f0)
        squared = np.sum((lamp - hits.point) ** 2, axis=1, keepdims=True)
        around = beam * squared / (squared + fixed.CAVITY_MM**2)
        shading += tissue.interreflection * coat.albedo / np.pi * around
    return coat.albedo, shading, film


def reflect(
    normal: np.ndarray, out: np.ndarray, toward: np.ndarray, alpha: np.ndarray, f0: np.ndarray
) -> Float[np.ndarray, "hits 3"]:
    """The film's reflection times the cosine of incidence."""
    half = unit(out + toward)
    cos_in = np.maximum(dot(normal, toward), 0)
    cos_out = np.maximum(dot(normal, out), 1e-3)
    density = ggx_density(np.maximum(dot(normal, half), 0), alpha)
    fresnel = schlick_fresnel(np.maximum(dot(half, out), 0)[:, None], f0)
    facets = density * smith_visibility(cos_in, cos_out, alpha) * cos_in
    result: Float[np.ndarray, "hits 3"] = facets[:, None] * fresnel
    return result


# ---- what covers a hit ----


def coat_of(tissue: Tissue, now: Surface, hits: Hits, read: Pattern) -> Coat:
    """Tissue, then bile over it, then blood over both."""
    stain = np.zeros((len(now.normals), 2)) if now.stain is None else now.stain
    blood, bile = layer(mix(stain, hits, now), read.channels[:, pattern.BLOTCH, None]).T
    albedo = tissue_colour(tissue, mix(now.tint, hits, now), read.channels)
    for share, colour in ((bile, fixed.BILE_COLOUR), (blood, fixed.BLOOD_COLOUR)):
        albedo = albedo * (1 - share[:, None]) + share[:, None] * np.asarray(colour)
    wet = 1 - (1 - blood) * (1 - bile)
    film = read.channels[:, pattern.FILM]
    dry = film_roughness(tissue.roughness, tissue.film_variation, film)
    f0 = tissue.f0 * np.asarray(tissue.film_colour)
    return Coat(
        albedo=albedo,
        relief=tissue.relief * (1 - fixed.LAYER_FILLS * wet),
        roughness=dry * (1 - wet) + fixed.LAYER_ROUGHNESS * wet,
        f0=f0 * (1 - wet)[:, None] + fixed.LAYER_F0 * wet[:, None],
    )


def layer(amount: np.ndarray, blotch: np.ndarray) -> np.ndarray:
    """How much of a hit a stain covers; the border is frayed by the pattern's blotches."""
    frayed = amount + fixed.LAYER_FRAY * (blotch - 0.5) * 4 * amount * (1 - amount)
    frayed = np.clip(frayed, 0, 1)
    covered: np.ndarray = frayed**2 * (3 - 2 * frayed)
    return covered


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


# ---- the pattern ----


def read_pattern(tissue: Tissue, now: Surface, camera: Camera, hits: Hits) -> Pattern:
    """Read the pattern from three sides of the rest frame and mix by the normal there."""
    texture = pattern.tissue_texture(tissue.texture_seed, tissue.pattern)
    place = hits.rest / tissue.tile_mm
    level = pattern_level(tissue, camera, hits)
    mixed = np.zeros((len(place), 8))
    gradient = np.zeros((len(place), 3))
    for axis, weight in enumerate(side_weights(rest_normal(now, hits)).T):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        uv = np.stack([place[:, first] + fixed.SIDE_SHIFT[axis], place[:, second]], -1)
        read = _read(texture, uv, level)
        mixed += weight[:, None] * read
        slopes = pattern.SLOPE_SPAN * (2 * read[:, pattern.SLOPE_U : pattern.SLOPE_V + 1] - 1)
        gradient[:, [first, second]] += weight[:, None] * slopes
    return Pattern(mixed, gradient if now.texture_mm is None else carried(now, hits, gradient))


def rest_normal(now: Surface, hits: Hits) -> np.ndarray:
    """The normal in the rest frame; its length and sign do not matter."""
    if now.texture_mm is None:
        return hits.normal
    return mix(mesh_normals(now.texture_mm, now.faces), hits, now)


def carried(now: Surface, hits: Hits, gradient: np.ndarray) -> Float[np.ndarray, "hits 3"]:
    """A gradient of the rest frame in the world: the map that keeps the rise along each edge."""
    assert now.texture_mm is not None
    corners = now.faces[hits.face]
    rest, world = now.texture_mm[corners], now.vertices_mm[corners]
    rest, world = (values[:, 1:] - values[:, :1] for values in (rest, world))
    rise = np.einsum("nek,nk->ne", rest.astype(np.float64), gradient)
    along: Float[np.ndarray, "hits 3"] = np.einsum(
        "nke,ne->nk", np.linalg.pinv(world.astype(np.float64)), rise
    )
    return along


def bend(hits: Hits, read: Pattern, slope: np.ndarray) -> Float[np.ndarray, "hits 3"]:
    """The normal tilted by the relief."""
    along = read.gradient - dot(read.gradient, hits.normal)[:, None] * hits.normal
    return unit(hits.normal - slope[:, None] * along)


def _read(
    texture: pattern.TissueTexture, points: np.ndarray, level: np.ndarray
) -> Float[np.ndarray, "hits 8"]:
    result = np.zeros((len(points), 8))
    for k in np.unique(level):
        result[level == k] = pattern.sample_texture(texture, points[level == k], int(k))
    return result


def side_weights(normal: Float[np.ndarray, "hits 3"]) -> Float[np.ndarray, "hits 3"]:
    """How much each of the three sides counts; mostly one of them alone."""
    raw = normal**4 / np.sum(normal**4, axis=1, keepdims=True)
    kept = np.maximum(raw - fixed.FAINTEST_SIDE, 0)
    result: Float[np.ndarray, "hits 3"] = kept / kept.sum(axis=1, keepdims=True)
    return result


def pattern_level(tissue: Tissue, camera: Camera, hits: Hits) -> Int[np.ndarray, "hits"]:
    """The level whose texels are about as wide as a pixel is on the surface."""
    facing = np.maximum(dot(hits.normal, hits.out), fixed.STEEPEST)
    width_mm = hits.distance * pixel_rad(camera) / np.sqrt(facing)
    texels = np.maximum(width_mm * pattern.SIZE / tissue.tile_mm, 1)
    level = np.minimum(np.log2(texels) + 0.5, pattern.LEVELS - 1)
    whole: Int[np.ndarray, "hits"] = level.astype(np.int64)
    return whole
