# SPDX-License-Identifier: Apache-2.0
"""What is found in a colon, put onto its wall in order: polyps, pouches, stool, fluid, stains.

`sample_findings` draws them; `with_findings` is a pure function of the draw and the wall, which may
be a drawn colon's or a patient's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import Choice, draw, draw_count
from endoforge.scene.anatomy.bodies import Ground
from endoforge.scene.anatomy.debris import Clump, clump_surface, place_clump, sample_stool
from endoforge.scene.anatomy.diverticula import (
    Diverticulum,
    open_diverticulum,
    sample_diverticula,
)
from endoforge.scene.anatomy.findings_settings import Additions, Position
from endoforge.scene.anatomy.fluid import basin_of, low_places, pool
from endoforge.scene.anatomy.polyps import Polyp, place_polyp, press_wall, sample_polyps
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.anatomy.stains import Stain, sample_stains, stained
from endoforge.scene.anatomy.surfaces import join, vertex_normals
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import Surface

#: What the faces of a colon are made of, by `Surface.face_material`.
COLON_MATERIALS = (
    "mucosa",
    "polyp-adenoma",
    "polyp-hyperplastic",
    "polyp-serrated",
    "fluid",
    "stool",
)

_TRIES = 8
_APART_MM = 40.0  # between two pools, along the axis

# Against gravity, as (to the patient's left, to the back); the third axis is to the head.
_UP: Mapping[str, tuple[float, float]] = {
    "left-lateral": (-1.0, 0.0),
    "right-lateral": (1.0, 0.0),
    "supine": (0.0, -1.0),
    "prone": (0.0, 1.0),
}


def up_of(position: Position, *, scanner: bool = False) -> Float64[np.ndarray, "3"]:
    """Unit vector against gravity of a lying patient.

    Args:
        position: How the patient lies.
        scanner: Axes of a NIfTI volume (+x right, +y front) instead of the drawn colon's (+x left,
            +y back).

    Example:
        >>> up_of("supine").tolist()
        [0.0, -1.0, 0.0]
    """
    left, back = _UP[position]
    sign = -1.0 if scanner else 1.0
    return np.array([sign * left, sign * back, 0.0]) + 0.0


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything drawn, without places.

    Attributes:
        polyps: The polyps.
        diverticula: The pouches.
        pools: Wanted depth of each pool, mm.
        clumps: Clumps of stool.
        specks: Specks of debris.
        stains: Patches of blood and mucus.
        position: How the patient lies.
        site_seed: Where they come to be.
    """

    polyps: tuple[Polyp, ...]
    diverticula: tuple[Diverticulum, ...]
    pools: tuple[float, ...]
    clumps: tuple[Clump, ...]
    specks: tuple[Clump, ...]
    stains: tuple[Stain, ...]
    position: Position
    site_seed: int

    @property
    def empty(self) -> bool:
        """Whether there is nothing at all."""
        return not (
            self.polyps
            or self.diverticula
            or self.pools
            or self.clumps
            or self.specks
            or self.stains
        )


def sample_findings(settings: ColonSettings | Additions, rng: np.random.Generator) -> Findings:
    """Draw what is found in a colon."""
    position = settings.position
    clumps, specks = sample_stool(settings.stool, rng)
    return Findings(
        polyps=sample_polyps(settings.polyps, rng),
        diverticula=sample_diverticula(settings.diverticula, rng),
        pools=tuple(
            draw(settings.fluid.depth_mm, rng) for _ in range(draw_count(settings.fluid.pools, rng))
        ),
        clumps=clumps,
        specks=specks,
        stains=sample_stains(settings.stains, rng),
        position=position.pick(rng) if isinstance(position, Choice) else position,
        site_seed=int(rng.integers(2**63)),
    )


@dataclass(frozen=True, eq=False)
class Found:
    """A wall with everything on it.

    Attributes:
        surface: All of it.
        targets: The polyps as places to look at, named ``polyp-`` and their instance.
    """

    surface: Surface
    targets: tuple[Target, ...]


@dataclass(frozen=True, eq=False)
class Bare:
    """A wall before anything is put on it.

    Attributes:
        surface: The wall; its vertices are those that places refer to.
        ground: Where bodies may grow.
        bodies: What stands on it already.
        up: Unit vector against gravity.
        next_instance: First free object number.
    """

    surface: Surface
    ground: Ground
    bodies: tuple[Surface, ...]
    up: Float64[np.ndarray, "3"]
    next_instance: int


def with_findings(findings: Findings, bare: Bare) -> Found:
    """Put everything onto a wall; no randomness is left but the places' own seed.

    Object numbers run on in the order polyps, diverticula, pools, clumps, specks. What finds no
    place in a few tries is left out.
    """
    rng = np.random.default_rng(findings.site_seed)
    wall, bodies, targets = _polyps(findings, bare, rng)
    number = bare.next_instance + len(findings.polyps)
    wall, number = _diverticula(findings, replace(bare, surface=wall), rng, number)
    pools = _pools(findings, replace(bare, surface=wall), rng, number)
    number += len(pools)
    heaps = _heaps(findings, bare, rng, number)
    dry = stained(join([wall, *bodies]), findings.stains, bare.up, rng)
    return Found(join([dry, *pools, *heaps]), targets)


def _polyps(
    findings: Findings, bare: Bare, rng: np.random.Generator
) -> tuple[Surface, list[Surface], tuple[Target, ...]]:
    """The wall, pressed under depressed polyps; the bodies on it; and where to look at them."""
    vertices = np.asarray(bare.surface.vertices_mm, dtype=np.float64)
    bodies, targets, pressed = list(bare.bodies), [], False
    for number, polyp in enumerate(findings.polyps, start=bare.next_instance):
        numbers = (number, COLON_MATERIALS.index(polyp.material))
        body, site, fitted = place_polyp(polyp, bare.ground, bodies, numbers, rng)
        vertices, pressed = press_wall(vertices, fitted, site), pressed or fitted.sunk_mm > 0
        bodies.append(body)
        targets.append(_target(body, number, site.normal))
    wall = bare.surface
    if pressed:
        moved = vertices.astype(np.float32)
        wall = replace(wall, vertices_mm=moved, normals=vertex_normals(moved, wall.faces))
    return wall, bodies, tuple(targets)


def _target(body: Surface, number: int, normal: Float64[np.ndarray, "3"]) -> Target:
    middle = body.vertices_mm.mean(axis=0, dtype=np.float64)
    reach = float(np.linalg.norm(body.vertices_mm - middle, axis=1).max())
    return Target(f"polyp-{number}", middle, reach, normal)


def _diverticula(
    findings: Findings, bare: Bare, rng: np.random.Generator, number: int
) -> tuple[Surface, int]:
    wall, axis = bare.surface, bare.ground.axis_mm
    taken = [body.vertices_mm.mean(axis=0) for body in bare.bodies]
    for pouch in findings.diverticula:
        for _ in range(_TRIES):
            site = bare.ground.draw_site(rng, 6, None)
            clear = all(np.linalg.norm(site.point_mm - t) > 2 * pouch.opening_mm for t in taken)
            opened = open_diverticulum(wall, pouch, site, number) if clear else None
            if opened is not None and np.linalg.norm(axis - site.point_mm, axis=1).min() > 5:
                wall, number = opened, number + 1
                taken.append(site.point_mm.astype(np.float32))
                break
    if wall is not bare.surface:
        wall = replace(wall, normals=vertex_normals(wall.vertices_mm, wall.faces))
    return wall, number


def _pools(findings: Findings, bare: Bare, rng: np.random.Generator, number: int) -> list[Surface]:
    """Fill pouches, drawn from the lower half of them, then from the others."""
    if not findings.pools:
        return []
    basin = basin_of(bare.surface, bare.ground.axis_mm, bare.up)
    places = low_places(basin)
    half = (len(places) + 1) // 2
    order = np.concatenate([rng.permutation(half), half + rng.permutation(len(places) - half)])
    pools: list[Surface] = []
    ways: list[float] = []
    material = COLON_MATERIALS.index("fluid")
    for place in places[order].tolist():
        way = float(basin.way_mm[place])
        if len(pools) == len(findings.pools):
            break
        if any(abs(way - other) < _APART_MM for other in ways):
            continue
        filled = pool(basin, place, findings.pools[len(pools)], number + len(pools), material)
        if filled is not None:
            pools.append(filled)
            ways.append(way)
    return pools


def _heaps(findings: Findings, bare: Bare, rng: np.random.Generator, number: int) -> list[Surface]:
    heaps: list[Surface] = []
    material = COLON_MATERIALS.index("stool")
    for clump in (*findings.clumps, *findings.specks):
        site = place_clump(clump, bare.ground, bare.up, rng)
        if site is not None:
            heaps.append(clump_surface(clump, site, number + len(heaps), material))
    return heaps
