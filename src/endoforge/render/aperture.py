# SPDX-License-Identifier: Apache-2.0
"""Depth of field and motion blur: the colour image as a mean over places in lens and shutter.

Labels are not touched; they stay those of the sharp centre ray at the frame's own time. Import this
file after `render.engine.start`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import Float32

from endoforge.geometry.cameras import Camera
from endoforge.render.bounces import GOLDEN, generator, incoming
from endoforge.render.buffers import LensBuffers
from endoforge.render.denoise import Guides, denoised
from endoforge.render.hits import World, closest
from endoforge.render.numbers import Numbers, rotate
from endoforge.render.parameters import Layout, pack
from endoforge.render.parameters import Numbers as Values
from endoforge.render.skin import shade
from endoforge.render.transport import Transport

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: Channels of one sub-picture: direct light, albedo, albedo times the number of paths, the same
#: times the incoming light, place relative to the eye, normal, and 1 where a surface was met.
_PARTS = {
    "direct": 3,
    "albedo": 3,
    "asked": 3,
    "carried": 3,
    "place": 3,
    "normal": 3,
    "found": 1,
}
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Shot:
    """One eye while the shutter is open.

    Attributes:
        camera: The lens.
        lens: Its rays on the device.
        world_at: The scene at a time between -0.5 and 0.5 frames from the frame's own.
        values: Numbers of every sub-picture; all with the same names.
        layout: Where the names' numbers lie.
    """

    camera: Camera
    lens: LensBuffers
    world_at: Callable[[float], World]
    values: Sequence[Mapping[str, Values]]
    layout: Layout


class Shifted(Numbers):
    """A frame's numbers of which some differ from lane to lane."""

    def __init__(self, numbers: Numbers, changed: Mapping[str, Any]) -> None:
        """Take the numbers of the frame and the vectors that replace some of them."""
        self._numbers, self._changed, self.layout = numbers, changed, numbers.layout

    def __call__(self, name: str) -> list[Any]:
        """All numbers of one name."""
        changed = self._changed.get(name)
        return self._numbers(name) if changed is None else [changed.x, changed.y, changed.z]


def blurred(shot: Shot, transport: Transport) -> Float32[np.ndarray, "channels"]:
    """Scene-linear radiance averaged over lens and shutter, as a flat row, channels last."""
    count = len(shot.values)
    width = dr.width(shot.lens.pixels)
    sums = [dr.zeros(mi.Float, width) for _ in range(sum(_PARTS.values()))]
    dr.make_opaque(sums)  # the same kernel for the first as for the others
    for k, values in enumerate(shot.values):
        world = shot.world_at(transport.shutter * ((k + 0.5) / count - 0.5))
        parts = _sub_picture(world, shot.lens, Numbers(pack(values), shot.layout))
        sums = [total + part for total, part in zip(sums, parts, strict=True)]
        dr.eval(sums)
        dr.sync_thread()  # the next instant may rebuild the ray tracer that this one reads
    shape = (shot.camera.height, shot.camera.width)
    pictures = _pictures(sums, shot.lens, shape)
    radiance = pictures["direct"] / count
    if shot.layout.bounces:
        radiance += _indirect(pictures, transport) / count
    return radiance.astype(np.float32).ravel()


def _indirect(pictures: Mapping[str, np.ndarray], transport: Transport) -> np.ndarray:
    """Smooth the incoming light with the mean shape as guide; times the sum of the albedos."""
    hits = np.maximum(pictures["found"][..., None], 1)
    normal = pictures["normal"]
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    guides = Guides(
        (pictures["place"] / hits).astype(np.float32),
        (normal / np.maximum(length, _TINY)).astype(np.float32),
        pictures["found"] > 0,
    )
    noisy = (pictures["carried"] / np.maximum(pictures["asked"], _TINY)).astype(np.float32)
    indirect: np.ndarray = denoised(noisy, guides, transport.denoise) * pictures["albedo"]
    return indirect


def _sub_picture(world: World, lens: LensBuffers, numbers: Numbers) -> list[Any]:
    """One place in the lens and one time for every pixel, in the order of `_PARTS`."""
    random = generator(dr.width(lens.pixels), numbers("blur_seed"))
    k, count = numbers("subsample")
    shift = [random.next_float32() for _ in range(3)]
    time = numbers.one("shutter") * ((k + shift[2]) * dr.rcp(count) - 0.5)
    place = mi.Point2f(*(_fraction(dr.fma(k, GOLDEN[j], shift[j])) for j in range(2)))
    origin, direction = through_lens(
        lens, mi.warp.square_to_uniform_disk_concentric(place), numbers
    )
    move = _Move(numbers, time)
    moved = Shifted(numbers, move.lamps(numbers))
    hit = closest(world, move.point(origin), move.vector(direction), lens.field)
    light = shade(world, hit, moved)
    asked, carried = mi.Color3f(0), mi.Color3f(0)
    if numbers.layout.bounces:
        asked = light.albedo * numbers.one("samples")
        carried = asked * incoming(world, hit, moved)
    direct = dr.fma(light.albedo, light.shading, light.film)
    seen = [hit.place - numbers.vector("origin"), hit.normal, mi.Color3f(1)]
    seen = [dr.select(hit.found, part, 0) for part in seen]
    vectors = [direct, light.albedo, asked, carried, seen[0], seen[1]]
    return [mi.Float(part[j]) for part in vectors for j in range(3)] + [mi.Float(seen[2].x)]


def through_lens(lens: LensBuffers, disc: Any, numbers: Numbers) -> tuple[Any, Any]:
    """A ray through a place on the entrance pupil that meets the sharp ray where the focus is.

    The pupil of a flat-field (pinhole) lens is square to the axis and its focus a plane; any other
    lens turns its pupil towards each ray and its focus is a sphere.

    Args:
        lens: Sharp rays, camera frame.
        disc: Place on the unit disc.
        numbers: The eye, and `aperture`: radius, focus, and 1 for a flat field.
    """
    turn = numbers("world_from_camera")
    radius, focus, flat = numbers("aperture")
    ray = rotate(turn, lens.rays)
    around = mi.Frame3f(ray)
    right = dr.select(flat > 0, mi.Vector3f(turn[0], turn[3], turn[6]), around.s)
    down = dr.select(flat > 0, mi.Vector3f(turn[1], turn[4], turn[7]), around.t)
    offset = radius * (disc.x * right + disc.y * down)
    along = focus * dr.select(flat > 0, dr.rcp(dr.maximum(lens.rays.z, 1e-3)), 1)
    origin = mi.Point3f(numbers.vector("origin") + offset)
    return origin, dr.normalize(along * ray - offset)


class _Move:
    """The camera's way from its pose at the frame's time to that at another time, in the world."""

    def __init__(self, numbers: Numbers, time: Any) -> None:
        """Turn about the camera evenly and move it in a straight line, before or after."""
        after = time >= 0
        turns, shifts = (
            dr.select(after, numbers.vector(f"later_{name}"), numbers.vector(f"sooner_{name}"))
            for name in ("turn", "shift")
        )
        share = dr.abs(time)
        angle = dr.norm(turns)
        self._axis = turns * dr.rcp(dr.maximum(angle, _TINY))
        self._sin, self._cos = dr.sincos(angle * share)
        self._shift = share * shifts
        self._pivot = numbers.vector("pivot")

    def vector(self, vector: Any) -> Any:
        """A direction of the camera's at the other time (Rodrigues)."""
        along = dr.dot(self._axis, vector) * (1 - self._cos)
        turned = self._cos * vector + self._sin * dr.cross(self._axis, vector)
        return mi.Vector3f(turned + along * self._axis)

    def point(self, point: Any) -> Any:
        """A point that rides with the camera, at the other time."""
        return mi.Point3f(self._pivot + self.vector(point - self._pivot) + self._shift)

    def lamps(self, numbers: Numbers) -> dict[str, Any]:
        """Places and axes of the lamps at the other time."""
        changed = {}
        for light in range(numbers.layout.lights):
            name = f"light{light}_"
            changed[name + "position"] = self.point(numbers.vector(name + "position"))
            changed[name + "axis"] = self.vector(numbers.vector(name + "axis"))
        return changed


def _fraction(number: Any) -> Any:
    return number - dr.floor(number)


def _pictures(
    sums: Sequence[Any], lens: LensBuffers, shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The sums of all sub-pictures, lane by lane, as pictures."""
    order = np.array(lens.pixels)
    pictures, start = {}, 0
    for name, count in _PARTS.items():
        rows = np.empty((shape[0] * shape[1], count), np.float32)
        rows[order] = np.column_stack([np.array(row) for row in sums[start : start + count]])
        pictures[name] = rows.reshape(*shape, count) if count > 1 else rows.reshape(shape)
        start += count
    return pictures
