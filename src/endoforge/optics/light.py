# SPDX-License-Identifier: Apache-2.0
"""The small sources beside the lens: where they sit, and how their light falls off."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from endoforge.distributions import draw
from endoforge.optics.settings import LightSettings

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class LightSource:
    """One near-field source, fixed to the camera.

    Attributes:
        position_mm: In the camera frame, mm.
        axis: Unit direction of the beam in the camera frame.
        mu: Narrowness of the beam, 0 for equal light in all directions.
        intensity: Radiant intensity along the axis, sensor units times mm² per steradian.
        colour: Linear RGB factors of the lamp, around 1.
    """

    position_mm: Triple = (0.0, 0.0, 0.0)
    axis: Triple = (0.0, 0.0, 1.0)
    mu: float = 1.5
    intensity: float = 1200.0
    colour: Triple = (1.0, 1.0, 1.0)


def irradiance(
    light: LightSource, points_mm: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch"]:
    """Light that falls on a surface facing the source: I exp(-mu (1 - cos angle)) / d².

    Args:
        light: The source.
        points_mm: Camera frame, mm.

    Returns:
        Sensor units; multiply by the cosine of incidence and by `light.colour`.

    Source:
        Batlle, Montiel, Tardós, *Photometric single-view dense 3D reconstruction in endoscopy*,
        IROS 2022, equation 2.

    Example:
        >>> irradiance(LightSource(intensity=100.0), np.array([[0.0, 0.0, 10.0]])).item()
        1.0
    """
    away = points_mm - np.asarray(light.position_mm)
    squared = np.sum(away**2, axis=-1)
    cosine = away @ np.asarray(light.axis) / np.sqrt(squared)
    result: Float[np.ndarray, "*batch"] = (
        light.intensity * np.exp(-light.mu * (1 - cosine)) / squared
    )
    return result


def sample_lights(settings: LightSettings, rng: np.random.Generator) -> tuple[LightSource, ...]:
    """Draw the sources around the lens: evenly turned, with one roll and one lamp for all."""
    roll = rng.uniform(0, 2 * np.pi)
    mu = draw(settings.mu, rng)
    share = draw(settings.intensity, rng) / settings.sources
    warmth = draw(settings.warmth, rng)
    lights = []
    for k in range(settings.sources):
        turn = roll + 2 * np.pi * k / settings.sources
        offset = draw(settings.offset_mm, rng)
        lights.append(
            LightSource(
                position_mm=(float(offset * np.cos(turn)), float(offset * np.sin(turn)), 0.0),
                mu=mu,
                intensity=share * draw(settings.balance, rng),
                colour=(1 + warmth, 1.0, 1 - warmth),
            )
        )
    return tuple(lights)
