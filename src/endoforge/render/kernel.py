# SPDX-License-Identifier: Apache-2.0
"""One picture in one compiled kernel: rays, the closest hit, light with shadows, and every label.

Whatever changes between frames enters as an array of numbers, so the kernel is compiled once per
lens model and number of lights. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np

from endoforge.render.buffers import LensBuffers, MeshBuffers
from endoforge.render.hits import Numbers, closest, follow
from endoforge.render.parameters import FOUND, HIDDEN, Layout
from endoforge.render.skin import shade

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


@dataclass(frozen=True, eq=False)
class Planes:
    """What one run of the kernel gives, each as one flat row, channels last."""

    radiance: np.ndarray
    depth: np.ndarray
    normal: np.ndarray
    flow: np.ndarray
    meaning: np.ndarray


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
