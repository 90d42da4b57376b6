# SPDX-License-Identifier: Apache-2.0
"""One picture in one compiled kernel: rays, the closest hit, light with shadows, and every label.

Whatever changes between frames enters as an array of numbers, so the kernel is compiled once per
lens model and number of lights. `render.basic` is the same in slow NumPy; the names agree.
Import this file after `render.engine.start`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np

from endoforge.geometry.cameras import Camera, pixel_centres
from endoforge.geometry.lens_equations import brown_conrady_project, kannala_brandt_project
from endoforge.optics import texture as pattern
from endoforge.optics.tissue import COARSE_TRANSMISSION, FINE_TRANSMISSION
from endoforge.render.parameters import (
    CAVITY_MM,
    DIFFUSE_RELIEF,
    FAINTEST_SIDE,
    FOUND,
    HIDDEN,
    PATCH_COLOUR,
    SHADOW_START_MM,
    SIDE_SHIFT,
    SIGHT_START_MM,
    STEEPEST,
    Layout,
)
from endoforge.scene.records import Surface

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_INSTANCE_SHIFT = 8
_ALIGNMENT = 64  # bytes

#: Side of the tiles in which the lanes take the pixels, px.
TILE = 4


class LensOps:
    """The functions that `geometry.lens_equations` needs, for Dr.Jit."""

    sqrt = staticmethod(dr.sqrt)
    atan2 = staticmethod(dr.atan2)
    where = staticmethod(dr.select)


def aligned(array: np.ndarray) -> np.ndarray:
    """Copy numbers to one row that starts on a 64-byte border.

    Dr.Jit uses NumPy's memory as it lies, and how it lies becomes part of the kernel: unaligned
    arrays would mean another compilation for every scene.
    """
    room = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    row = room[start : start + array.nbytes].view(array.dtype)
    row[:] = array.ravel()
    return row


@dataclass(frozen=True, eq=False)
class MeshBuffers:
    """A surface on the device: the ray tracer's scene and flat records to read at a hit."""

    scene: Any
    faces: Any  # 4 whole numbers per face: three vertices, label + instance * 256
    face_normals: Any  # 4 floats per face: geometric normal, 0
    vertices: Any  # 8 floats per vertex: normal, 0, tint, 0


def upload_mesh(surface: Surface, centre: np.ndarray) -> MeshBuffers:
    """Build the acceleration structure and the records of a surface, relative to a centre."""
    positions = (surface.vertices_mm.astype(np.float64) - centre).astype(np.float32)
    mesh = mi.Mesh("surface", len(positions), len(surface.faces))
    values = mi.traverse(mesh)
    values["vertex_positions"] = mi.Float(aligned(positions))
    values["faces"] = mi.UInt32(aligned(surface.faces.astype(np.uint32)))
    values.update()
    meaning = surface.face_label + surface.face_instance.astype(np.uint32) * 2**_INSTANCE_SHIFT
    nothing = np.zeros((len(positions), 1), np.float32)
    vertices = np.hstack([surface.normals, nothing, surface.tint, nothing])
    buffers = MeshBuffers(
        scene=mi.load_dict({"type": "scene", "surface": mesh}),
        faces=mi.UInt32(aligned(np.column_stack([surface.faces, meaning]).astype(np.uint32))),
        face_normals=mi.Float(aligned(_facets(positions, surface.faces))),
        vertices=mi.Float(aligned(vertices)),
    )
    dr.eval(buffers.faces, buffers.face_normals, buffers.vertices)
    return buffers


def _facets(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Geometric normal of each face, padded to four numbers."""
    corners = positions[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-30)
    return np.pad(across, ((0, 0), (0, 1)))


def upload_texture(texture: pattern.TissueTexture) -> Any:
    """Put the pyramid on the device: two whole numbers of four bytes per texel."""
    words = mi.UInt32(aligned(texture.packed().view(np.uint32)))
    dr.eval(words)
    return words


@dataclass(frozen=True, eq=False)
class LensBuffers:
    """What the lens says about each pixel."""

    rays: Any
    field: Any
    centres: Any
    pixels: Any  # where each lane's pixel lies in the image, row by row


def upload_lens(camera: Camera) -> LensBuffers:
    """Put the lens's rays on the device, in the order in which the lanes take the pixels."""
    order = tile_order(camera.width, camera.height)
    rays = camera.rays().reshape(-1, 3)[order]
    known = np.isfinite(rays[:, 2])
    filled = np.where(known[:, None], rays, (0.0, 0.0, 1.0)).astype(np.float32)
    centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)[order].astype(np.float32)
    buffers = LensBuffers(
        rays=mi.Vector3f(*(mi.Float(aligned(column)) for column in filled.T)),
        field=mi.Bool(aligned(known)),
        centres=mi.Vector2f(*(mi.Float(aligned(column)) for column in centres.T)),
        pixels=mi.UInt32(aligned(order.astype(np.uint32))),
    )
    dr.eval(buffers.rays, buffers.field, buffers.centres, buffers.pixels)
    return buffers


def tile_order(width: int, height: int) -> np.ndarray:
    """Pixel numbers, tile by tile: neighbours in a packet of lanes meet the same triangles."""
    row, column = np.divmod(np.arange(width * height), width)
    return np.lexsort((column, row, column // TILE, row // TILE))


@dataclass(frozen=True, eq=False)
class Hit:
    """The closest surface of every ray, camera frame unless said otherwise."""

    found: Any
    place: Any  # world frame, relative to the scene's centre
    point: Any
    out: Any  # unit, towards the camera
    facing_world: Any  # the same in the world frame
    normal: Any  # interpolated, on the camera's side
    normal_world: Any
    facet_world: Any  # geometric, on the camera's side
    tint: Any
    meaning: Any
    distance: Any


@dataclass(frozen=True, eq=False)
class Planes:
    """What one run of the kernel gives, each as one flat row, channels last."""

    radiance: np.ndarray
    depth: np.ndarray
    normal: np.ndarray
    flow: np.ndarray
    meaning: np.ndarray


class Numbers:
    """Reads the frame's parameters inside the kernel, by the names of the layout."""

    def __init__(self, values: Any, layout: Layout) -> None:
        self._values, self.layout = values, layout

    def __call__(self, name: str) -> list[Any]:
        """All numbers of one name."""
        start, count = self.layout.places[name]
        return [self._values[start + k] for k in range(count)]

    def one(self, name: str) -> Any:
        """The only number of one name."""
        return self(name)[0]

    def vector(self, name: str) -> Any:
        """Three numbers as a vector."""
        return mi.Vector3f(*self(name))


def run(
    mesh: MeshBuffers, lens: LensBuffers, words: Any, values: np.ndarray, layout: Layout
) -> Planes:
    """Render the frame: build the computation, run it once, copy the pictures out."""
    row = mi.Float(values)
    numbers = Numbers([dr.gather(mi.Float, row, k) for k in range(len(values))], layout)
    hit = closest(mesh, lens.rays, lens.field, numbers)
    radiance = shade(mesh, hit, numbers, words)
    flow, seen = follow(mesh, hit, lens.centres, numbers)
    meaning = hit.meaning | dr.select(hit.found, mi.UInt32(FOUND), 0)
    meaning |= dr.select(hit.found & ~seen, mi.UInt32(HIDDEN), 0)
    pictures = [
        placed(mi.Float, radiance, lens.pixels),
        placed(mi.Float, [dr.select(hit.found, hit.point.z, dr.nan)], lens.pixels),
        placed(mi.Float, [dr.select(hit.found, n, dr.nan) for n in hit.normal], lens.pixels),
        placed(mi.Float, flow, lens.pixels),
        placed(mi.UInt32, [meaning], lens.pixels),
    ]
    dr.eval()
    return Planes(*(np.array(picture) for picture in pictures))


def placed(kind: Any, channels: Any, pixels: Any) -> Any:
    """Write the channels of every lane to its pixel, channels last."""
    count = len(channels)
    picture = dr.empty(kind, dr.width(pixels) * count)
    for k, channel in enumerate(channels):
        dr.scatter(picture, kind(channel), pixels * count + k, mode=dr.ReduceMode.Permute)
    return picture


def rotate(matrix: Sequence[Any], vector: Any) -> Any:
    """Multiply a 3x3 matrix, row by row, with a vector."""
    x, y, z = vector.x, vector.y, vector.z
    rows = [dr.fma(matrix[k], x, dr.fma(matrix[k + 1], y, matrix[k + 2] * z)) for k in (0, 3, 6)]
    return mi.Vector3f(*rows)


def rotate_back(matrix: Sequence[Any], vector: Any) -> Any:
    """Multiply the transpose of a 3x3 matrix with a vector."""
    return rotate([matrix[k] for k in (0, 3, 6, 1, 4, 7, 2, 5, 8)], vector)


def closest(mesh: MeshBuffers, rays: Any, field: Any, numbers: Numbers) -> Hit:
    """Find what each ray meets first and read the surface there."""
    turn = numbers("world_from_camera")
    origin = mi.Point3f(numbers.vector("origin"))
    direction = rotate(turn, rays)
    ray = mi.Ray3f(origin, direction)
    met = mesh.scene.ray_intersect_preliminary(ray, coherent=True, active=field)
    found = field & met.is_valid()
    face = dr.gather(mi.Vector4u, mesh.faces, met.prim_index, found)
    facet = mi.Vector3f(dr.gather(mi.Vector4f, mesh.face_normals, met.prim_index, found).xyz)
    weights = (1 - met.prim_uv.x - met.prim_uv.y, met.prim_uv.x, met.prim_uv.y)
    mixed = [mi.Float(0)] * 8
    for weight, index in zip(weights, (face.x, face.y, face.z), strict=True):
        record = dr.gather(mi.ArrayXf, mesh.vertices, index, found, shape=(8, dr.width(index)))
        mixed = [dr.fma(weight, record[k], mixed[k]) for k in range(8)]
    side = dr.select(dr.dot(facet, direction) > 0, mi.Float(-1), 1)
    normal_world = dr.normalize(mi.Vector3f(*mixed[:3])) * side
    turned = dr.maximum(dr.dot(normal_world, direction), 0)  # interpolation past the horizon
    normal_world = dr.normalize(normal_world - turned * direction)
    distance = dr.select(found, met.t, 1)
    return Hit(
        found=found,
        place=origin + distance * direction,
        point=distance * rays,
        out=-rays,
        facing_world=-direction,
        normal=rotate_back(turn, normal_world),
        normal_world=normal_world,
        facet_world=facet * side,
        tint=mi.Color3f(*mixed[4:7]),
        meaning=dr.select(found, face.w, dr.select(field, mi.UInt32(0), 255)),
        distance=distance,
    )


# ---- tissue ----


@dataclass(frozen=True, eq=False)
class Skin:
    """What the pattern says at a hit, 0 to 1; the gradient is that of a relief of unit slope."""

    coarse: Any
    fine: Any
    blotch: Any
    patch: Any
    gradient: Any  # world frame
    roughening: Any


def shade(mesh: MeshBuffers, hit: Hit, numbers: Numbers, words: Any) -> Any:
    """Radiance towards the camera: soft diffuse, wet film, once-reflected light."""
    skin = read_pattern(hit, numbers, words)
    albedo = tissue_colour(hit, skin, numbers)
    relief = numbers.one("relief")
    soft_normal = bend(hit, skin, relief * DIFFUSE_RELIEF, numbers)
    film_normal = bend(hit, skin, relief, numbers)
    alpha = dr.sqrt(dr.square(numbers.one("roughness")) + dr.square(relief) * skin.roughening)
    softness = mi.Color3f(*numbers("softness"))
    start = hit.place + SHADOW_START_MM * hit.normal_world
    diffuse, film, around = mi.Color3f(0), mi.Color3f(0), mi.Color3f(0)
    for light in range(numbers.layout.lights):
        name = f"light{light}_"
        away = numbers.vector(name + "position") - hit.point
        squared = dr.squared_norm(away)
        toward = away * dr.rsqrt(squared)
        beam = dr.exp(
            -numbers.one(name + "mu") * (1 + dr.dot(toward, numbers.vector(name + "axis")))
        )
        power = mi.Color3f(*numbers(name + "power")) * beam
        facing = dr.dot(soft_normal, toward)
        lit = hit.found & (facing > -softness[0])
        lit &= ~blocked(mesh, start, mi.Point3f(numbers.vector(name + "world")), lit)
        arriving = dr.select(lit, power * dr.rcp(squared), 0)
        diffuse += arriving * dr.maximum(facing + softness, 0)
        film += arriving * reflect(film_normal, hit.out, toward, alpha, numbers.one("f0"))
        around += power * dr.rcp(squared + CAVITY_MM**2)
    sideways = 1 - dr.maximum(dr.dot(soft_normal, hit.out), 0)
    glow = dr.fma(numbers.one("edge_glow"), sideways * sideways * sideways, 1)
    diffuse *= glow * dr.rcp(dr.square(1 + softness))
    around *= numbers.one("interreflection") * albedo
    total = albedo * dr.inv_pi * (diffuse + around) + film
    return dr.select(hit.found, total, 0)


def reflect(normal: Any, out: Any, toward: Any, alpha: Any, f0: Any) -> Any:
    """GGX with height-correlated Smith masking and Schlick's Fresnel term, times the cosine."""
    half = dr.normalize(out + toward)
    cos_in = dr.maximum(dr.dot(normal, toward), 0)
    cos_out = dr.maximum(dr.dot(normal, out), 1e-3)
    squared = dr.square(alpha)
    spread = dr.fma(dr.square(dr.maximum(dr.dot(normal, half), 0)), squared - 1, 1)
    density = squared * dr.rcp(dr.pi * dr.square(spread))
    masked = cos_out * dr.sqrt(dr.fma(dr.square(cos_in), 1 - squared, squared))
    masked += cos_in * dr.sqrt(dr.fma(dr.square(cos_out), 1 - squared, squared))
    grazing = 1 - dr.maximum(dr.dot(half, out), 0)
    fresnel = f0 + (1 - f0) * dr.square(dr.square(grazing)) * grazing
    return density * fresnel * cos_in * 0.5 * dr.rcp(dr.maximum(masked, 1e-6))


def blocked(mesh: MeshBuffers, start: Any, end: Any, active: Any) -> Any:
    """True where something stands between two points."""
    away = end - start
    length = dr.norm(away)
    ray = mi.Ray3f(start, away * dr.rcp(length), length * (1 - 1e-4), 0.0, mi.Color0f())
    return mesh.scene.ray_test(ray, coherent=True, active=active)


def tissue_colour(hit: Hit, skin: Skin, numbers: Numbers) -> Any:
    """Albedo with blotches, patches and vessels, times the mesh's tint."""
    coarse = numbers.one("coarse_vessels") * skin.coarse
    fine = numbers.one("fine_vessels") * skin.fine
    mottling = numbers.one("mottling")
    colour = []
    for channel, albedo in enumerate(numbers("albedo")):
        kept = 1 - coarse * (1 - COARSE_TRANSMISSION[channel])
        kept *= 1 - fine * (1 - FINE_TRANSMISSION[channel])
        kept *= 1 - mottling * PATCH_COLOUR[channel] * skin.patch
        kept *= 1 + mottling * (2 * skin.blotch - 1)
        colour.append(dr.clip(albedo * hit.tint[channel] * kept, 0, 0.98))
    return mi.Color3f(*colour)


def bend(hit: Hit, skin: Skin, slope: Any, numbers: Numbers) -> Any:
    """The normal in the camera frame, tilted by the relief."""
    normal = hit.normal_world
    along = skin.gradient - dr.dot(skin.gradient, normal) * normal
    return rotate_back(numbers("world_from_camera"), dr.normalize(normal - slope * along))


def read_pattern(hit: Hit, numbers: Numbers, words: Any) -> Skin:
    """Read the pattern from three sides and mix by the normal."""
    level = pattern_level(hit, numbers)
    place = hit.place * dr.rcp(numbers.one("tile_mm"))
    values = [mi.Float(0)] * 5
    gradient = [mi.Float(0)] * 3
    for axis, weight in enumerate(side_weights(hit.normal_world)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        used = hit.found & (weight > 0)
        weight = dr.select(used, weight, 0)
        read = read_level(words, place[first] + SIDE_SHIFT[axis], place[second], level, used)
        for k, channel in enumerate((0, 1, 2, 3, pattern.ROUGHENING)):
            values[k] = dr.fma(weight, read[channel], values[k])
        for component, channel in ((first, pattern.SLOPE_U), (second, pattern.SLOPE_V)):
            slope = pattern.SLOPE_SPAN * (2 * read[channel] - 1)
            gradient[component] = dr.fma(weight, slope, gradient[component])
    coarse, fine, blotch, patch, roughening = values
    return Skin(coarse, fine, blotch, patch, mi.Vector3f(*gradient), roughening)


def side_weights(normal: Any) -> list[Any]:
    """How much each of the three sides counts; mostly one of them alone."""
    raw = [dr.square(dr.square(component)) for component in normal]
    inverse = dr.rcp(raw[0] + raw[1] + raw[2])
    kept = [dr.maximum(weight * inverse - FAINTEST_SIDE, 0) for weight in raw]
    inverse = dr.rcp(kept[0] + kept[1] + kept[2])
    return [weight * inverse for weight in kept]


def pattern_level(hit: Hit, numbers: Numbers) -> Any:
    """The level whose texels are about as wide as a pixel is on the surface."""
    facing = dr.maximum(dr.dot(hit.normal_world, hit.facing_world), STEEPEST)
    width = hit.distance * numbers.one("pixel_rad") * dr.rsqrt(facing)
    texels = dr.maximum(width * pattern.SIZE * dr.rcp(numbers.one("tile_mm")), 1)
    return mi.UInt32(dr.minimum(dr.log2(texels) + 0.5, pattern.LEVELS - 1))


def read_level(words: Any, u: Any, v: Any, level: Any, active: Any) -> list[Any]:
    """Read one level with bilinear interpolation; u and v in periods."""
    size = mi.UInt32(pattern.SIZE) >> level
    first = mi.UInt32(pattern.SIZE**2 * 4 // 3) - (size * size * 4 - 1) // 3
    scale = mi.Float(size)
    u, v = dr.fma(u, scale, -0.5), dr.fma(v, scale, -0.5)
    left, top = dr.floor(u), dr.floor(v)
    right, down = u - left, v - top
    mask = mi.Int32(size - 1)
    u0, v0 = mi.Int32(left) & mask, mi.Int32(top) & mask
    u1, v1 = (u0 + 1) & mask, (v0 + 1) & mask
    width = mi.Int32(size)
    total = [mi.Float(0)] * 8
    corners = (
        (u0, v0, (1 - right) * (1 - down)),
        (u1, v0, right * (1 - down)),
        (u0, v1, (1 - right) * down),
        (u1, v1, right * down),
    )
    for column, row, weight in corners:
        index = first + mi.UInt32(row * width + column)
        pair = dr.gather(mi.Vector2u, words, index, active)
        scaled = weight * (1 / 255)
        for channel in range(7):
            byte = (pair[channel // 4] >> (8 * (channel % 4))) & 255
            total[channel] = dr.fma(scaled, mi.Float(byte), total[channel])
    return total


# ---- the next frame ----


def follow(
    mesh: MeshBuffers, hit: Hit, centres: Any, numbers: Numbers
) -> tuple[tuple[Any, Any], Any]:
    """Where each visible point goes in the next frame, and whether it is seen there."""
    point = rotate(numbers("next_turn"), hit.point) + numbers.vector("next_shift")
    project = kannala_brandt_project if numbers.layout.fisheye else brown_conrady_project
    u, v = project(point.x, point.y, point.z, numbers("lens"), LensOps)
    width, height = numbers("image_size")
    in_field = hit.found & (point.z >= numbers.one("cos_field") * dr.norm(point))
    seen = in_field & (u >= 0) & (u <= width) & (v >= 0) & (v <= height)
    eye = mi.Point3f(numbers.vector("next_origin"))
    seen &= dr.dot(hit.facet_world, eye - hit.place) > 0
    seen &= ~blocked(mesh, hit.place + SIGHT_START_MM * hit.facet_world, eye, seen)
    shift = (dr.select(in_field, u - centres.x, dr.nan), dr.select(in_field, v - centres.y, dr.nan))
    return shift, seen
