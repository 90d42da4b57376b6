# SPDX-License-Identifier: Apache-2.0
"""What grows on each kind of surface: vessels, blotches, patches, relief and a film.

Each kind is a function of random numbers alone. The planes are read by the tissue's colour model:
coarse vessels are bluish, fine ones red, blotches lighten and darken, patches redden and deepen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from endoforge.optics.fields import (
    SIZE,
    Tile,
    bent,
    blurred,
    cells,
    contrast,
    noise,
    ring_noise,
)
from endoforge.optics.settings import Pattern
from endoforge.optics.vessels import VesselPlan, draw, grow


@dataclass(frozen=True, eq=False)
class Planes:
    """One pattern before it becomes a pyramid.

    Attributes:
        coarse: Deep, wide vessels, 0 to 1.
        fine: Shallow, narrow vessels, 0 to 1.
        blotch: Light and dark, 0 to 1 around 0.5.
        patch: Where the tissue is redder and deeper, 0 to 1.
        height: Relief in any unit; its slopes are scaled afterwards.
        film: Where the wet film lies, 0 a pool to 1 a dry patch.
    """

    coarse: Tile
    fine: Tile
    blotch: Tile
    patch: Tile
    height: Tile
    film: Tile


# ---- vessels; lengths are fractions of the tile ----

_MUCOSA_COARSE = VesselPlan(
    roots=4,
    thirsty=150,
    reached=0.06,
    stride=0.012,
    wobble=0.30,
    leaf_width=0.0050,
    most_width=0.016,
)
_MUCOSA_FINE = VesselPlan(
    roots=22,
    thirsty=2600,
    reached=0.012,
    stride=0.006,
    wobble=0.40,
    leaf_width=0.0015,
    most_width=0.0080,
)
_SEROSA_COARSE = VesselPlan(
    roots=2,
    thirsty=60,
    reached=0.09,
    stride=0.012,
    wobble=0.20,
    leaf_width=0.0030,
    most_width=0.011,
)
_SEROSA_FINE = VesselPlan(
    roots=3,
    thirsty=1500,
    reached=0.016,
    stride=0.006,
    wobble=0.34,
    leaf_width=0.0010,
    most_width=0.0070,
)
_LINING_FINE = VesselPlan(
    roots=9,
    thirsty=1800,
    reached=0.014,
    stride=0.006,
    wobble=0.45,
    leaf_width=0.0011,
    most_width=0.0050,
)
_FAT_FINE = VesselPlan(
    roots=6,
    thirsty=420,
    reached=0.03,
    stride=0.009,
    wobble=0.40,
    leaf_width=0.0018,
    most_width=0.0090,
)
_SPARSE = VesselPlan(
    roots=5,
    thirsty=160,
    reached=0.05,
    stride=0.009,
    wobble=0.28,
    leaf_width=0.0012,
    most_width=0.0050,
)


def _vessels(plan: VesselPlan, rng: np.random.Generator, blur: float) -> Tile:
    return blurred(draw(grow(plan, rng), SIZE).astype(np.float32), blur)


def _none() -> Tile:
    return np.zeros((SIZE, SIZE), np.float32)


def _film(rng: np.random.Generator, high: float = 14.0) -> Tile:
    """Pools and dry patches, with fine beads."""
    return contrast(0.9 * noise(rng, 1, high) + 0.45 * noise(rng, 20, 120))


# ---- the kinds ----


def mucosa(rng: np.random.Generator) -> Planes:
    """Colon: a net of submucous vessels under a wrinkled, granular surface."""
    return Planes(
        coarse=_vessels(_MUCOSA_COARSE, rng, 3.5),
        fine=_vessels(_MUCOSA_FINE, rng, 0.7) * contrast(noise(rng, 1, 7), 0.3, 1),
        blotch=contrast(noise(rng, 2, 28)),
        patch=contrast(noise(rng, 1, 9)),
        height=noise(rng, 8, 34) + 0.12 * noise(rng, 34, 110),
        film=_film(rng),
    )


def liver(rng: np.random.Generator) -> Planes:
    """Lobules of a millimetre, seen through a smooth, shining capsule."""
    inside, _ = cells(rng, 40, 0.7)
    bend = [2.5 * noise(rng, 10, 60) for _ in range(2)]
    lobules = blurred(bent(np.minimum(inside, 1.0), *bend), 1.5)
    grain = 0.55 * (lobules - lobules.mean()) / lobules.std() + 0.5 * noise(rng, 30, 140)
    return Planes(
        coarse=_vessels(_SPARSE, rng, 5.0),
        fine=_vessels(_SPARSE, rng, 1.2) * contrast(noise(rng, 1, 5), 0, 1),
        blotch=contrast(0.40 * noise(rng, 1, 12) + 0.45 * grain),
        patch=contrast(0.45 * noise(rng, 1, 7) - 0.6 * grain - 0.8),
        height=noise(rng, 2, 12, decay=1.6)
        + 0.35 * noise(rng, 9, 28)
        + 0.06 * blurred(lobules, 2.0)
        + 0.05 * noise(rng, 28, 80),
        film=_film(rng, 9.0),
    )


def fat(rng: np.random.Generator) -> Planes:
    """Yellow lobules of two sizes, red in the clefts, with thin vessels over them."""
    bend = [9.0 * noise(rng, 2, 12) for _ in range(2)]
    large, _ = cells(rng, 5, 0.95)
    small, number = cells(rng, 13, 0.95)
    large, small = (bent(np.minimum(inside, 1.0), *bend) for inside in (large, small))
    domes = 2.4 * np.sqrt(blurred(large, 5.0)) + 0.9 * np.sqrt(blurred(small, 4.0))
    shade = rng.random(13 * 13, dtype=np.float32)[number]
    clefts = np.exp(-((large / 0.22) ** 2)) + 0.3 * np.exp(-((small / 0.16) ** 2))
    return Planes(
        coarse=_vessels(_SEROSA_COARSE, rng, 2.0),
        fine=_vessels(_FAT_FINE, rng, 0.9) * contrast(noise(rng, 1, 6), 0.1, 1),
        blotch=np.clip(0.5 + 0.25 * blurred(shade - 0.5, 6.0) + 0.12 * noise(rng, 3, 50), 0, 1),
        patch=np.clip(0.7 * blurred(clefts, 4.0) + 0.3 * contrast(noise(rng, 1, 8)), 0, 1),
        height=12.0 * blurred(domes, 4.0) + 0.35 * noise(rng, 14, 60),
        film=_film(rng),
    )


def serosa(rng: np.random.Generator) -> Planes:
    """Bowel, stomach, gallbladder: long trees of vessels of two sizes on a smooth, pink coat."""
    fine = _vessels(_SEROSA_FINE, rng, 0.6)
    arteries = blurred(fine, 2.5)
    return Planes(
        coarse=_vessels(_SEROSA_COARSE, rng, 1.6),
        fine=np.clip(fine * contrast(noise(rng, 1, 6), 0.25, 1.1) + 0.35 * arteries, 0, 1),
        blotch=contrast(0.8 * noise(rng, 1, 18) + 0.3 * noise(rng, 30, 120)),
        patch=contrast(noise(rng, 1, 7) - 0.3),
        height=noise(rng, 3, 14, stretch=2.5, decay=1.3) + 0.22 * noise(rng, 24, 90),
        film=_film(rng),
    )


def peritoneum(rng: np.random.Generator) -> Planes:
    """The lining of the wall: pale strands of muscle fascia shining through, few vessels."""
    strands = noise(rng, 6, 130, stretch=8.0, decay=0.6)
    return Planes(
        coarse=_vessels(_SPARSE, rng, 2.2),
        fine=_vessels(_LINING_FINE, rng, 0.6) * contrast(1.4 * noise(rng, 1, 4) - 0.2, 0.05, 1),
        blotch=contrast(0.35 * strands + 0.4 * noise(rng, 1, 8)),
        patch=contrast(0.3 * strands + 0.6 * noise(rng, 1, 6) - 0.5),
        height=0.6 * noise(rng, 3, 24, stretch=2.5, decay=1.2) + 0.18 * noise(rng, 30, 110),
        film=_film(rng),
    )


def fibrous(rng: np.random.Generator) -> Planes:
    """Ligament, duct, tendon: fibres along u, with vessels that follow them."""
    fibres = noise(rng, 8, 160, stretch=14.0, decay=0.5)
    bend = 6 * noise(rng, 1, 4)
    fibres = bent(fibres, np.zeros_like(bend), bend)
    return Planes(
        coarse=_vessels(_SPARSE, rng, 1.6),
        fine=_vessels(_SPARSE, rng, 0.8),
        blotch=contrast(0.4 * fibres + 0.4 * noise(rng, 1, 10)),
        patch=contrast(0.6 * noise(rng, 1, 8) - 0.3 * fibres - 0.5),
        height=0.5 * fibres + 2.5 * noise(rng, 2, 12),
        film=_film(rng),
    )


def round_pits(rng: np.random.Generator) -> Planes:
    """Round crypt openings, a net of pale mucosa around them (Kudo I and II)."""
    inside, number = cells(rng, 44, 0.75)
    bend = [2.5 * noise(rng, 8, 60) for _ in range(2)]
    size = 0.55 + 0.35 * rng.random(44 * 44, dtype=np.float32)[number]
    pits = blurred(bent(np.clip((inside - size) * 6, 0, 1).astype(np.float32), *bend), 1.0)
    return _pitted(rng, pits)


def tubular_pits(rng: np.random.Generator) -> Planes:
    """Long and roundish crypt openings side by side (Kudo IIIL and IIIS)."""
    ridges = ring_noise(rng, 42, 0.16)
    bend = [7.0 * noise(rng, 2, 10) for _ in range(2)]
    pits = blurred(bent(np.clip(1.6 * ridges - 0.6, 0, 1).astype(np.float32), *bend), 1.0)
    return _pitted(rng, pits)


def gyrus_pits(rng: np.random.Generator) -> Planes:
    """A labyrinth of folds like those of a brain (Kudo IV)."""
    folds = ring_noise(rng, 26, 0.12)
    bend = [9.0 * noise(rng, 2, 10) for _ in range(2)]
    furrows = np.clip(1 - 1.5 * np.abs(folds), 0, 1).astype(np.float32)
    return _pitted(rng, blurred(bent(furrows, *bend), 1.4))


def _pitted(rng: np.random.Generator, pits: Tile) -> Planes:
    """A polyp's surface around its pits: reddened between, dark inside, lumpy as a whole."""
    lumps = noise(rng, 2, 9)
    return Planes(
        coarse=_none(),
        fine=np.clip(0.85 * pits + 0.5 * _vessels(_SPARSE, rng, 0.8), 0, 1),
        blotch=contrast(0.7 * noise(rng, 2, 24) - 0.8 * (pits - pits.mean())),
        patch=contrast(noise(rng, 1, 8) + 0.5 * (pits - pits.mean())),
        height=2.2 * lumps - 2.4 * pits + 0.15 * noise(rng, 40, 120),
        film=_film(rng, 24.0),
    )


def stool(rng: np.random.Generator) -> Planes:
    """Clumps and crumbs, darker in the clefts."""
    bend = [9.0 * noise(rng, 3, 20) for _ in range(2)]
    inside, number = cells(rng, 9, 1.0)
    clumps = bent(np.minimum(inside, 1.0), *bend)
    shade = rng.random(81, dtype=np.float32)[number]
    crumbs = noise(rng, 12, 120, decay=0.7)
    return Planes(
        coarse=_none(),
        fine=_none(),
        blotch=contrast(
            0.6 * crumbs + 0.7 * noise(rng, 1, 8) + blurred(shade - 0.5, 6.0) + 2 * clumps - 0.6
        ),
        patch=0.25 * contrast(noise(rng, 1, 6)),
        height=14.0 * np.sqrt(blurred(clumps, 2.0)) + 2.2 * crumbs + 2.5 * noise(rng, 2, 14),
        film=_film(rng, 30.0),
    )


def fluid(rng: np.random.Generator) -> Planes:
    """A level of liquid: faint ripples, cloudy."""
    return Planes(
        coarse=_none(),
        fine=_none(),
        blotch=contrast(noise(rng, 1, 8)),
        patch=contrast(noise(rng, 1, 5)),
        height=noise(rng, 2, 12, decay=1.5),
        film=_film(rng, 5.0),
    )


def brushed(rng: np.random.Generator) -> Planes:
    """Metal: fine grooves along u, a few scratches, dull smears."""
    grooves = noise(rng, 30, 400, stretch=40.0, decay=0.2)
    return Planes(
        coarse=_none(),
        fine=_none(),
        blotch=contrast(0.5 * grooves + 0.6 * noise(rng, 1, 12)),
        patch=_none(),
        height=grooves + 0.8 * noise(rng, 1, 5),
        film=_film(rng, 10.0),
    )


def plain(rng: np.random.Generator) -> Planes:
    """Moulded plastic: almost nothing."""
    return Planes(
        coarse=_none(),
        fine=_none(),
        blotch=contrast(0.6 * noise(rng, 1, 20)),
        patch=_none(),
        height=noise(rng, 4, 60),
        film=_film(rng, 10.0),
    )


#: How each kind grows.
GROWERS: Mapping[Pattern, Callable[[np.random.Generator], Planes]] = {
    "mucosa": mucosa,
    "liver": liver,
    "fat": fat,
    "serosa": serosa,
    "peritoneum": peritoneum,
    "fibrous": fibrous,
    "round pits": round_pits,
    "tubular pits": tubular_pits,
    "gyrus pits": gyrus_pits,
    "stool": stool,
    "fluid": fluid,
    "brushed": brushed,
    "plain": plain,
}
