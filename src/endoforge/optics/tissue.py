# SPDX-License-Identifier: Apache-2.0
"""What tissue is made of, as a record of numbers, and the reflection laws that use them.

The functions here are the reference in NumPy; `render.surface` holds the same laws as a kernel.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from endoforge.distributions import draw
from endoforge.optics.settings import Pattern, TissueSettings

Rgb = tuple[float, float, float]
Alpha = float | Float[np.ndarray, "..."]

#: Light that comes back through a deep vein and through a shallow vessel, per colour channel.
COARSE_TRANSMISSION: Rgb = (0.55, 0.50, 0.72)
FINE_TRANSMISSION: Rgb = (0.66, 0.18, 0.20)

#: The film of a dry patch is 2 to this power times rougher than the mean, of a pool smoother.
FILM_SPAN_LOG2 = 2.0

_MOST = 0.95  # of the light comes back, at best


@dataclass(frozen=True)
class Tissue:
    """How a surface looks, before a mesh multiplies the albedo by its tint.

    Attributes:
        albedo: Share of the light that comes back, linear RGB, 0 to 1.
        coarse_vessels: Absorption of the deep, bluish vessels, 0 to 1.
        fine_vessels: Absorption of the shallow, red vessels, 0 to 1.
        mottling: Depth of the blotches in the albedo, 0 to 1.
        relief: Root mean square slope of the fine relief, mm per mm.
        roughness: GGX roughness (alpha) of the wet film, 0 to 1.
        f0: Share of light that the film reflects when hit squarely.
        softness: How far light creeps past the terminator, per colour channel, cosine units.
        edge_glow: How much brighter tissue is at grazing view, where light leaks out sideways.
        interreflection: Share of once-reflected light that reaches the wall again.
        tile_mm: Period of the pattern, mm.
        texture_seed: Which pattern of its kind; see `optics.texture`.
        pattern: Kind of pattern; with the seed it names one picture for `texture.tissue_texture`.
        film_variation: How unevenly the film lies, 0 to 1; see `film_roughness`.
        film_colour: Multiplies f0, linear RGB; white but for metals.
    """

    albedo: Rgb = (0.66, 0.25, 0.16)
    coarse_vessels: float = 0.4
    fine_vessels: float = 0.5
    mottling: float = 0.15
    relief: float = 0.12
    roughness: float = 0.06
    f0: float = 0.025
    softness: Rgb = (0.5, 0.3, 0.25)
    edge_glow: float = 0.6
    interreflection: float = 0.35
    tile_mm: float = 64.0
    texture_seed: int = 0
    pattern: Pattern = "mucosa"
    film_variation: float = 0.0
    film_colour: Rgb = (1.0, 1.0, 1.0)


def sample_tissue(settings: TissueSettings, rng: np.random.Generator) -> Tissue:
    """Draw one tissue from the ranges in the settings."""
    red = draw(settings.red, rng)
    green = red * draw(settings.green_of_red, rng)
    blue = green * draw(settings.blue_of_green, rng)
    softness = draw(settings.softness, rng)
    albedo = (min(red, _MOST), min(green, _MOST), min(blue, _MOST))
    f0 = normal_reflectance(draw(settings.refraction, rng))
    return Tissue(
        albedo=albedo,
        coarse_vessels=draw(settings.coarse_vessels, rng),
        fine_vessels=draw(settings.fine_vessels, rng),
        mottling=draw(settings.mottling, rng),
        relief=draw(settings.relief, rng),
        roughness=draw(settings.roughness, rng),
        f0=f0 if settings.reflectance is None else draw(settings.reflectance, rng),
        softness=(softness, 0.6 * softness, 0.5 * softness),
        edge_glow=draw(settings.edge_glow, rng),
        interreflection=draw(settings.interreflection, rng),
        tile_mm=draw(settings.tile_mm, rng),
        texture_seed=int(rng.integers(settings.textures)),
        pattern=settings.pattern,
        film_variation=draw(settings.wetness, rng),
        film_colour=settings.film_colour,
    )


def normal_reflectance(refractive_index: float) -> float:
    """Share of light that a film in air reflects when hit squarely (Fresnel).

    Example:
        >>> round(normal_reflectance(1.33), 4)
        0.0201
    """
    return ((refractive_index - 1) / (refractive_index + 1)) ** 2


def ggx_density(cos_half: Float[np.ndarray, "..."], alpha: Alpha) -> Float[np.ndarray, "..."]:
    """How many facets of a rough film point along the half vector, per steradian.

    Args:
        cos_half: Cosine between the mean normal and the half vector, 0 to 1.
        alpha: GGX roughness.

    Source:
        Walter et al., *Microfacet models for refraction*, EGSR 2007, equation 33.
    """
    squared = alpha * alpha
    return squared / (np.pi * (cos_half**2 * (squared - 1) + 1) ** 2)


def smith_visibility(
    cos_in: Float[np.ndarray, "..."], cos_out: Float[np.ndarray, "..."], alpha: Alpha
) -> Float[np.ndarray, "..."]:
    """Masking and shadowing of facets, already divided by 4 cos_in cos_out.

    Source:
        Heitz, *Understanding the masking-shadowing function*, JCGT 2014, equation 99 with 72
        (height-correlated Smith term for GGX).
    """
    squared = alpha * alpha
    toward_light = cos_out * np.sqrt(cos_in**2 * (1 - squared) + squared)
    toward_camera = cos_in * np.sqrt(cos_out**2 * (1 - squared) + squared)
    result: Float[np.ndarray, "..."] = 0.5 / np.maximum(toward_light + toward_camera, 1e-6)
    return result


def schlick_fresnel(cos_half_out: Float[np.ndarray, "..."], f0: Alpha) -> Float[np.ndarray, "..."]:
    """Share of light that the film reflects, rising to 1 at grazing angles.

    Source:
        Schlick, *An inexpensive BRDF model*, Eurographics 1994, equation 15.
    """
    return f0 + (1 - f0) * (1 - cos_half_out) ** 5


def film_roughness(
    roughness: float, variation: float, film: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """GGX roughness of a film that lies unevenly, so that highlights break up as on wet tissue.

    Args:
        roughness: Of the mean film.
        variation: 0 for an even film, 1 for one from a quarter to four times as rough.
        film: What the pattern's channel `texture.FILM` says, 0 a pool to 1 a dry patch.
    """
    uneven: Float[np.ndarray, "..."] = roughness * np.exp2(
        FILM_SPAN_LOG2 * variation * (2 * film - 1)
    )
    return uneven


def soft_cosine(
    cos_in: Float[np.ndarray, "..."], softness: Float[np.ndarray, "..."] | float
) -> Float[np.ndarray, "..."]:
    """The cosine law with a terminator that light creeps past, as it does in tissue.

    With softness 0 it is Lambert's max(cos, 0). It stands for subsurface scattering, which the
    surface renderer does not trace, and keeps the energy of Lambert's law.

    Source:
        Wrapped diffuse lighting, normalised: McAuley, *Energy-conserving wrapped diffuse* (2013).
    """
    wrapped: Float[np.ndarray, "..."] = np.maximum(cos_in + softness, 0) / (1 + softness) ** 2
    return wrapped


def edge_gain(cos_out: Float[np.ndarray, "..."], edge_glow: float) -> Float[np.ndarray, "..."]:
    """Factor by which diffuse light grows towards grazing view: 1 where the camera looks squarely.

    Light that entered tissue beside a fold's rim leaves through the rim, so that folds have soft,
    bright edges instead of the dark outline of Lambert's law. An imitation, not a measurement.
    """
    return 1 + edge_glow * (1 - cos_out) ** 3
