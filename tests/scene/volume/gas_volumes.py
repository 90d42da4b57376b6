# SPDX-License-Identifier: Apache-2.0
"""Small CTs whose gas is known: a body of 40 HU with hollows along curves, noise, soft edges."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from scipy.special import erf

from endoforge.scene.volume.records import CtVolume

SPACING = np.array([0.9, 0.9, 1.1])


def ct(signed_mm, shape=(110, 110, 110), noise=20.0, seed=0, spacing=SPACING):
    """A CT with gas where a signed distance to the wall is below 0; its body fills the middle."""
    world = np.diag([*spacing, 1.0])
    world[:3, 3] = -(np.array(shape) - 1) / 2 * spacing
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    points = grid * spacing + world[:3, 3]
    apart = signed_mm(points).reshape(shape)
    hu = -1000 + 1040 * 0.5 * (1 + erf(apart / (0.6 * spacing.mean()) / np.sqrt(2)))
    half = (np.array(shape) - 1) / 2 * spacing
    within = np.linalg.norm(points[:, :2] / half[:2], axis=1).reshape(shape) < 0.92
    hu = np.where(within, hu, -1000) + np.random.default_rng(seed).normal(0, noise, shape)
    return CtVolume(np.clip(hu, -1024, 3000).round().astype(np.int16), world)


def named(volume, kind):
    """The same CT with a mask that calls its gas an organ."""
    organs = np.where(volume.hu < -400, 3, 0).astype(np.uint8)
    return replace(volume, organs=organs, organ_names={3: kind})


def around(corners, radius_mm):
    """Signed distance to a tube about a chain of straight lines."""
    corners = [np.asarray(corner, dtype=float) for corner in corners]

    def signed(points):
        nearest = np.full(len(points), np.inf)
        for start, end in pairwise(corners):
            way = end - start
            share = np.clip((points - start) @ way / (way @ way), 0.0, 1.0)
            nearest = np.minimum(
                nearest, np.linalg.norm(points - start - share[:, None] * way, axis=1)
            )
        return nearest - radius_mm

    return signed


def around_ring(ring_mm, radius_mm, gap_rad=0.3):
    """Signed distance to a tube about a ring round y through the origin's plane, open at +x."""

    def signed(points):
        angle = np.arctan2(points[:, 2], points[:, 0]) % (2 * np.pi)
        angle = np.clip(angle, gap_rad, 2 * np.pi - gap_rad)
        return np.linalg.norm(points - on_ring(ring_mm, angle), axis=1) - radius_mm

    return signed


def on_ring(ring_mm, angle):
    """Points of that ring."""
    return ring_mm * np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)


def to_chain(points, corners):
    """Distance from points to a chain of straight lines."""
    return around(corners, 0.0)(points)
