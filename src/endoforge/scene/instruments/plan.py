# SPDX-License-Identifier: Apache-2.0
"""What an instrument is about to do: drawn into a record, then a pure function of time.

Time runs from 0 at the first frame to 1 at the last; a little before and after are asked for too.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from endoforge.distributions import Choice, draw
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.instruments.settings import ToolMotionSettings
from endoforge.scene.paths.targets import Target

_CLOSING = 0.12  # share of the sequence in which jaws close
_WAVES = 3


@dataclass(frozen=True, eq=False)
class Waves:
    """Smooth unsteadiness: sines of three axes added up, of root mean square 1.

    Attributes:
        cycles: Of each wave within the sequence.
        phase_rad: Of each wave and axis.
    """

    cycles: Float64[np.ndarray, "waves"]
    phase_rad: Float64[np.ndarray, "waves 3"]

    def at(self, time: Float[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames 3"]:
        """Displacement at each time, no unit."""
        angle = 2 * np.pi * self.cycles * time[:, None]
        waves = np.sin(angle[..., None] + self.phase_rad)
        return np.asarray(waves.sum(axis=1) * np.sqrt(2 / len(self.cycles)))


@dataclass(frozen=True, eq=False)
class ToolPlan:
    """Everything random about one instrument's motion.

    Attributes:
        behaviour: ``"work"``, ``"hold"``, ``"pull"`` or ``"retract"``.
        start_mm: How far from the target the tip is when it is away.
        start_side: Where it comes from, in the target's own frame (its normal is z).
        reach: Time at which the tip has reached the target, or begins to leave it.
        gap_mm: Distance that it keeps from tissue.
        wander_mm: Size of slow strokes.
        pull_mm: How far held tissue is drawn.
        pull_side: Which way, in the target's own frame.
        pull_reach_mm: Distance over which tissue around follows.
        tremor_mm: Root mean square of the tremor.
        roll_rad: Turn about the shaft at the start.
        roll_swing_rad: How far that turn swings.
        opening: Widest opening, 0 to 1.
        wrist_rad: How far the joints of a wrist swing.
        cycles: How often the jaws open and close, or the tip strokes.
        strokes: The slow strokes.
        tremor: The tremor.
    """

    behaviour: str
    start_mm: float
    start_side: Float64[np.ndarray, "3"]
    reach: float
    gap_mm: float
    wander_mm: float
    pull_mm: float
    pull_side: Float64[np.ndarray, "3"]
    pull_reach_mm: float
    tremor_mm: float
    roll_rad: float
    roll_swing_rad: float
    opening: float
    wrist_rad: float
    cycles: float
    strokes: Waves
    tremor: Waves


def sample_plan(settings: ToolMotionSettings, rng: np.random.Generator, seconds: float) -> ToolPlan:
    """Draw one instrument's motion.

    Args:
        settings: Ranges to draw from.
        rng: Random numbers of this instrument.
        seconds: Length of the sequence, which sets how many strokes and tremors fit into it.
    """
    behaviour = settings.behaviour
    word = behaviour.pick(rng) if isinstance(behaviour, Choice) else behaviour
    lateral = rng.normal(size=(2, 2))
    return ToolPlan(
        behaviour=word,
        start_mm=draw(settings.start_mm, rng),
        start_side=unit(np.array([*0.35 * lateral[0], 1.0])),
        reach=draw(settings.reach_share, rng),
        gap_mm=draw(settings.gap_mm, rng),
        wander_mm=draw(settings.wander_mm, rng),
        pull_mm=draw(settings.pull_mm, rng),
        pull_side=unit(np.array([*0.5 * lateral[1], 1.0])),
        pull_reach_mm=draw(settings.pull_reach_mm, rng),
        tremor_mm=draw(settings.tremor_mm, rng),
        roll_rad=np.deg2rad(draw(settings.roll_deg, rng)),
        roll_swing_rad=np.deg2rad(draw(settings.roll_swing_deg, rng)),
        opening=draw(settings.opening, rng),
        wrist_rad=np.deg2rad(draw(settings.wrist_deg, rng)),
        cycles=seconds * rng.uniform(0.25, 0.6),
        strokes=_sample_waves(rng, seconds, (0.1, 0.5)),
        tremor=_sample_waves(rng, seconds, (6.0, 11.0)),
    )


def _sample_waves(rng: np.random.Generator, seconds: float, hertz: tuple[float, float]) -> Waves:
    """Waves of a band of frequencies; a hand's tremor lies at 6 to 12 Hz.

    Source:
        Elble & Randall, *Mechanistic components of normal hand tremor*, 1978 (8 to 12 Hz).
    """
    return Waves(seconds * rng.uniform(*hertz, size=_WAVES), rng.uniform(0, 2 * np.pi, (_WAVES, 3)))


# ---- what follows from the record ---------------------------------------------------------------


def times(frames: int) -> Float64[np.ndarray, "frames_and_two"]:
    """Time of frames -1 to one past the last."""
    return np.arange(-1, frames + 1) / max(frames - 1, 1)


def ease(
    time: Float[np.ndarray, "frames"], start: float, end: float
) -> Float64[np.ndarray, "frames"]:
    """From 0 to 1 between two times with the least jerk.

    Source:
        Flash & Hogan, *The coordination of arm movements*, J. Neurosci. 1985.
    """
    t = np.clip((time - start) / max(end - start, 1e-6), 0.0, 1.0)
    return np.asarray(t**3 * (10 - 15 * t + 6 * t * t))


def nearness(plan: ToolPlan, time: Float[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames"]:
    """0 while the tip is away, 1 while it is at the target."""
    if plan.behaviour == "retract":
        return np.asarray(1 - ease(time, plan.reach, min(plan.reach + 0.5, 1.0)))
    return ease(time, 0.0, max(plan.reach, 0.02))


def grip(plan: ToolPlan, time: Float[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames"]:
    """0 while the jaws are open, 1 once they hold tissue; always 0 unless the tool pulls."""
    if plan.behaviour != "pull":
        return np.zeros(len(time))
    return ease(time, plan.reach, plan.reach + _CLOSING)


def tip_path(
    plan: ToolPlan, time: Float[np.ndarray, "frames"], target: Target, port: Target
) -> Float64[np.ndarray, "frames 3"]:
    """Where the tip is meant to be, before tissue stops it; world mm.

    It comes from between the target's own normal and the port, as hands bring tools in along their
    shafts.
    """
    world_from_target = frame_of(target)
    near = nearness(plan, time)[:, None]
    closing = plan.reach + _CLOSING
    strokes = plan.strokes.at(time)
    strokes[:, 2] = 0.6 * np.abs(strokes[:, 2])  # off the tissue, never into it
    size = {"work": plan.wander_mm, "pull": 0.3 * plan.wander_mm}.get(plan.behaviour, 0.3) / 1.4
    calm = 1 - grip(plan, time)[:, None] * (time[:, None] < closing)
    way = near * calm * size * strokes
    way[:, 2] += plan.gap_mm if plan.behaviour != "pull" else 0.2
    if plan.behaviour == "pull":
        drawn = ease(time, closing, max(1.0, closing + 0.2))[:, None]
        way = way + drawn * plan.pull_mm * plan.pull_side
    way = way + plan.tremor_mm * plan.tremor.at(time)
    to_port = unit(port.point_mm - target.point_mm)
    start = plan.start_mm * unit(world_from_target @ plan.start_side + 1.5 * to_port)
    return np.asarray(target.point_mm + way @ world_from_target.T + (1 - near) * start)


def roll_path(plan: ToolPlan, time: Float[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames"]:
    """Turn about the shaft, rad."""
    return np.asarray(plan.roll_rad + plan.roll_swing_rad * plan.strokes.at(0.7 * time)[:, 0] / 2)


def opening_path(
    plan: ToolPlan, time: Float[np.ndarray, "frames"]
) -> Float64[np.ndarray, "frames"]:
    """How far the jaws are open, 0 to 1."""
    if plan.behaviour == "pull":
        wide = 0.35 + 0.65 * plan.opening
        return np.asarray(wide * (1 - grip(plan, time)) + 0.1 * grip(plan, time))
    if plan.behaviour == "hold":
        return np.full(len(time), plan.opening)
    return np.asarray(plan.opening * 0.5 * (1 - np.cos(2 * np.pi * plan.cycles * time)))


def wrist_path(
    plan: ToolPlan, time: Float[np.ndarray, "frames"], number: int
) -> Float64[np.ndarray, "frames"]:
    """Angle of one of a wrist's joints, rad."""
    return np.asarray(
        plan.wrist_rad * plan.strokes.at(0.6 * time + 0.3 * number)[:, number % 3] / 2
    )


def frame_of(target: Target) -> Float64[np.ndarray, "3 3"]:
    """world_from_target: z along the target's normal."""
    z = target.normal
    x = np.cross(np.eye(3)[int(np.argmin(np.abs(z)))], z)
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
