# SPDX-License-Identifier: Apache-2.0
"""Tools that reach the colon through an endoscope's working channel: biopsy forceps and snare."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from endoforge.scene.instruments.assemble import Frame, PartPlan, assemble, joint
from endoforge.scene.instruments.jaws import HALF_TURN, cup
from endoforge.scene.instruments.records import Instrument, Joint
from endoforge.scene.instruments.shaft import fork
from endoforge.scene.instruments.solids import lathe, moved, of, wire

_LENGTH_MM = 90.0


def forceps(diameter_mm: float = 2.3) -> Instrument:
    """Biopsy forceps: a coiled sheath and two cups with scalloped rims."""
    d, pivot, cup_mm = diameter_mm, 1.1 * diameter_mm, 1.55 * diameter_mm
    coil = lathe(_coil(d), 22)
    upper = [moved(s, _at(pivot)) for s in cup(0.47 * d, cup_mm)]
    lower = [moved(s, _at(pivot) @ HALF_TURN) for s in cup(0.47 * d, cup_mm)]
    opening = joint("opening", (-1, 0, 0), (0, 0, pivot), (0.0, np.deg2rad(45.0)))
    closing = replace(opening, name="opening follower", axis=-opening.axis, mimic="opening")
    plans = [
        PartPlan("sheath", "tool shaft", [of(coil, "steel", 0.9)]),
        PartPlan("fork", "tool wrist", fork(d, pivot, 0.5 * d, 0.25 * d)),
        PartPlan("upper cup", "tool tip", upper, opening, "fork"),
        PartPlan("lower cup", "tool tip", lower, closing, "fork"),
    ]
    tip = pivot + 1.05 * cup_mm
    keypoints = {
        "tip": ("fork", (0.0, 0.0, tip)),
        "upper tip": ("upper cup", (0.0, 0.05 * d, tip)),
        "lower tip": ("lower cup", (0.0, -0.05 * d, tip)),
        "pivot": ("fork", (0.0, 0.0, pivot)),
        "shaft end": ("sheath", (0.0, 0.0, 0.0)),
    }
    return assemble(Frame("forceps", d, _LENGTH_MM, 0.5 * cup_mm), plans, keypoints)


def snare(diameter_mm: float = 2.4, loop_mm: float = 15.0) -> Instrument:
    """A snare: a loop of wire that narrows as it is drawn into a smooth sheath.

    Args:
        diameter_mm: Of the sheath.
        loop_mm: Width of the open loop.
    """
    r, length = diameter_mm / 2, 1.7 * loop_mm
    sheath = np.array([(-_LENGTH_MM + 9.0 * k, r) for k in range(10)] + [(-0.3, r), (0, r - 0.15)])
    share = np.linspace(0, np.pi, 37)
    half = np.sin(share) ** 0.8 * (1 + 0.25 * np.cos(share - 2.2))  # widest beyond the middle
    half = half * 0.5 * loop_mm / half.max()
    z = 1.0 + 0.5 * length * (1 - np.cos(share))
    right = np.stack([half + 0.16, 0 * z, z], axis=1)
    left = right[1:-1][::-1] * [-1, 1, 1]
    loop = np.concatenate([[(0.16, 0, -2.0)], right, left, [(-0.16, 0, -2.0)]])
    narrow = Joint("closing", "squeeze", np.array([1.0, 0, 0]), np.zeros(3), (0.0, 0.95))
    plans = [
        PartPlan("sheath", "tool shaft", [of(lathe(sheath, 28), "ceramic", 0.95)]),
        PartPlan("loop", "tool tip", [wire(loop, 0.22, 8)], narrow),
    ]
    keypoints = {
        "tip": ("loop", (0.0, 0.0, 1.0 + length)),
        "pivot": ("loop", (0.0, 0.0, 1.0)),
        "shaft end": ("sheath", (0.0, 0.0, 0.0)),
    }
    return assemble(Frame("snare", diameter_mm, _LENGTH_MM), plans, keypoints)


def _coil(diameter_mm: float) -> Float64[np.ndarray, "rows 2"]:
    """The ridges of a wound wire near the tip, smooth farther back."""
    z = np.arange(-18.0, -0.6, 0.1)
    ridges = np.stack([z, diameter_mm / 2 - 0.07 * (1 - np.abs(np.sin(np.pi * z / 0.4)))], 1)
    r = diameter_mm / 2
    back = np.array([(-_LENGTH_MM + 8.0 * k, r) for k in range(9)])
    return np.concatenate([back, ridges, [(-0.5, r), (0.0, r - 0.1)]])


def _at(pivot_mm: float) -> Float64[np.ndarray, "4 4"]:
    pose = np.eye(4)
    pose[2, 3] = pivot_mm
    return pose
