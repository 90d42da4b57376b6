# SPDX-License-Identifier: Apache-2.0
"""From places and directions to poses, and smooth random functions of time for unsteady hands."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.scene.anatomy.curves import unit


@dataclass(frozen=True, eq=False)
class Unrest:
    """A smooth random function of time in several directions, each of variance near 1.

    Attributes:
        frequency: Angular frequencies, radians per frame.
        phase: Phases, radians.
    """

    frequency: Float64[np.ndarray, "directions waves"]
    phase: Float64[np.ndarray, "directions waves"]

    def at(self, time: Float64[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames directions"]:
        """Its values, one row per time in frames."""
        waves = np.sin(time[:, None, None] * self.frequency + self.phase)
        return np.asarray(waves.sum(axis=2) * np.sqrt(2.0 / waves.shape[2]), dtype=np.float64)


def sample_unrest(
    rng: np.random.Generator, directions: int, periods: tuple[float, float]
) -> Unrest:
    """Draw a smooth random function.

    Args:
        rng: Random numbers.
        directions: How many functions at once.
        periods: Shortest and longest period, frames.
    """
    low, high = np.log(periods)
    period = np.exp(rng.uniform(low, high, (directions, 5)))
    return Unrest(2 * np.pi / period, rng.uniform(0, 2 * np.pi, (directions, 5)))


def in_disc(values: Float64[np.ndarray, "frames 2"]) -> Float64[np.ndarray, "frames 2"]:
    """Bring pairs of values smoothly into the unit disc."""
    return np.asarray(values / np.sqrt(1.0 + (values**2).sum(axis=1, keepdims=True)))


def in_range(values: Float64[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames"]:
    """Bring values of variance 1 smoothly between 0 and 1."""
    return np.asarray(0.5 + 0.5 * values / np.sqrt(1.0 + values**2))


def poses_looking(
    position_mm: Float64[np.ndarray, "frames 3"],
    ahead_mm: Float64[np.ndarray, "frames 3"],
    side: Float64[np.ndarray, "frames 3"],
    turn_rad: Float64[np.ndarray, "frames 2"],
    roll_rad: Float64[np.ndarray, "frames"],
) -> Float64[np.ndarray, "frames 4 4"]:
    """camera_from_world of cameras that look at points, turned a little, then rolled.

    Args:
        position_mm: Camera centres in the world, mm.
        ahead_mm: World points that an unturned camera has in its middle, mm.
        side: World directions that appear to the right at roll 0; not along the view.
        turn_rad: How far the view is turned away, to the right and downwards, rad.
        roll_rad: Rotation of the camera about its view, rad.
    """
    forward = unit(ahead_mm - position_mm)
    right = unit(side - (side * forward).sum(1, keepdims=True) * forward)
    down = np.cross(forward, right)
    angle = np.linalg.norm(turn_rad, axis=1, keepdims=True)
    across = (turn_rad[:, :1] * right + turn_rad[:, 1:] * down) / np.maximum(angle, 1e-12)
    turned = np.cos(angle) * forward + np.sin(angle) * across
    right = unit(right - (right * turned).sum(1, keepdims=True) * turned)
    down = np.cross(turned, right)
    c, s = np.cos(roll_rad)[:, None], np.sin(roll_rad)[:, None]
    rotation = np.stack([c * right + s * down, -s * right + c * down, turned], axis=1)
    poses = np.tile(np.eye(4), (len(position_mm), 1, 1))
    poses[:, :3, :3] = rotation
    poses[:, :3, 3] = -np.einsum("fij,fj->fi", rotation, position_mm)
    return poses


def centres_of(poses: Float64[np.ndarray, "frames 4 4"]) -> Float64[np.ndarray, "frames 3"]:
    """Where each camera is in the world, mm."""
    centres: np.ndarray = -np.einsum("fji,fj->fi", poses[:, :3, :3], poses[:, :3, 3])
    return centres
