# SPDX-License-Identifier: Apache-2.0
"""Polyps of the six Paris shapes as closed bodies that grow out of a wall.

Ip hangs on a stalk, Isp has a neck, Is is a dome, IIa a plaque, IIb only another tissue, IIc lies
lower than its rim. What tissue it is sets colour, unevenness and mucus.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy.spatial import cKDTree

from endoforge.distributions import draw, draw_count
from endoforge.scene.anatomy.bodies import Form, Ground, Look, Site, body_surface
from endoforge.scene.anatomy.findings_settings import Histology, Paris, PolypSettings
from endoforge.scene.records import Surface

POLYP_LABEL = 3

_SPACING_MM = 0.5
_AXIS_MM = 7.0  # way along the axis that polyps leave free
_APART_MM = 2.0
_TRIES = 12
_PROUD_MM = 0.3  # how far a flat polyp stands above the wall, so that it is seen at all

_LEAST_MM: dict[Paris, float] = {"Ip": 5.0, "Isp": 5.0, "IIc": 4.0}
_COLOUR: dict[Histology, tuple[float, float, float]] = {
    "adenoma": (1.0, 0.94, 0.93),
    "hyperplastic": (1.02, 1.02, 1.02),
    "serrated": (1.01, 1.0, 0.97),
}
_LOBE_DEPTH: dict[Histology, tuple[float, float]] = {
    "adenoma": (0.05, 0.15),
    "hyperplastic": (0.015, 0.05),
    "serrated": (0.04, 0.1),
}


@dataclass(frozen=True, eq=False)
class Polyp:
    """One polyp before it is put on a wall.

    Attributes:
        paris: Shape by the Paris classification.
        histology: Tissue.
        diameter_mm: Largest width.
        height_mm: Height of dome, plaque or rim above the wall.
        stalk_mm: Length of the stalk, 0 for none.
        neck: Width of stalk or neck as a share of the head's.
        sunk_mm: How far the middle of a depressed one lies below the wall, 0 for the others.
        bend_rad: How far the stalk leans over.
        towards_rad: Direction in the wall's plane in which it leans, 0 along the axis.
        lobes: Plane waves that make the surface uneven: direction times frequency.
        lobe_phase: Their phases.
        lobe_depth: Their size as a share of the radius.
        outline: Unevenness of its outline, share of the radius.
        tint: Multiplies the tissue's albedo.
        mucus: Yellow cap of mucus, 0 to 1.
    """

    paris: Paris
    histology: Histology
    diameter_mm: float
    height_mm: float
    stalk_mm: float
    neck: float
    sunk_mm: float
    bend_rad: float
    towards_rad: float
    lobes: Float64[np.ndarray, "waves 3"]
    lobe_phase: Float64[np.ndarray, "waves"]
    lobe_depth: float
    outline: float
    tint: Float64[np.ndarray, "3"]
    mucus: float

    @property
    def material(self) -> str:
        """Name of its tissue among the anatomy's materials."""
        return f"polyp-{self.histology}"


def sample_polyps(settings: PolypSettings, rng: np.random.Generator) -> tuple[Polyp, ...]:
    """Draw how many polyps there are and the shape of each."""
    count = draw_count(settings.count, rng)
    return tuple(_sample(settings, rng) for _ in range(count))


def _sample(settings: PolypSettings, rng: np.random.Generator) -> Polyp:
    paris, histology = settings.paris.pick(rng), settings.histology.pick(rng)
    diameter = max(draw(settings.diameter_mm, rng), _LEAST_MM.get(paris, 0.0))
    flat = paris in ("IIa", "IIb", "IIc")
    low, high = _LOBE_DEPTH[histology]
    tint = np.array(_COLOUR[histology]) * rng.uniform(0.94, 1.06, 3)
    if histology == "adenoma":
        tint[1:] += rng.uniform(-0.08, 0.08)  # more or less red
    return Polyp(
        paris=paris,
        histology=histology,
        diameter_mm=diameter,
        height_mm=_height(paris, histology, diameter, rng),
        stalk_mm=float(rng.uniform(0.5, 1.1) * min(diameter, 12.0)) if paris == "Ip" else 0.0,
        neck=float(rng.uniform(0.22, 0.38) if paris == "Ip" else rng.uniform(0.6, 0.78)),
        sunk_mm=float(rng.uniform(0.4, 0.9)) if paris == "IIc" else 0.0,
        bend_rad=float(rng.uniform(0.5, 1.2)),
        towards_rad=float(rng.choice([0.0, np.pi]) + rng.normal(0.0, 0.4)),
        lobes=rng.normal(0.0, rng.uniform(1.3, 3.4), (9, 3)),
        lobe_phase=rng.uniform(0, 2 * np.pi, 9),
        lobe_depth=float(rng.uniform(low, high) * min(1.0, diameter / 8.0)),
        outline=float(rng.uniform(0.08, 0.22) if flat else rng.uniform(0.04, 0.16)),
        tint=tint,
        mucus=float(rng.uniform(0.05, 0.3)) if histology == "serrated" else 0.0,
    )


def _height(
    paris: Paris, histology: Histology, diameter_mm: float, rng: np.random.Generator
) -> float:
    """Height of dome, plaque or rim, mm.

    Source:
        Height to width 0.39 ± 0.20 of adenomas and 0.33 ± 0.19 of hyperplastic polyps of 6 to
        10 mm on CT colonography (Summers 2009); IIa is lower than closed forceps, 2.5 mm (Paris).
    """
    if paris == "IIa":
        return float(min(rng.uniform(0.14, 0.26) * diameter_mm, rng.uniform(1.6, 2.4)))
    if paris == "IIb":
        return _PROUD_MM
    if paris == "IIc":
        return float(rng.uniform(0.5, 0.9))
    if paris == "Is":
        low, high = (0.36, 0.55) if histology == "hyperplastic" else (0.42, 0.72)
        return float(rng.uniform(low, high)) * diameter_mm
    return 0.85 * diameter_mm


def polyp_surface(polyp: Polyp, site: Site, instance: int, material: int = 0) -> Surface:
    """Grow a polyp out of a wall: a closed body whose foot follows the wall and dips below it.

    Args:
        polyp: The draw.
        site: Where it stands.
        instance: Its object number.
        material: Index of its tissue among the anatomy's materials.
    """
    out, up = _profile(polyp)
    columns = int(np.clip(np.pi * polyp.diameter_mm / _SPACING_MM, 16, 96)) // 2 * 2
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    rho = out[:, None] * _outline(polyp, turn)
    along, around = rho * np.cos(turn), rho * np.sin(turn)
    height = np.broadcast_to(up[:, None], along.shape)
    along, around, height = _bent(polyp, *_lobed(polyp, along, around, height))
    middle = np.zeros((1, 1))
    top = _bent(polyp, *_lobed(polyp, middle, middle, np.full((1, 1), up[0])))
    point = (float(top[0][0, 0]), float(top[1][0, 0]), float(top[2][0, 0]))
    follow = 2.0 if polyp.stalk_mm or polyp.height_mm > 3 else 6.0
    look = Look(POLYP_LABEL, material, _tints(polyp, up, columns), _stain(polyp, up, columns))
    body = body_surface(Form(along, around, height, point, follow), site, look, instance)
    return _on_mucosa(body, np.repeat(_own_share(polyp, up) < 0.4, columns), material)


def _on_mucosa(body: Surface, ordinary: Bool[np.ndarray, "grid"], material: int) -> Surface:
    """Let stalk and foot be of mucosa, the first of the materials."""
    vertex = np.concatenate([ordinary, [False, True]])
    own = np.where(vertex[body.faces].all(axis=1), 0, material)
    return replace(body, face_material=own.astype(np.uint8))


def _outline(polyp: Polyp, turn: Float64[np.ndarray, "columns"]) -> Float64[np.ndarray, "columns"]:
    wave = sum(
        np.sin((k + 2) * turn + phase) / (k + 1) for k, phase in enumerate(polyp.lobe_phase[:4])
    )
    return np.asarray(1.0 + polyp.outline * 0.5 * wave, dtype=np.float64)


def _profile(polyp: Polyp) -> tuple[Float64[np.ndarray, "rows"], Float64[np.ndarray, "rows"]]:
    """Outline from near the top to the foot: distance from the polyp's own axis, and height, mm."""
    r = polyp.diameter_mm / 2
    match polyp.paris:
        case "Ip":
            out, up = _on_stalk(polyp, r)
        case "Isp":
            turn = np.linspace(0.03, np.pi - np.arcsin(polyp.neck), 40)
            out, up = r * np.sin(turn), 0.85 * r * (np.cos(turn) - np.cos(turn[-1])) + 0.25 * r
            out, up = np.append(out, polyp.neck * r * 0.98), np.append(up, 0.1 * r)
        case "Is":
            turn = np.linspace(0.03, 0.5 * np.pi + 0.35, 40)
            middle = 0.35 * polyp.height_mm
            out, up = r * np.sin(turn), middle + (polyp.height_mm - middle) * np.cos(turn)
        case "IIc":
            share = np.linspace(0.03, 1.0, 40)
            rim = np.exp(-(((share - 0.78) / 0.16) ** 2))
            up = polyp.height_mm * rim - polyp.sunk_mm * np.clip(1 - share / 0.72, 0, 1) ** 0.5
            out = r * share
        case _:
            turn = np.linspace(0.03, 0.5 * np.pi, 40)
            power = 0.8 if polyp.paris == "IIa" else 0.35
            out, up = r * np.sin(turn) ** 0.8, polyp.height_mm * np.cos(turn) ** power
    foot = np.linspace(0, 1, 6)[1:]
    out = np.concatenate([out, out[-1] + foot * 0.12 * r])
    up = np.concatenate([up, up[-1] * (1 - foot) - 0.5 * foot])
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(out), np.diff(up)))])
    at = np.linspace(0, way[-1], max(int(way[-1] / _SPACING_MM), 8))
    return np.interp(at, way, out), np.interp(at, way, up)


def _on_stalk(polyp: Polyp, r: float) -> tuple[np.ndarray, np.ndarray]:
    stalk = max(polyp.neck * r, 1.2)
    turn = np.linspace(0.03, np.pi - np.arcsin(min(stalk / r, 0.9)), 40)
    out, up = r * np.sin(turn), polyp.stalk_mm + 0.85 * r * (1 + np.cos(turn))
    lower = np.linspace(1.0, 0.0, 24)[1:]
    out = np.concatenate([out, stalk * (1 + 0.9 * np.exp(-4.0 * lower))])
    return out, np.concatenate([up, up[-1] * lower])


def _lobed(
    polyp: Polyp,
    along: Float64[np.ndarray, "rows columns"],
    around: Float64[np.ndarray, "rows columns"],
    height: Float64[np.ndarray, "rows columns"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make the body uneven; the foot stays as it is."""
    r = polyp.diameter_mm / 2
    place = np.stack([along, around, height - polyp.stalk_mm], axis=-1) / r
    wave = np.sin(place @ polyp.lobes.T + polyp.lobe_phase).sum(axis=-1)
    wave *= np.sqrt(2.0 / len(polyp.lobe_phase))
    grow = polyp.lobe_depth * wave * np.clip(height / (0.3 * r), 0.0, 1.0)
    if polyp.paris == "IIa":
        knobs = 0.45 * height * np.tanh(4.0 * polyp.lobe_depth * r * wave / polyp.height_mm)
    else:
        knobs = 0.5 * height * grow
    return along * (1 + grow), around * (1 + grow), height + knobs


def _bent(
    polyp: Polyp,
    along: Float64[np.ndarray, "rows columns"],
    around: Float64[np.ndarray, "rows columns"],
    height: Float64[np.ndarray, "rows columns"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Let the stalk be an arc that turns from the wall's normal towards a direction."""
    if not polyp.stalk_mm:
        return along, around, height
    c, s = np.cos(polyp.towards_rad), np.sin(polyp.towards_rad)
    total = polyp.stalk_mm + 0.85 * polyp.diameter_mm
    turned = polyp.bend_rad * np.clip(height, 0.0, None) / total
    tilt = along * c + around * s
    rise = total / polyp.bend_rad * np.sin(turned) + np.minimum(height, 0.0)
    drift = total / polyp.bend_rad * (1 - np.cos(turned)) - tilt * (1 - np.cos(turned))
    return along + drift * c, around + drift * s, rise - tilt * np.sin(turned)


def _own_share(polyp: Polyp, up: Float64[np.ndarray, "rows"]) -> Float64[np.ndarray, "rows"]:
    """How much of a row is the polyp and not the stalk or the foot, 0 to 1."""
    if polyp.paris in ("IIb", "IIc"):
        rim = len(up) - 1 - int(np.argmax(up[::-1] > 0.2))  # the last row clear of the wall
        return np.where(np.arange(len(up)) <= rim, 1.0, np.clip(up / 0.2, 0.0, 1.0))
    return np.clip((up - 0.55 * polyp.stalk_mm) / min(1.2, 0.5 * polyp.height_mm), 0.0, 1.0)


def _tints(
    polyp: Polyp, up: Float64[np.ndarray, "rows"], columns: int
) -> Float32[np.ndarray, "vertices 3"]:
    """The polyp's own colour, fading to the wall's at its foot and along a stalk."""
    own = _own_share(polyp, up)[:, None]
    rows = own * polyp.tint + (1 - own)
    tint = np.repeat(rows, columns, axis=0)
    return np.concatenate([tint, rows[:1], np.ones((1, 3))]).astype(np.float32)


def _stain(
    polyp: Polyp, up: Float64[np.ndarray, "rows"], columns: int
) -> Float32[np.ndarray, "vertices 2"] | None:
    """Yellow mucus on the head."""
    if not polyp.mucus:
        return None
    rows = np.zeros((len(up), 2))
    rows[:, 1] = polyp.mucus * _own_share(polyp, up)
    body = np.repeat(rows, columns, axis=0)
    return np.concatenate([body, rows[:1], np.zeros((1, 2))]).astype(np.float32)


def place_polyp(
    polyp: Polyp,
    ground: Ground,
    others: Sequence[Surface],
    numbers: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Surface, Site, Polyp]:
    """Draw a place for a polyp where it leaves the axis free and touches no other.

    A polyp that fits nowhere in a few tries is made smaller until it does.

    Args:
        polyp: The draw.
        ground: Where it may stand.
        others: Bodies that are there already.
        numbers: Its object number and its material.
        rng: Random numbers.

    Returns:
        Its body, its place, and the polyp as it fitted.
    """
    axis = cKDTree(ground.axis_mm)
    taken = [cKDTree(other.vertices_mm) for other in others]
    for attempt in range(_TRIES):
        site = ground.draw_site(rng, 12, None)
        body = polyp_surface(polyp, site, *numbers)
        free = axis.query(body.vertices_mm)[0].min() > _AXIS_MM
        if free and all(tree.query(body.vertices_mm)[0].min() > _APART_MM for tree in taken):
            break
        if attempt < _TRIES - 1:
            polyp = replace(
                polyp,
                diameter_mm=0.9 * polyp.diameter_mm,
                height_mm=0.9 * polyp.height_mm,
                stalk_mm=0.8 * polyp.stalk_mm,
            )
    return body, site, polyp


def press_wall(
    vertices_mm: Float64[np.ndarray, "*grid 3"], polyp: Polyp, site: Site
) -> Float64[np.ndarray, "*grid 3"]:
    """Push the wall out of the way under a depressed polyp, so that its middle shows."""
    if not polyp.sunk_mm:
        return vertices_mm
    away = np.linalg.norm(vertices_mm - site.point_mm, axis=-1)
    share = np.clip(1.0 - (away / (0.52 * polyp.diameter_mm)) ** 2, 0.0, 1.0)
    depth = 1.6 * (polyp.sunk_mm + 0.5) * share * (share > 0)
    return np.asarray(vertices_mm - np.minimum(depth, polyp.sunk_mm + 0.6)[..., None] * site.normal)
