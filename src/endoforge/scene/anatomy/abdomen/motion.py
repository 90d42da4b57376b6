# SPDX-License-Identifier: Apache-2.0
"""How an abdomen moves: breathing, heartbeat, sagging, and the pull of a grasper.

All are displacements of space, smooth functions of the place at rest and of the frame. Whatever
touches at rest therefore stays together, and as long as space does not fold, nothing that was apart
runs into anything. The front wall stands still; the diaphragm moves with what hangs on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from endoforge.distributions import draw
from endoforge.errors import SceneError
from endoforge.scene.anatomy.abdomen.pulling import Grip, grip_of, way_at, within_reach
from endoforge.scene.anatomy.abdomen.settings import BodyMotionSettings
from endoforge.scene.anatomy.abdomen.volumes import Volume
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.pulls import Pull

_BREATH_REACH_MM = 290.0  # from the dome down to where nothing moves
_HEART_MM = 38.0
_WALL_MM = 28.0  # organs stop moving this close to the still wall
_LEAST_DETERMINANT = 0.05
_LEAST_SHARE = 1e-4  # what takes less part than this stands still


@dataclass(frozen=True, eq=False)
class Moves:
    """What is drawn about the motion of one abdomen.

    Attributes:
        frames_per_s: Frames per second.
        breath_mm: Way of the diaphragm's dome, mm, with its direction.
        breaths_per_s: Rate.
        beat_mm: Way at the heart, mm, with its direction.
        beats_per_s: Rate.
        phase: Of breath and beat at frame 0, shares of a period.
        sag_mm: How far the bowel hangs down, mm.
    """

    frames_per_s: float
    breath_mm: Float64[np.ndarray, "3"]
    breaths_per_s: float
    beat_mm: Float64[np.ndarray, "3"]
    beats_per_s: float
    phase: tuple[float, float]
    sag_mm: float


@dataclass(frozen=True, eq=False)
class BodyField:
    """The moving space of one abdomen.

    Attributes:
        room: The space inside the wall, as distances.
        top_mm: z of the diaphragm's dome.
        moves: Breath and heartbeat.
        pulls: Graspers.
    """

    room: Volume
    top_mm: float
    moves: Moves
    pulls: tuple[Pull, ...] = ()

    def weights(self, points_mm: Float[np.ndarray, "points 3"]) -> Float32[np.ndarray, "points 2"]:
        """Share of breath and heartbeat that a point at rest takes part in, 0 to 1."""
        points = np.asarray(points_mm, dtype=np.float64)
        shares = np.stack([self._breathing(points), self._beating(points)], axis=1)
        shares = shares.astype(np.float32)
        shares[shares < _LEAST_SHARE] = 0.0
        return np.asarray(shares, dtype=np.float32)

    def amplitudes_mm(self, frame: int) -> Float64[np.ndarray, "2 3"]:
        """How far breath and heartbeat have gone at a frame, mm."""
        moves = self.moves
        time = frame / moves.frames_per_s
        rows = [
            moves.breath_mm * breath_at(time * moves.breaths_per_s + moves.phase[0]),
            moves.beat_mm * beat_at(time * moves.beats_per_s + moves.phase[1]),
        ]
        return np.stack(rows)

    def moved(
        self, points_mm: Float[np.ndarray, "points 3"], frame: int
    ) -> Float64[np.ndarray, "points 3"]:
        """Where points that are given at rest are at a frame, world mm."""
        points = np.asarray(points_mm, dtype=np.float64)
        moved = points + self.weights(points).astype(np.float64) @ self.amplitudes_mm(frame)
        for pull in self.pulls:
            moved += grip_of(points, pull, self.room).displacement_mm(frame)
        return np.asarray(moved)

    def _breathing(self, points: Float64[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points"]:
        x, y, z = points.T
        depth = _step((z - self.top_mm) / _BREATH_REACH_MM + 1.0)
        front = _step((y + 10.0) / 50.0)
        still = front * (1.0 - _step(-self.room.at(points) / _WALL_MM))
        costal = self.top_mm - 75.0 - 0.3 * np.abs(x) + 0.35 * np.clip(y, -60.0, 90.0)
        dome = _step((z - costal) / 50.0)
        return np.asarray(depth * (1.0 - still * (1.0 - dome)))

    def _beating(self, points: Float64[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points"]:
        heart = np.array([-28.0, 22.0, self.top_mm - 8.0])
        away = ((points - heart) ** 2).sum(axis=1)
        return np.asarray(np.exp(-0.5 * away / _HEART_MM**2))


def breath_at(phase: float) -> float:
    """Share of the breath that is in the lungs, 0 at the end of breathing out to 1.

    Breathing in takes a third of the period, as ventilators are usually set.
    """
    turn = 2 * np.pi * phase
    return float((0.5 - 0.5 * np.cos(turn - 0.55 * np.sin(turn))) ** 1.3)


def beat_at(phase: float) -> float:
    """Share of the heart's push: a large wave and a small one in each period."""
    turn = 2 * np.pi * phase
    large = np.exp(7.0 * (np.cos(turn - 1.2) - 1.0))
    return float(large + 0.3 * np.exp(7.0 * (np.cos(turn - 3.4) - 1.0)))


def _step(t: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


@dataclass(frozen=True, eq=False)
class BodyMotion:
    """An abdomen's vertices in its moving space; a `scene.records.Motion`.

    Attributes:
        rest_mm: Vertices at rest, world.
        weights: Share of breath and heartbeat that a vertex takes part in.
        field: The moving space.
        wall: True for vertices of the wall, which no pull moves.
        held: For each pull the vertices within its reach, and how they follow.
        moving: True for every vertex that ever leaves its rest position.
    """

    rest_mm: Float32[np.ndarray, "vertices 3"]
    weights: Float32[np.ndarray, "vertices 2"]
    field: BodyField
    wall: Bool[np.ndarray, "vertices"]
    held: tuple[tuple[Int64[np.ndarray, "_"], Grip], ...]
    moving: Bool[np.ndarray, "vertices"]

    def vertices_at(self, frame: int) -> Float32[np.ndarray, "vertices 3"]:
        """World positions of all vertices at a frame, mm."""
        amplitudes = self.field.amplitudes_mm(frame).astype(np.float32)
        vertices = np.asarray(self.rest_mm + self.weights @ amplitudes, dtype=np.float32)
        for index, grip in self.held:
            vertices[index] += grip.displacement_mm(frame).astype(np.float32)
        return vertices

    def pulled(self, pulls: Sequence[Pull]) -> "BodyMotion":
        """The same abdomen with graspers that pull on it.

        Raises:
            SceneError: A pull is so far for its reach that tissue would fold over.
        """
        field = replace(self.field, pulls=tuple(pulls))
        _check_unfolded(field)
        return body_motion(self.rest_mm, field, self.wall)


def sample_moves(settings: BodyMotionSettings, rng: np.random.Generator) -> Moves:
    """Draw how one abdomen moves."""
    one, two = rng.uniform(0.0, 1.0, 2).tolist()
    return Moves(
        frames_per_s=settings.frames_per_s,
        breath_mm=draw(settings.breath_mm, rng) * unit(np.array([0.0, 0.18, -1.0])),
        breaths_per_s=draw(settings.breaths_per_min, rng) / 60.0,
        beat_mm=draw(settings.beat_mm, rng) * unit(np.array([0.2, -0.5, -0.8])),
        beats_per_s=draw(settings.beats_per_min, rng) / 60.0,
        phase=(one, two),
        sag_mm=draw(settings.sag_mm, rng),
    )


def body_motion(
    rest_mm: Float32[np.ndarray, "vertices 3"],
    field: BodyField,
    wall: Bool[np.ndarray, "vertices"],
) -> BodyMotion:
    """Let a surface's vertices move with a field.

    Args:
        rest_mm: World positions at rest.
        field: The moving space.
        wall: True for vertices that no pull moves.
    """
    weights = field.weights(rest_mm)
    moving = np.asarray((weights > 0).any(axis=1))
    held = []
    for pull in field.pulls:
        index = np.flatnonzero(within_reach(rest_mm, pull) & ~wall)
        held.append((index, grip_of(rest_mm[index], pull, field.room)))
        moving[index] = True
    return BodyMotion(rest_mm, weights, field, wall, tuple(held), moving)


def sagged(
    points_mm: Float32[np.ndarray, "vertices 3"],
    room: Volume,
    gravity: Float64[np.ndarray, "3"],
    sag_mm: float,
) -> Float32[np.ndarray, "vertices 3"]:
    """Where vertices come to rest when the bowel hangs down a tilted body.

    Args:
        points_mm: Vertices of an abdomen that lies flat.
        room: The space inside the wall, which stays where it is.
        gravity: Unit direction of gravity.
        sag_mm: How far the bowel moves at most, mm.
    """
    points = np.asarray(points_mm, dtype=np.float64)
    free = _step((-30.0 - points[:, 2]) / 70.0) * _step(-room.at(points) / 30.0)
    return np.asarray(points + sag_mm * free[:, None] * gravity, dtype=np.float32)


def _check_unfolded(field: BodyField) -> None:
    """Refuse a field whose space folds at one of the frames in which a pull is at its farthest."""
    for pull in field.pulls:
        points = pull.point_mm + pull.reach_mm * _BALL
        points = points[field.room.at(points) < 0]
        frame = int(np.argmax(np.linalg.norm(pull.displacement_mm, axis=1))) - 1
        slopes = [
            (field.moved(points + axis, frame) - field.moved(points - axis, frame)) / 2.0
            for axis in np.eye(3)
        ]
        least = float(np.linalg.det(np.stack(slopes, axis=2)).min(initial=1.0))
        if least < _LEAST_DETERMINANT:
            way, free = way_at(pull, frame), -float(field.room.at(pull.point_mm[None])[0])
            raise SceneError(
                f"a pull of {np.linalg.norm(way):.1f} mm with a reach of {pull.reach_mm:.1f} mm, "
                f"{free:.0f} mm from the wall, would fold the tissue (determinant {least:.2f}, at "
                f"least {_LEAST_DETERMINANT} is needed); pull less far or let more tissue follow"
            )


#: Points spread over a ball of radius 1.
_BALL = np.stack(np.meshgrid(*[np.linspace(-0.95, 0.95, 15)] * 3), axis=-1).reshape(-1, 3)
