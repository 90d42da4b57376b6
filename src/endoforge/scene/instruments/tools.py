# SPDX-License-Identifier: Apache-2.0
"""Laparoscopic instruments, built from their sizes.

Sizes are own choices after common 5 and 10 mm instruments: shafts of 310 to 360 mm, jaws of 16 to
30 mm, clips of 8 mm. The tool frame is that of `records`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from endoforge.scene.instruments.assemble import Frame, PartPlan, assemble, joint
from endoforge.scene.instruments.jaws import (
    HALF_TURN,
    JawShape,
    clip_jaw,
    fenestrated_jaw,
    scissor_blade,
    solid_jaw,
)
from endoforge.scene.instruments.records import Instrument, Joint
from endoforge.scene.instruments.shaft import fork, shaft
from endoforge.scene.instruments.solids import Solid, lathe, moved, of, wire

_LENGTH_MM = 330.0


def grasper(diameter_mm: float = 5.0, steel_shaft: bool = False) -> Instrument:
    """A fenestrated grasper: two toothed jaws with a long window that open to 60 degrees."""
    d = diameter_mm
    shape = JawShape(length_mm=3.6 * d + 4, width_mm=0.92 * d, tip_width_mm=0.66 * d,
                     height_mm=0.43 * d, tip_height_mm=0.24 * d, tooth_mm=0.06 * d)  # fmt: skip
    window = (0.30 * shape.length_mm, shape.length_mm - 0.42 * d)
    upper, lower = fenestrated_jaw(shape, window), fenestrated_jaw(shape, window)
    return _two_jaws("grasper", d, shape, (upper, lower), steel_shaft)


def dissector(diameter_mm: float = 5.0, steel_shaft: bool = False) -> Instrument:
    """A Maryland dissector: two slim, toothed jaws bent to one side."""
    d = diameter_mm
    shape = JawShape(length_mm=3.6 * d, width_mm=0.74 * d, tip_width_mm=0.32 * d,
                     height_mm=0.40 * d, tip_height_mm=0.17 * d, pitch_mm=0.8, tooth_mm=0.05 * d,
                     bend_mm=1.0 * d)  # fmt: skip
    upper, lower = solid_jaw(shape), solid_jaw(replace(shape, bend_mm=-shape.bend_mm))
    return _two_jaws("dissector", d, shape, (upper, lower), steel_shaft)


def scissors(diameter_mm: float = 5.0, steel_shaft: bool = False) -> Instrument:
    """Curved scissors: two thin bevelled blades that slide past each other."""
    d = diameter_mm
    shape = JawShape(length_mm=3.4 * d, width_mm=0.8 * d, tip_width_mm=0.4 * d,
                     height_mm=0.42 * d, tip_height_mm=0.2 * d, bend_mm=0.7 * d)  # fmt: skip
    upper, lower = scissor_blade(shape), scissor_blade(replace(shape, bend_mm=-shape.bend_mm))
    return _two_jaws("scissors", d, shape, (upper, lower), steel_shaft)


def clipper(diameter_mm: float = 10.0, steel_shaft: bool = True) -> Instrument:
    """A clip applier with a clip between its jaws; the clip closes with them."""
    d, pivot, gap = diameter_mm, 1.0 * diameter_mm, 1.5
    shape = JawShape(length_mm=2.2 * d, width_mm=0.36 * d, tip_width_mm=0.24 * d,
                     height_mm=0.2 * d, tip_height_mm=0.14 * d)  # fmt: skip
    root, tip = pivot + shape.length_mm - 9.0, pivot + shape.length_mm
    upper = _placed(clip_jaw(shape), pivot, gap)
    lower = _placed(clip_jaw(shape), pivot, gap, lower=True)
    opening = joint("opening", (-1, 0, 0), (0, gap, pivot), (-0.055, 0.20))
    plans = [
        PartPlan("shaft", "tool shaft", shaft(d, _LENGTH_MM, _material(steel_shaft))),
        PartPlan("fork", "tool wrist", fork(d, pivot, 0.52 * d)),
        PartPlan("upper jaw", "tool tip", upper, opening, "fork"),
        PartPlan("lower jaw", "tool tip", lower, _mimic(opening, (0, -gap, pivot)), "fork"),
        PartPlan("clip bow", "clip", [_clip_bow(root, gap)], None, "fork"),
        PartPlan("upper leg", "clip", [_clip_leg(root, gap)],
                 _mimic(opening, (0, gap, root), -1.0), "fork"),
        PartPlan("lower leg", "clip", [_clip_leg(root, -gap)],
                 _mimic(opening, (0, -gap, root)), "fork"),
    ]  # fmt: skip
    keypoints = {
        "tip": ("fork", (0, 0, tip)),
        "upper tip": ("upper jaw", (0, gap + 0.3, tip)),
        "lower tip": ("lower jaw", (0, -gap - 0.3, tip)),
        "pivot": ("fork", (0, 0, pivot)),
        "shaft end": ("shaft", (0, 0, 0)),
        "clip": ("clip bow", (0, 0, root - 0.9 * gap)),
    }
    return assemble(Frame("clipper", d, _LENGTH_MM, 4.0), plans, keypoints)


def hook(diameter_mm: float = 5.0, steel_shaft: bool = False) -> Instrument:
    """An electrocautery hook: an L of wire that leaves a white ceramic cone."""
    r = diameter_mm / 2
    cone = np.array([(-6.0, 1.0), (1.2, 1.0), (1.6, 0.97), (9.2, 0.42), (9.7, 0.36), (9.9, 0.26)])
    turn = np.linspace(0, np.pi / 2, 9)
    bend = np.stack([0 * turn, 1.6 * (1 - np.cos(turn)), 14.6 + 1.6 * np.sin(turn)], axis=1)
    path = np.concatenate([[(0, 0, 8.0), (0, 0, 12.0)], bend, [(0, 3.2, 16.2), (0, 4.4, 16.2)]])
    radius = np.full(len(path), 0.42)
    radius[-2:] = 0.40, 0.24
    profile = [(-_LENGTH_MM + 12.0 * k, r) for k in range(28)] + [(-0.5, r), (0.0, r - 0.25)]
    sleeve = [of(lathe(np.array(profile), 48), _material(steel_shaft))]
    plans = [
        PartPlan("shaft", "tool shaft", sleeve),
        PartPlan("electrode", "tool tip", [of(lathe(cone * [1, 0.93 * r], 48), "ceramic"),
                                           wire(path, radius, 14)]),
    ]  # fmt: skip
    keypoints = {
        "tip": ("electrode", (0, 4.4, 16.2)),
        "heel": ("electrode", (0, 0.3, 15.9)),
        "pivot": ("electrode", (0, 0, 9.9)),
        "shaft end": ("shaft", (0, 0, 0)),
    }
    return assemble(Frame("hook", diameter_mm, _LENGTH_MM), plans, keypoints)


# ---- inside -------------------------------------------------------------------------------------


def _two_jaws(
    name: str,
    diameter_mm: float,
    shape: JawShape,
    jaws: tuple[list[Solid], list[Solid]],
    steel_shaft: bool,
) -> Instrument:
    pivot = 1.1 * diameter_mm
    opening = joint("opening", (-1, 0, 0), (0, 0, pivot), (0.0, np.deg2rad(30.0)))
    plans = [
        PartPlan("shaft", "tool shaft", shaft(diameter_mm, _LENGTH_MM, _material(steel_shaft))),
        PartPlan("fork", "tool wrist", fork(diameter_mm, pivot, 0.48 * shape.width_mm + 0.15)),
        PartPlan("upper jaw", "tool tip", _placed(jaws[0], pivot), opening, "fork"),
        PartPlan("lower jaw", "tool tip", _placed(jaws[1], pivot, lower=True),
                 _mimic(opening, (0, 0, pivot)), "fork"),
    ]  # fmt: skip
    tip = pivot + shape.length_mm
    keypoints = {
        "tip": ("fork", (shape.bend_mm, 0, tip)),
        "upper tip": ("upper jaw", (shape.bend_mm, 0, tip)),
        "lower tip": ("lower jaw", (shape.bend_mm, 0, tip)),
        "pivot": ("fork", (0, 0, pivot)),
        "shaft end": ("shaft", (0, 0, 0)),
    }
    grip = 0.0 if name == "scissors" else 0.25 * shape.length_mm
    return assemble(Frame(name, diameter_mm, _LENGTH_MM, grip), plans, keypoints)


def _mimic(leader: Joint, origin_mm: Sequence[float], sign: float = 1.0) -> Joint:
    """The other jaw's joint: turns the other way when the first turns."""
    low, high = leader.limits
    return replace(
        leader,
        name=f"{leader.name} follower {origin_mm[1]:g}",
        axis=-sign * leader.axis,
        origin_mm=np.array(origin_mm, dtype=np.float64),
        mimic=leader.name,
        limits=(low, high),
    )


def _placed(
    jaw: list[Solid], pivot_mm: float, gap_mm: float = 0.0, lower: bool = False
) -> list[Solid]:
    """A jaw at its pivot; the lower one upside down."""
    pose = HALF_TURN.copy() if lower else np.eye(4)
    pose[1:3, 3] = -gap_mm if lower else gap_mm, pivot_mm
    return [moved(solid, pose) for solid in jaw]


def _material(steel_shaft: bool) -> str:
    return "steel" if steel_shaft else "plastic"


def _clip_bow(root_mm: float, gap_mm: float) -> Solid:
    """The closed end of a clip."""
    turn = np.linspace(-np.pi / 2, np.pi / 2, 13)
    y, z = gap_mm * np.sin(turn), root_mm - 0.9 * gap_mm * np.cos(turn)
    return of(wire(np.stack([0 * y, y, z], axis=1), 0.42, 12), "titanium")


def _clip_leg(root_mm: float, height_mm: float) -> Solid:
    z = root_mm + np.linspace(-0.1, 8.0, 6)
    path = np.stack([0 * z, np.full_like(z, height_mm), z], axis=1)
    return of(wire(path, 0.42, 12), "titanium")
