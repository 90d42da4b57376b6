# SPDX-License-Identifier: Apache-2.0
"""The small sources beside the lens: where they sit, and how their light falls off."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from endoforge.distributions import draw
from endoforge.optics.lamp import Triple, lamp_colour
from endoforge.optics.settings import LightSettings, PlacedSource


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
    """Draw the sources: those at stated places, or a ring around the lens, evenly turned.

    The lamp and the narrowness of the beam are drawn once for all sources that do not state their
    own; of each source, its place and its strength.
    """
    shared = _Shared(
        mu=draw(settings.mu, rng),
        kelvin=draw(settings.kelvin, rng),
        white_kelvin=draw(settings.white_kelvin, rng),
        warmth=draw(settings.warmth, rng),
        equal_share=draw(settings.intensity, rng) / (len(settings.placed) or settings.sources),
    )
    if settings.placed:
        return tuple(_placed(source, shared, rng) for source in settings.placed)
    roll = rng.uniform(0, 2 * np.pi)
    turns = roll + 2 * np.pi * np.arange(settings.sources) / settings.sources
    return tuple(_in_ring(settings, float(turn), shared, rng) for turn in turns)


@dataclass(frozen=True)
class _Shared:
    """What all sources of a scope have in common."""

    mu: float
    kelvin: float
    white_kelvin: float
    warmth: float
    equal_share: float

    def colour(self, kelvin: float) -> Triple:
        red, green, blue = lamp_colour(kelvin, self.white_kelvin)
        return (red * (1 + self.warmth), green, blue * (1 - self.warmth))


def _in_ring(
    settings: LightSettings, turn: float, shared: _Shared, rng: np.random.Generator
) -> LightSource:
    outward = np.array([np.cos(turn), np.sin(turn), 0.0])
    tilt = np.deg2rad(draw(settings.tilt_deg, rng))
    place = draw(settings.offset_mm, rng) * outward
    behind = draw(settings.behind_mm, rng)
    return LightSource(
        position_mm=(float(place[0]), float(place[1]), -behind),
        axis=_triple(np.sin(tilt) * outward + np.cos(tilt) * np.array([0.0, 0.0, 1.0])),
        mu=shared.mu,
        intensity=shared.equal_share * draw(settings.balance, rng),
        colour=shared.colour(shared.kelvin),
    )


def _placed(source: PlacedSource, shared: _Shared, rng: np.random.Generator) -> LightSource:
    return LightSource(
        position_mm=(draw(source.x_mm, rng), draw(source.y_mm, rng), draw(source.z_mm, rng)),
        axis=_triple(np.asarray(source.axis) / np.linalg.norm(source.axis)),
        mu=shared.mu if source.mu is None else draw(source.mu, rng),
        intensity=shared.equal_share * draw(source.share, rng),
        colour=shared.colour(shared.kelvin if source.kelvin is None else draw(source.kelvin, rng)),
    )


def _triple(vector: Float[np.ndarray, "3"]) -> Triple:
    return float(vector[0]), float(vector[1]), float(vector[2])
