# SPDX-License-Identifier: Apache-2.0
"""Light that reaches a wall from other walls: paths of cosine-drawn directions, lamps at each wall.

Walls met on the way are Lambertian, without film, in their face's mean colour; each asks one lamp,
drawn by its contribution, with a shadow ray. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import Float32

from endoforge.optics import texture as pattern
from endoforge.render import constants as fixed
from endoforge.render.arrays import aligned, padded
from endoforge.render.basic_skin import layer, tissue_colour
from endoforge.render.hits import Hit, World, blocked, facing_of, nearest
from endoforge.render.numbers import Numbers
from endoforge.render.partition import Partition
from endoforge.render.skin import lamp_light
from endoforge.scene.records import Scene

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: Light that adds less than this share of a pixel's own direct light is asked for its shadow only
#: sometimes, and counts the more then; the mean stays what it is.
SHADOW_SHARE = 0.3
#: The same for paths that go on. Measured on a colon of 217,000 triangles, 4 bounces, 4 paths: with
#: both shares at 0.1 a frame takes 1.45 times as long and is 0.5 dB nearer to the truth.
PATH_SHARE = 0.6
#: Yet no path ends more often than at this share of its colour.
LEAST_SURVIVAL = 0.1
#: Direct light of a pixel is reckoned as if it came in at this cosine at least.
LEAST_FACING = 0.1

#: The golden ratio of the plane: fractional parts of its multiples fill the unit square evenly.
GOLDEN = (0.7548776662466927, 0.5698402909980532)
_TINY = 1e-20
_MOST = 0.98


def face_colours(scene: Scene) -> Float32[np.ndarray, "faces 3"]:
    """Mean albedo of every face: its tissue's pattern, tint and stain without their fine detail.

    What the film mirrors when hit squarely is counted as diffuse, else metal would be black.

    Args:
        scene: Faces in the order of its surface.
    """
    surface = scene.surface
    material = surface.face_material
    if material is None:
        material = np.zeros(len(surface.faces), np.uint8)
    colours = np.zeros((len(surface.faces), 3), np.float32)
    for number, tissue in enumerate(scene.tissues):
        corners = surface.faces[material == number]
        coarsest = pattern.tissue_texture(tissue.texture_seed, tissue.pattern).levels[-1]
        channels = coarsest.reshape(1, -1, 8).mean(axis=1) / 255
        albedo = tissue_colour(tissue, surface.tint[corners].mean(axis=1), channels)
        if surface.stain is not None:
            blood, bile = layer(
                surface.stain[corners].mean(axis=1), channels[:, pattern.BLOTCH, None]
            ).T[..., None]
            albedo += bile * (np.asarray(fixed.BILE_COLOUR) - albedo)
            albedo += blood * (np.asarray(fixed.BLOOD_COLOUR) - albedo)
        mirrored = tissue.f0 * np.asarray(tissue.film_colour)
        colours[material == number] = np.minimum(albedo + mirrored, _MOST)
    return colours


def upload_colours(scene: Scene, parts: Partition) -> Any:
    """Put the mean albedo of the faces on the device, in the order of the kernel."""
    colours = mi.Float(aligned(padded(face_colours(scene)[parts.faces])))
    dr.eval(colours)
    return colours


@dataclass(eq=False)
class Path:
    """Where a lane's path is, and what its paths have brought so far."""

    place: Any
    normal: Any
    weight: Any
    total: Any
    bounce: Any
    sample: Any
    alive: Any


@dataclass(frozen=True, eq=False)
class Wall:
    """What a path meets."""

    found: Any
    place: Any
    normal: Any
    albedo: Any


def incoming(world: World, hit: Hit, numbers: Numbers) -> Any:
    """Mean radiance that other walls send to each hit: irradiance / pi, without the lamps' own.

    Times the albedo it is the radiance that the hit adds to its direct light. A lane begins its
    next path as soon as one ends, so that lanes stay busy.
    """
    start = mi.Point3f(hit.place + fixed.SIGHT_START_MM * hit.facet)
    normal = mi.Normal3f(hit.normal)
    bounces, samples = mi.UInt32(numbers.one("bounces")), mi.UInt32(numbers.one("samples"))
    own = direct_light(start, normal, numbers)
    rng = generator(dr.width(hit.distance), numbers("path_seed"))
    shift = mi.Point2f(rng.next_float32(), rng.next_float32())

    def step(rng: Any, path: Path) -> tuple[Any, Path]:
        toward = direction(path, rng, shift)
        wall = meet(world, path, toward)
        weight = path.weight * wall.albedo
        lamp, arriving, total = draw_lamp(wall, numbers, rng.next_float32())
        gain = weight * arriving * dr.inv_pi
        keep = dr.minimum(mean(gain) * dr.rcp(SHADOW_SHARE * dr.inv_pi * own), 1)
        lit = wall.found & (total > 0) & (rng.next_float32() < keep)
        lit &= ~blocked(world.now, wall.place, lamp, lit, coherent=False)
        gain *= dr.rcp(dr.maximum(keep, _TINY))
        keep = dr.maximum(mean(weight) * total * dr.rcp(PATH_SHARE * own), LEAST_SURVIVAL)
        keep = dr.minimum(keep, 1) * dr.minimum(dr.max(weight), 1)
        on = wall.found & (path.bounce + 1 < bounces) & (rng.next_float32() < keep)
        sample = dr.select(on, path.sample, path.sample + 1)
        return rng, Path(
            place=mi.Point3f(dr.select(on, wall.place, start)),
            normal=mi.Normal3f(dr.select(on, wall.normal, normal)),
            weight=dr.select(on, weight * dr.rcp(dr.maximum(keep, _TINY)), mi.Color3f(1)),
            total=path.total + dr.select(lit, gain, 0),
            bounce=dr.select(on, path.bounce + 1, 0),
            sample=sample,
            alive=path.alive & (sample < samples),
        )

    path = Path(
        place=mi.Point3f(start),
        normal=mi.Normal3f(normal),
        weight=mi.Color3f(1),
        total=mi.Color3f(0),
        bounce=mi.UInt32(0),
        sample=mi.UInt32(0),
        alive=hit.found & (bounces > 0) & (samples > 0),
    )
    _, path = dr.while_loop((rng, path), lambda rng, path: path.alive, step, label="bounces")
    return path.total * dr.rcp(mi.Float(dr.maximum(samples, 1)))


def generator(width: int, seed: list[Any]) -> Any:
    """Random numbers of every lane, from the two halves of a seed."""
    low, high = (mi.UInt64(half) for half in seed)
    return mi.PCG32(
        size=width, initstate=low + high * (1 << 16), initseq=dr.arange(mi.UInt64, width)
    )


def direct_light(place: Any, normal: Any, numbers: Numbers) -> Any:
    """About how much light the lamps would throw on a wall without shadows; above 0."""
    total = mi.Float(_TINY)
    for light in range(numbers.layout.lights):
        away = numbers.vector(f"light{light}_position") - place
        toward, squared, power = lamp_light(away, numbers, f"light{light}_")
        facing = dr.maximum(dr.dot(normal, toward), LEAST_FACING)
        total += mean(power) * facing * dr.rcp(squared)
    return total


def direction(path: Path, rng: Any, shift: Any) -> Any:
    """Draw a direction by the cosine; a pixel's first ones fill the hemisphere evenly."""
    first = path.bounce == 0
    place = []
    for k in range(2):
        even = dr.fma(mi.Float(path.sample), GOLDEN[k], shift[k])
        place.append(dr.select(first, even - dr.floor(even), rng.next_float32()))
    local = mi.warp.square_to_cosine_hemisphere(mi.Point2f(*place))
    return mi.Frame3f(path.normal).to_world(local)


def meet(world: World, path: Path, toward: Any) -> Wall:
    """The next wall, its normal on the side of the path."""
    found, face, _, distance = nearest(world, path.place, toward, path.alive, coherent=False)
    record = dr.gather(mi.Vector4u, world.mesh.faces, face, found)
    facet = facing_of(world.now, (record.x, record.y, record.z), found)
    facet *= dr.select(dr.dot(facet, toward) > 0, mi.Float(-1), 1)
    place = path.place + dr.select(found, distance, 0) * toward + fixed.SIGHT_START_MM * facet
    albedo = dr.gather(mi.Vector4f, world.colours, face, found).xyz
    return Wall(found, mi.Point3f(place), mi.Normal3f(facet), mi.Color3f(albedo))


def draw_lamp(wall: Wall, numbers: Numbers, chance: Any) -> tuple[Any, Any, Any]:
    """Draw one lamp by its light on the wall, shadows aside.

    Returns:
        Where it is, its irradiance divided by how likely it was drawn, and the brightness of all.
    """
    lamps = []
    total = mi.Float(0)
    for light in range(numbers.layout.lights):
        lamp = mi.Point3f(numbers.vector(f"light{light}_position"))
        toward, squared, power = lamp_light(lamp - wall.place, numbers, f"light{light}_")
        arriving = power * (dr.maximum(dr.dot(wall.normal, toward), 0) * dr.rcp(squared))
        lamps.append((lamp, arriving, mean(arriving)))
        total += mean(arriving)
    mark = chance * total
    place, arriving, share = lamps[0]
    passed = mi.Float(share)
    for lamp, other, bright in lamps[1:]:
        beyond = mark >= passed
        place = dr.select(beyond, lamp, place)
        arriving, share = dr.select(beyond, other, arriving), dr.select(beyond, bright, share)
        passed += bright
    return mi.Point3f(place), arriving * (total * dr.rcp(dr.maximum(share, _TINY))), total


def mean(colour: Any) -> Any:
    """Mean of the three channels."""
    return (colour[0] + colour[1] + colour[2]) * (1 / 3)
