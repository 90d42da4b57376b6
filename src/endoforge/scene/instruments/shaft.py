# SPDX-License-Identifier: Apache-2.0
"""Shafts, and the fork at their end that carries the jaws' pivot."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from endoforge.scene.instruments.solids import Solid, lathe, moved, of, skin

#: Turns a piece made about the z axis so that its axis is x.
_ALONG_X = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def shaft(diameter_mm: float, length_mm: float, material: str = "plastic") -> list[Solid]:
    """A long tube with a steel ferrule at its end, z from -length to 0.

    An insulated shaft has a sleeve that ends 9 mm before the ferrule's rim, with a bevel; a bare
    one has engraved rings there.
    """
    radius = diameter_mm / 2
    sleeve = np.array([(-length_mm, radius - 0.05), (-length_mm, radius), (-9.6, radius),
                       (-9.0, radius - 0.22), (-9.0, radius - 0.3)])  # fmt: skip
    if material == "steel":
        sleeve = np.concatenate([sleeve[:2], _grooves(radius, (-30.0, -28.6, -15.0)), sleeve[2:]])
    steps = np.array([-9.6, -6.4, -6.2, -5.9, -5.7, -0.5, 0.0])
    ferrule = radius - np.array([0.22, 0.22, 0.36, 0.36, 0.22, 0.22, 0.55])
    return [
        of(lathe(_finer(sleeve), 48), material),
        lathe(np.stack([steps, ferrule], axis=1), 48),
    ]


def fork(diameter_mm: float, pivot_mm: float, slot_mm: float, reach_mm: float = 2.2) -> list[Solid]:
    """Two prongs with a rivet through them, from the shaft's end to just past the pivot.

    Args:
        diameter_mm: Of the shaft.
        pivot_mm: z of the rivet.
        slot_mm: Room between the prongs.
        reach_mm: How far the prongs' round ends reach past the rivet.
    """
    radius = 0.96 * diameter_mm / 2
    prong = _prong(radius, slot_mm / 2, pivot_mm, reach_mm)
    rivet = lathe(
        np.array(
            [(-1.02, 0.3), (-1.0, 0.62), (-0.93, 0.78), (0.93, 0.78), (1.0, 0.62), (1.02, 0.3)]
        )
        * np.array([radius, 0.36 * radius]),
        24,
    )
    base = lathe(np.array([(-1.0, 0.9), (-0.2, 0.96), (0.28 * pivot_mm, 0.96)]) * [1, radius], 40)
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    to_pivot = _ALONG_X.copy()
    to_pivot[2, 3] = pivot_mm
    return [base, prong, moved(prong, mirror), of(moved(rivet, to_pivot), "steel", 0.7)]


def _prong(radius: float, inner: float, pivot_mm: float, reach_mm: float) -> Solid:
    """The part of a round bar beyond x = inner, ending in a half circle about the pivot."""
    turn = np.linspace(0.0, np.pi / 2 * 0.97, 10)
    z = np.concatenate([[0.05, 0.5 * pivot_mm, pivot_mm], pivot_mm + reach_mm * np.sin(turn[1:])])
    half = np.sqrt(radius**2 - inner**2) * 0.999
    height = np.concatenate([[half, half, half], np.minimum(half, half * np.cos(turn[1:]))])
    y = np.linspace(-1, 1, 13)[None] * height[:, None]
    bulge = np.sqrt(np.maximum(radius**2 - y**2, inner**2 + 1e-4))
    drop = np.linspace(0, 0.18, len(z)) * radius  # the outer face leans in towards the end
    outer = np.maximum(bulge - drop[:, None], inner + 0.25)
    arc = np.stack([outer, y, np.broadcast_to(z[:, None], y.shape)], axis=2)
    flat = np.stack([np.full_like(y, inner), y, np.broadcast_to(z[:, None], y.shape)], axis=2)
    return skin(np.concatenate([arc, flat[:, ::-1]], axis=1))


def _grooves(radius: float, at_mm: tuple[float, ...]) -> Float64[np.ndarray, "rows 2"]:
    shape = np.array([(-0.2, 0.0), (-0.15, -0.12), (0.15, -0.12), (0.2, 0.0)])
    return np.concatenate([shape + np.array([z, radius]) for z in at_mm])


def _finer(profile: Float64[np.ndarray, "rows 2"]) -> Float64[np.ndarray, "finer 2"]:
    """A row every 12 mm, so that nothing along a long shaft is judged by its far ends alone."""
    rows = [profile[:1]]
    for start, end in pairwise(profile):
        count = max(int(np.ceil(abs(end[0] - start[0]) / 12.0)), 1)
        rows.append(start + np.linspace(0, 1, count + 1)[1:, None] * (end - start))
    return np.concatenate(rows)
