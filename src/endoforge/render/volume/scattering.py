# SPDX-License-Identifier: Apache-2.0
"""Where light goes after a collision: off a surface, or on through tissue.

A surface is a rough dielectric film (GGX with Smith's separable shadowing and Schlick's Fresnel)
over a Lambertian body. Light that the film does not mirror enters the body, so nothing is lost and
nothing gained: with an albedo of 1 a surface sends back all that it gets. Inside tissue light turns
by Henyey and Greenstein's phase function. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render.volume.chance import Chance

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: Smoother films are taken for this rough: the picture of a light would be a point.
LEAST_ROUGHNESS = 0.03
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Scatterer:
    """What a photon has hit.

    Attributes:
        surface: True where it acts as a surface, False where as tissue.
        frame: Around the normal, on the side that the light came from (of a surface).
        back: Towards where the light came from, in that frame (of a surface).
        forward: The way the light flies.
        albedo: Share of the light that is scattered, by the body.
        roughness: GGX alpha of the film.
        f0: What the film mirrors when hit squarely.
        g: Mean cosine of the phase function.
    """

    surface: Any
    frame: Any
    back: Any
    forward: Any
    albedo: Any
    roughness: Any
    f0: Any
    g: Any


@dataclass(frozen=True, eq=False)
class Facet:
    """A small mirror of the film, drawn among those that the light sees.

    Attributes:
        mirrored: Where it sends the light, in the surface's frame.
        share: How much of the light it sends there.
    """

    mirrored: Any
    share: Any


def scatterer(
    gradient: Any, surface: Any, forward: Any, looks: tuple[Any, Any, Any], g: Any
) -> Any:
    """Put together what a photon has hit.

    Args:
        gradient: Of HU, of any length above 0.
        surface: True where it acts as a surface.
        forward: The way the light flies.
        looks: Albedo, roughness and f0.
        g: Mean cosine of the phase function.
    """
    normal = dr.select(surface, gradient * dr.rsqrt(dr.squared_norm(gradient) + _TINY), -forward)
    normal = dr.select(dr.dot(normal, forward) > 0, -normal, normal)
    frame = mi.Frame3f(normal)
    back = frame.to_local(-forward)
    back.z = dr.maximum(back.z, 1e-4)
    albedo, roughness, f0 = looks
    return Scatterer(
        surface, frame, back, forward, albedo, dr.maximum(roughness, LEAST_ROUGHNESS), f0, g
    )


def draw_facet(hit: Scatterer, u: Any, v: Any) -> Facet:
    """Draw a facet in proportion to how much of it the light sees.

    Source:
        Dupuy, Benyoub, *Sampling visible GGX normals with spherical caps*, HPG 2023, listing 3.
    """
    a, w = hit.roughness, hit.back
    stretched = dr.normalize(mi.Vector3f(a * w.x, a * w.y, w.z))
    z = dr.fma(1 - v, 1 + stretched.z, -stretched.z)
    sine = dr.safe_sqrt(1 - z * z)
    sin_phi, cos_phi = dr.sincos(dr.two_pi * u)
    cap = mi.Vector3f(sine * cos_phi, sine * sin_phi, z) + stretched
    facet = dr.normalize(mi.Vector3f(a * cap.x, a * cap.y, dr.maximum(cap.z, _TINY)))
    cosine = dr.dot(facet, w)
    mirrored = 2 * cosine * facet - w
    share = fresnel(hit.f0, cosine) * _unshadowed(mirrored.z, a)
    return Facet(mirrored, dr.select(mirrored.z > 0, share, 0))


def reflected(hit: Scatterer, facet: Facet, toward: Any) -> Any:
    """Light sent into a direction, per light received from the way it came.

    Args:
        hit: What was hit.
        facet: Drawn by `draw_facet`: it stands for the whole film where the body's share of the
            light is concerned.
        toward: Where to, unit, along the grid's axes.

    Returns:
        BRDF times cosine or phase function, per colour.
    """
    way = hit.frame.to_local(toward)
    mu = dr.maximum(way.z, 0)
    middle = dr.normalize(way + hit.back)
    cosine = dr.maximum(dr.dot(middle, hit.back), _TINY)
    mirror = fresnel(hit.f0, cosine) * _unshadowed(mu, hit.roughness)
    film = _seen(hit, middle.z) * mirror
    body = hit.albedo * ((1 - facet.share) * mu * dr.inv_pi)
    off = dr.select(way.z > 0, body + film, 0)
    return dr.select(hit.surface, off, hit.albedo * phase(hit.g, dr.dot(hit.forward, toward)))


def drawn_density(hit: Scatterer, toward: Any) -> Any:
    """About how densely `draw_direction` draws a direction, 1/sr: by the film's usual share."""
    way = hit.frame.to_local(toward)
    middle = dr.normalize(way + hit.back)
    mirror = fresnel(hit.f0, hit.back.z)
    off = dr.lerp(way.z * dr.inv_pi, _seen(hit, middle.z), mirror)
    off = dr.select(way.z > 0, off, 0)
    return dr.select(hit.surface, off, phase(hit.g, dr.dot(hit.forward, toward)))


def draw_direction(hit: Scatterer, facet: Facet, random: Chance) -> tuple[Any, Any]:
    """Draw where the light goes on.

    Returns:
        The direction, and what it keeps of its light, per colour.
    """
    u, v = random.next(), random.next()
    mirror = hit.surface & (random.next() < facet.share)
    diffuse = mi.warp.square_to_cosine_hemisphere(mi.Point2f(u, v))
    off = hit.frame.to_world(dr.select(mirror, facet.mirrored, diffuse))
    g = hit.g
    even = dr.abs(g) < 1e-3
    safe = dr.select(even, 1.0, g)
    square = dr.square((1 - g * g) * dr.rcp(1 - g + 2 * g * u))
    cosine = dr.select(even, 1 - 2 * u, (1 + g * g - square) * dr.rcp(2 * safe))
    cosine = dr.clip(cosine, -1, 1)
    sine = dr.safe_sqrt(1 - cosine * cosine)
    sin_phi, cos_phi = dr.sincos(dr.two_pi * v)
    on = mi.Frame3f(hit.forward).to_world(mi.Vector3f(sine * cos_phi, sine * sin_phi, cosine))
    return dr.select(hit.surface, off, on), dr.select(mirror, mi.Color3f(1), hit.albedo)


def fresnel(f0: Any, cosine: Any) -> Any:
    """Reflectance of a film by Schlick's approximation."""
    away = dr.clip(1 - cosine, 0, 1)
    square = away * away
    return dr.fma(1 - f0, square * square * away, f0)


def phase(g: Any, cosine: Any) -> Any:
    """Henyey and Greenstein's phase function, 1/sr."""
    base = dr.maximum(1 + g * g - 2 * g * cosine, 1e-6)
    return dr.inv_four_pi * (1 - g * g) * dr.rcp(base * dr.sqrt(base))


def _seen(hit: Scatterer, cosine: Any) -> Any:
    """How densely the directions mirrored by facets that the light sees lie, 1/sr."""
    a2 = dr.square(hit.roughness)
    density = a2 * dr.inv_pi * dr.rcp(dr.square(dr.fma(cosine * cosine, a2 - 1, 1)))
    return density * _unshadowed(hit.back.z, hit.roughness) * dr.rcp(4 * hit.back.z)


def _unshadowed(cosine: Any, roughness: Any) -> Any:
    """Smith's share of facets that are not hidden by others."""
    c2 = dr.maximum(cosine * cosine, 1e-12)
    return 2 * dr.rcp(1 + dr.sqrt(1 + roughness * roughness * (1 - c2) * dr.rcp(c2)))
