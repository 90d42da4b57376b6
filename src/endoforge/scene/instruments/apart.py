# SPDX-License-Identifier: Apache-2.0
"""Whether instruments, or an instrument and a scope, run through each other: rods with round ends.

A part is stood for by the rod about its long axis that holds it, so what is apart here is apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.scene.instruments.records import Instrument
from endoforge.scene.paths.targets import Target

_INSET = 0.3  # share of the radius by which the axis is shorter than the part
_SCOPE_MM = 5.0  # half of the 10 mm that usual laparoscopes have
_SCOPE_LENGTH_MM = 300.0


@dataclass(frozen=True, eq=False)
class Rods:
    """Rods with round ends over time.

    Attributes:
        start_mm: One end of each, world mm.
        end_mm: The other.
        radius_mm: Half their thickness.
    """

    start_mm: Float64[np.ndarray, "frames rods 3"]
    end_mm: Float64[np.ndarray, "frames rods 3"]
    radius_mm: Float64[np.ndarray, "rods"]

    def gap_mm(self, other: "Rods") -> Float64[np.ndarray, "frames"]:
        """The least gap between any two rods at each frame, below 0 where they overlap."""
        first, second = self.start_mm[:, :, None], other.start_mm[:, None]
        apart = segment_gap(
            first, self.end_mm[:, :, None] - first, second, other.end_mm[:, None] - second
        )
        thick = self.radius_mm[:, None] + other.radius_mm[None]
        return np.asarray((apart - thick).min(axis=(1, 2)))


def tool_rods(
    instrument: Instrument, port: Target, world_from_rest: Float64[np.ndarray, "frames parts 4 4"]
) -> Rods:
    """An instrument as rods; of its shaft what lies behind the port does not count.

    Args:
        instrument: The tool at rest.
        port: Where its shaft enters.
        world_from_rest: Poses of its parts.
    """
    starts, ends, radii = [], [], []
    for number, part in enumerate(instrument.parts):
        own = instrument.surface.vertices_mm[slice(*part.vertices)].astype(np.float64)
        if not len(own):  # a joint without a body of its own
            continue
        middle = 0.5 * (own.min(axis=0) + own.max(axis=0))
        radius = float(np.linalg.norm(own[:, :2] - middle[:2], axis=1).max())
        low, high = own[:, 2].min(), own[:, 2].max()
        inner = min(_INSET * radius, 0.5 * float(high - low))
        places = np.array([[*middle[:2], low + inner], [*middle[:2], high - inner]])
        pose = world_from_rest[:, number]
        start, end = (pose[:, :3, :3] @ place + pose[:, :3, 3] for place in places)
        if part.kind == "tool shaft":
            start = np.broadcast_to(port.point_mm, start.shape)
        starts.append(start)
        ends.append(end)
        radii.append(radius)
    return Rods(np.stack(starts, axis=1), np.stack(ends, axis=1), np.array(radii))


def scope_rods(world_from_shaft: Float64[np.ndarray, "frames 4 4"]) -> Rods:
    """A laparoscope as a rod from its lens back along its shaft.

    Args:
        world_from_shaft: Pose of the shaft: origin at the lens, z outwards.
    """
    lens, out = world_from_shaft[:, :3, 3], world_from_shaft[:, :3, 2]
    start = lens - _SCOPE_MM * out
    return Rods((lens - _SCOPE_LENGTH_MM * out)[:, None], start[:, None], np.array([_SCOPE_MM]))


def least_gap(one: Rods, others: Sequence[Rods]) -> float:
    """The least gap to any of several at any frame, mm; infinite if there are none."""
    return min((float(one.gap_mm(other).min()) for other in others), default=float("inf"))


def segment_gap(
    start_a: Float64[np.ndarray, "*#any 3"],
    way_a: Float64[np.ndarray, "*#any 3"],
    start_b: Float64[np.ndarray, "*#any 3"],
    way_b: Float64[np.ndarray, "*#any 3"],
) -> Float64[np.ndarray, "*#any"]:
    """Distance between two segments.

    Source:
        Ericson, *Real-time collision detection*, 2005, section 5.1.9.
    """
    between = start_a - start_b
    aa, bb, ab = (way_a**2).sum(-1), (way_b**2).sum(-1), (way_a * way_b).sum(-1)
    a0, b0 = (way_a * between).sum(-1), (way_b * between).sum(-1)
    aa, bb = np.maximum(aa, 1e-12), np.maximum(bb, 1e-12)
    whole = aa * bb - ab * ab
    askew = whole > 1e-9 * aa * bb
    s = np.where(askew, (ab * b0 - a0 * bb) / np.where(askew, whole, 1.0), 0.0).clip(0, 1)
    t = ((ab * s + b0) / bb).clip(0, 1)
    s = ((ab * t - a0) / aa).clip(0, 1)
    away = between + s[..., None] * way_a - t[..., None] * way_b
    return np.asarray(np.sqrt((away**2).sum(-1)))
