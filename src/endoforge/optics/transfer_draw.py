# SPDX-License-Identifier: Apache-2.0
"""Transfer functions between and beside the stated ones: mixed, shifted, tinted, drawn."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import Choice, Drawable, draw
from endoforge.errors import SettingsError
from endoforge.optics.transfer import (
    BLUE,
    EXTINCTION,
    F0,
    RED,
    ROUGHNESS,
    STEEPEST,
    GradientRamp,
    OpticalCurve,
    TransferFunction,
    check_transfer,
    properties,
)
from endoforge.optics.transfer_file import preset, read_transfer
from endoforge.optics.transfer_settings import TransferSettings

#: A draw never leaves these: tissue swallows some light, and no film is a perfect mirror.
_MOST_ALBEDO, _LEAST_ROUGHNESS = 0.98, 0.02


@dataclass(frozen=True)
class TransferChange:
    """How one sequence's transfer function differs from the stated one.

    Attributes:
        hu_shift: Moves the curves up the Hounsfield scale, HU.
        extinction: Factor of the extinction.
        brightness: Factor of the albedo.
        hue_deg: Turns the albedo's colour, degrees; red goes towards yellow.
        saturation: Distance of the albedo from grey, times this.
        roughness: Factor of the roughness.
        f0: Factor of the reflectance.
        surfaces: Factor of `TransferFunction.surface_hu_per_mm`.
        anisotropy: In place of the function's own; None keeps that.
        steepness: Factor of both ends of the gradient's ramp, if the function has one.
        floor: In place of the ramp's own; None keeps that.
    """

    hu_shift: float = 0.0
    extinction: float = 1.0
    brightness: float = 1.0
    hue_deg: float = 0.0
    saturation: float = 1.0
    roughness: float = 1.0
    f0: float = 1.0
    surfaces: float = 1.0
    anisotropy: float | None = None
    steepness: float = 1.0
    floor: float | None = None


def sample_transfer(settings: TransferSettings, rng: np.random.Generator) -> TransferFunction:
    """Draw one transfer function from the ranges in the settings.

    Raises:
        SettingsError: A preset is not known, or nothing drawable comes out.
        DataError: The file cannot be read.
    """
    first = _picked(settings.preset, rng)
    base = preset(first) if settings.file is None else read_transfer(settings.file)
    if settings.blend_with is not None:
        base = blend(base, preset(_picked(settings.blend_with, rng)), draw(settings.blend, rng))
    if not settings.organs:
        base = replace(base, organs={})
    base = changed(base, _drawn(settings, rng))
    organs = {
        name: with_albedo(curve, draw(settings.organ_brightness, rng) * curve.albedo)
        for name, curve in sorted(base.organs.items())
    }
    if base.gradient is not None:
        base = replace(base, gradient=_ramp_changed(base.gradient, _ramp_drawn(settings, rng)))
    return check_transfer(replace(base, organs=organs))


def blend(first: TransferFunction, second: TransferFunction, share: float) -> TransferFunction:
    """Mix two transfer functions: at each of their points the extinctions are mixed linearly.

    Colour, roughness and reflectance follow the share that each has in the extinction there, so
    that what one function leaves empty takes nothing of its colour. An organ that only one of them
    names is mixed with the other's curve of no organ. Ramps over the gradient are mixed number by
    number; a function without one counts as a ramp that is 1 everywhere.

    Args:
        first: What share 0 gives.
        second: What share 1 gives.
        share: 0 to 1.

    Raises:
        SettingsError: The share is not within 0 to 1.
    """
    if not 0 <= share <= 1:
        raise SettingsError(
            f"the share of the second transfer function must be 0 to 1, got {share}"
        )
    if share in (0, 1):  # nothing of the other
        gradient = (first, second)[int(share)].gradient
    else:
        gradient = _ramps_mixed(first.gradient, second.gradient, share)
    names = sorted({*first.organs, *second.organs})
    return TransferFunction(
        name=f"{first.name} + {second.name}",
        curve=_mixed(first.curve, second.curve, share),
        organs={
            name: _mixed(
                first.organs.get(name, first.curve), second.organs.get(name, second.curve), share
            )
            for name in names
        },
        anisotropy=_between(first.anisotropy, second.anisotropy, share),
        surface_hu_per_mm=_between(first.surface_hu_per_mm, second.surface_hu_per_mm, share),
        about=f"{1 - share:.3g} of {first.name!r} and {share:.3g} of {second.name!r}.",
        gradient=gradient,
    )


def changed(transfer: TransferFunction, change: TransferChange) -> TransferFunction:
    """Shift, scale and tint a transfer function; properties stay within what matter can have."""
    anisotropy = transfer.anisotropy if change.anisotropy is None else change.anisotropy
    return replace(
        transfer,
        curve=_changed(transfer.curve, change),
        organs={name: _changed(curve, change) for name, curve in transfer.organs.items()},
        anisotropy=anisotropy,
        surface_hu_per_mm=transfer.surface_hu_per_mm * change.surfaces,
        gradient=transfer.gradient and _ramp_changed(transfer.gradient, change),
    )


def tinted(
    albedo: Float64[np.ndarray, "points 3"], hue_deg: float, saturation: float
) -> Float64[np.ndarray, "points 3"]:
    """Turn colours about grey and move them from it or towards it; their mean stays.

    Example:
        >>> tinted(np.array([[0.6, 0.3, 0.3]]), 120.0, 1.0).round(3).tolist()
        [[0.3, 0.6, 0.3]]
    """
    angle = math.radians(hue_deg)
    even = (1 - math.cos(angle)) / 3
    aside = math.sin(angle) / math.sqrt(3)
    turn = np.full((3, 3), even) + math.cos(angle) * np.eye(3)
    turn += aside * np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    grey = albedo.mean(axis=1, keepdims=True)
    coloured: Float64[np.ndarray, "points 3"] = grey + saturation * (albedo - grey) @ turn.T
    return coloured


def with_albedo(curve: OpticalCurve, albedo: Float64[np.ndarray, "points 3"]) -> OpticalCurve:
    """The same curve in another colour, held within 0 to just below 1."""
    return replace(curve, albedo=np.clip(albedo, 0, np.maximum(_MOST_ALBEDO, curve.albedo)))


# ---- inside -------------------------------------------------------------------------------------


def _picked(option: Any, rng: np.random.Generator) -> str:
    return str(option.pick(rng)) if isinstance(option, Choice) else option


def _drawn(settings: TransferSettings, rng: np.random.Generator) -> TransferChange:
    one: Callable[[Drawable], float] = lambda distribution: draw(distribution, rng)  # noqa: E731
    return TransferChange(
        hu_shift=one(settings.hu_shift),
        extinction=one(settings.extinction),
        brightness=one(settings.brightness),
        hue_deg=one(settings.hue_deg),
        saturation=one(settings.saturation),
        roughness=one(settings.roughness),
        f0=one(settings.f0),
        surfaces=one(settings.surfaces),
        anisotropy=None if settings.anisotropy is None else one(settings.anisotropy),
    )


def _ramp_drawn(settings: TransferSettings, rng: np.random.Generator) -> TransferChange:
    """Drawn last, and only for functions with a ramp: all others keep their random numbers."""
    steepness = draw(settings.steepness, rng)
    floor = None if settings.gradient_floor is None else draw(settings.gradient_floor, rng)
    return TransferChange(steepness=steepness, floor=floor)


def _ramp_changed(ramp: GradientRamp, change: TransferChange) -> GradientRamp:
    """Ends beyond what any scan holds are brought back, the ramp keeping its shape."""
    factor = min(change.steepness, STEEPEST / ramp.to_hu_per_mm)
    return GradientRamp(
        ramp.from_hu_per_mm * factor,
        ramp.to_hu_per_mm * factor,
        ramp.floor if change.floor is None else change.floor,
    )


def _ramps_mixed(
    first: GradientRamp | None, second: GradientRamp | None, share: float
) -> GradientRamp | None:
    some = first or second
    if some is None:
        return None
    even = replace(some, floor=1.0)
    one, other = first or even, second or even
    return GradientRamp(
        _between(one.from_hu_per_mm, other.from_hu_per_mm, share),
        _between(one.to_hu_per_mm, other.to_hu_per_mm, share),
        _between(one.floor, other.floor, share),
    )


def _changed(curve: OpticalCurve, change: TransferChange) -> OpticalCurve:
    roughness = np.clip(curve.roughness * change.roughness, _LEAST_ROUGHNESS, 1)
    moved = OpticalCurve(
        hu=curve.hu + change.hu_shift,
        extinction_per_mm=curve.extinction_per_mm * change.extinction,
        albedo=curve.albedo,
        roughness=np.where(change.roughness == 1, curve.roughness, roughness),
        f0=np.minimum(curve.f0 * change.f0, 1),
    )
    return with_albedo(
        moved, change.brightness * tinted(curve.albedo, change.hue_deg, change.saturation)
    )


def _mixed(first: OpticalCurve, second: OpticalCurve, share: float) -> OpticalCurve:
    """Extinctions add up; what else an event looks like is weighted by who extinguished."""
    hu = np.union1d(first.hu, second.hu)
    one, other = properties(first, hu), properties(second, hu)
    parts = np.stack([(1 - share) * one[:, EXTINCTION], share * other[:, EXTINCTION]])
    total = parts.sum(axis=0)
    plain = np.array([[1 - share], [share]])
    weights = np.where(total > 0, parts / np.where(total > 0, total, 1), plain)[..., None]
    values = weights[0] * one + weights[1] * other
    return OpticalCurve(
        hu=hu,
        extinction_per_mm=total,
        albedo=values[:, RED : BLUE + 1],
        roughness=values[:, ROUGHNESS],
        f0=values[:, F0],
    )


def _between(first: float, second: float, share: float) -> float:
    return (1 - share) * first + share * second
