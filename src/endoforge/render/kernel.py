# SPDX-License-Identifier: Apache-2.0
"""One picture in one compiled kernel: rays, the closest hit, light with shadows, and every label.

Whatever changes between frames enters as an array of numbers, so the kernel is compiled once per
lens model, number of lights and choice of labels. Import this file after `render.engine.start`.
"""

from collections.abc import Mapping
from typing import Any

import drjit
import mitsuba
import numpy as np

from endoforge.render import constants as fixed
from endoforge.render.bounces import incoming
from endoforge.render.buffers import LensBuffers
from endoforge.render.destinations import follow
from endoforge.render.hits import Hit, World, closest
from endoforge.render.numbers import Numbers, rotate, rotate_back
from endoforge.render.parameters import Layout
from endoforge.render.skin import Light, shade

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: Flows by the name of their destination, and the flag of a point that is hidden there.
_FLOWS = {
    "next": ("flow_px", fixed.HIDDEN_NEXT),
    "previous": ("back_flow_px", fixed.HIDDEN_PREVIOUS),
    "right": ("right_flow_px", fixed.HIDDEN_RIGHT),
}


def run(
    world: World, lens: LensBuffers, values: np.ndarray, layout: Layout
) -> Mapping[str, np.ndarray]:
    """Render the frame: build the computation, run it once, copy the pictures out.

    Returns:
        One flat row for each picture, channels last: `radiance`, `depth_mm`, `meaning`, `flags`
        and those that the layout names.
    """
    numbers = Numbers(values, layout)
    origin = mi.Point3f(numbers.vector("origin"))
    direction = rotate(numbers("world_from_camera"), lens.rays)
    hit = closest(world, origin, direction, lens.field)
    light = shade(world, hit, numbers)
    channels = {
        "radiance": dr.fma(light.albedo, light.shading, light.film),
        "depth_mm": [hit.distance * lens.rays.z],
        "meaning": [dr.select(hit.found | lens.field, hit.meaning, 255)],
    }
    channels |= wanted(hit, light, numbers)
    if layout.bounces:
        channels |= {
            "incoming": incoming(world, hit, numbers),
            "guide_place": hit.place - origin,
            "guide_normal": hit.normal,
        }
    flags = flags_of(world, hit, light)
    for name in layout.models:
        picture, flag = _FLOWS[name]
        (u, v), seen = follow(world, hit, hit.distance * lens.rays, numbers, name)
        channels[picture] = [u - lens.centres.x, v - lens.centres.y]
        flags |= dr.select(hit.found & ~seen, mi.UInt32(flag), 0)
    channels["flags"] = [flags]
    pictures = {name: placed(hit, name, rows, lens.pixels) for name, rows in channels.items()}
    dr.eval()
    # on the CPU NumPy uses the device's own memory, which goes back to the pool with the frame
    return {name: picture.numpy() for name, picture in pictures.items()}


def wanted(hit: Hit, light: Light, numbers: Numbers) -> dict[str, Any]:
    """The channels of the labels that the layout names, as far as they need no other eye."""
    ready = {
        "albedo": light.albedo,
        "shading": light.shading,
        "film": light.film,
        "texture_mm": hit.rest,
        "normal_camera": rotate_back(numbers("world_from_camera"), hit.normal),
    }
    return {name: ready[name] for name in numbers.layout.planes if name in ready}


def flags_of(world: World, hit: Hit, light: Light) -> Any:
    """What was met and how it shines, as bits."""
    flags = dr.select(hit.found, mi.UInt32(fixed.FOUND), 0)
    tissue, film = brightness(light.albedo * light.shading), brightness(light.film)
    flags |= dr.select(hit.found & (film > tissue), mi.UInt32(fixed.SPECULAR), 0)
    still = dr.gather(mi.UInt32, world.mesh.counts, 1)
    return flags | dr.select(hit.found & (hit.face >= still), mi.UInt32(fixed.MOVES), 0)


def brightness(colour: Any) -> Any:
    """Luminance of a linear colour."""
    red, green, blue = fixed.BRIGHTNESS
    return red * colour.x + green * colour.y + blue * colour.z


def placed(hit: Hit, name: str, channels: Any, pixels: Any) -> Any:
    """Write the channels of every lane to its pixel, channels last."""
    whole = name in ("meaning", "flags")
    kind = mi.UInt32 if whole else mi.Float
    count = len(channels)
    picture = dr.empty(kind, dr.width(pixels) * count)
    for k, channel in enumerate(channels):
        if not whole and name != "radiance":
            channel = dr.select(hit.found, channel, dr.nan)
        dr.scatter(picture, kind(channel), pixels * count + k, mode=dr.ReduceMode.Permute)
    return picture
