# SPDX-License-Identifier: Apache-2.0
"""The closed end of the colon: the caecum's pole, the appendix's opening, the ileocaecal valve."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import draw
from endoforge.scene.anatomy.bodies import Form, Look, Site, body_surface
from endoforge.scene.anatomy.folds import LoneFold
from endoforge.scene.anatomy.route import Route
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.records import Surface

VALVE_LABEL, APPENDIX_LABEL = 5, 6

_MEDIAL = np.array([0.93, 0.36, 0.0])  # to the patient's left and a little to the back
_SPACING_MM = 0.55


@dataclass(frozen=True, eq=False)
class Caecum:
    """Everything random about the closed end.

    Attributes:
        valve_mm: Place of the ileocaecal valve along the axis.
        valve_rad: Its angle about the axis.
        valve_size_mm: Half its width around the wall, half its height along it, how far it stands
            into the lumen.
        slit_mm: Depth and half width of the groove between its lips.
        lips: Size of the lip towards the caecum and of the other.
        fat: How yellow its lips are, 0 to 1.
        lobes: Frequencies of the lips' unevenness, per mm.
        lobe_phase: Their phases, radians.
        fold_height: Of the fold that it stands on, share of the radius.
        appendix_mm: Half width of the appendix's opening.
        depth_mm: How deep it can be looked into.
        slit: Its smaller width as a share of the larger.
        slit_rad: Direction of its larger width about the axis.
        lip_rad: Side on which a small fold covers it.
        aside_mm: How far the pole lies off the axis, in the two directions across it.
        arm_mm: Height of the three arms of the fold, and their half width.
        sac_mm: Depth of the pouches between the arms.
    """

    valve_mm: float
    valve_rad: float
    valve_size_mm: tuple[float, float, float]
    slit_mm: tuple[float, float]
    lips: tuple[float, float]
    fat: float
    lobes: Float64[np.ndarray, "waves 2"]
    lobe_phase: Float64[np.ndarray, "waves"]
    fold_height: float
    appendix_mm: float
    depth_mm: float
    slit: float
    slit_rad: float
    lip_rad: float
    aside_mm: Float64[np.ndarray, "2"]
    arm_mm: tuple[float, float]
    sac_mm: float


def sample_caecum(settings: ColonSettings, route: Route, rng: np.random.Generator) -> Caecum:
    """Draw the closed end of a piece that has one.

    Source:
        Normal valve at double-contrast enema (88 adults): 28 mm wide and 17 mm high on average,
        two smooth lips; it stands 5 to 7 cm from the pole, on the medial side. The rest: own
        choice, set against colonoscopy pictures.
    """
    from_pole = rng.uniform(48.0, 66.0)
    valve_mm = max(route.length_mm - from_pole, 0.5 * route.length_mm)
    pole = rng.uniform(0, 2 * np.pi)
    return Caecum(
        valve_mm=valve_mm,
        valve_rad=route.angle_of(_MEDIAL, valve_mm) + float(rng.normal(0.0, 0.3)),
        valve_size_mm=(
            draw(settings.valve_width_mm, rng) / 2,
            draw(settings.valve_height_mm, rng) / 2,
            float(rng.uniform(4.5, 8.5)),
        ),
        slit_mm=(float(rng.uniform(3.0, 6.0)), float(rng.uniform(0.7, 1.6))),
        lips=(float(rng.uniform(0.8, 1.3)), float(rng.uniform(0.8, 1.3))),
        fat=float(rng.uniform(0.3, 1.0)),
        lobes=rng.normal(0.0, 0.33, (6, 2)),
        lobe_phase=rng.uniform(0, 2 * np.pi, 6),
        fold_height=float(rng.uniform(0.3, 0.42)),
        appendix_mm=draw(settings.appendix_mm, rng) / 2,
        depth_mm=float(rng.uniform(5.0, 9.0)),
        slit=float(rng.uniform(0.35, 0.95)),
        slit_rad=float(rng.uniform(0, np.pi)),
        lip_rad=float(rng.uniform(0, 2 * np.pi)),
        aside_mm=rng.uniform(2.0, 8.0) * np.array([np.cos(pole), np.sin(pole)]),
        arm_mm=(float(rng.uniform(3.0, 5.5)), float(rng.uniform(3.0, 4.5))),
        sac_mm=float(rng.uniform(1.5, 3.5)),
    )


def valve_folds(caecum: Caecum) -> list[LoneFold]:
    """The fold whose two ends run on from the corners of the valve (the frenula)."""
    return [
        LoneFold(
            at_mm=caecum.valve_mm,
            angle=caecum.valve_rad,
            half_rad=1.75,
            height=caecum.fold_height,
            flank_mm=2.2,
        )
    ]


def pit_rows(caecum: Caecum) -> Float64[np.ndarray, "rows 2"]:
    """Outline of the appendix's opening from its rim to its ground.

    Returns:
        Distance from the pole's axis and depth behind the rim, mm, about every half millimetre.
    """
    r, deep = caecum.appendix_mm, caecum.depth_mm
    turn = np.linspace(0.0, 0.5 * np.pi, 12)
    rim = np.stack([1.7 * r - 0.7 * r * np.sin(turn), 0.9 * r * (1 - np.cos(turn))], axis=1)
    floor = np.stack([0.75 * r * np.cos(turn), deep + 0.5 * r * np.sin(turn)], axis=1)
    outline = np.concatenate([rim, floor])
    steps = np.linalg.norm(np.diff(outline, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0.0, way[-1], max(int(way[-1] / _SPACING_MM), 8))[1:-1]
    return np.stack([np.interp(at, way, outline[:, k]) for k in range(2)], axis=1)


def rim_share(caecum: Caecum, radius_mm: float) -> float:
    """Where the pole's dome gives way to the appendix's opening, share of the radius."""
    return 1.7 * caecum.appendix_mm / radius_mm


@dataclass(frozen=True, eq=False)
class Pole:
    """How the closed end differs from a smooth dome, at the vertices of the last rows of a grid.

    Attributes:
        inwards_mm: How far the wall stands into the caecum.
        across: Matrices that squeeze the opening to a slit.
        aside_mm: Way across the axis, in its two directions.
    """

    inwards_mm: Float64[np.ndarray, "rows columns"]
    across: Float64[np.ndarray, "rows 2 2"]
    aside_mm: Float64[np.ndarray, "rows 2"]


def pole_shape(
    caecum: Caecum,
    bands_rad: Float64[np.ndarray, "rows 3"],
    from_axis_mm: Float64[np.ndarray, "rows"],
    angle: Float64[np.ndarray, "columns"],
    radius_mm: float,
) -> Pole:
    """Shape the closed end: three arms that meet at the appendix, pouches between them, a slit.

    Args:
        caecum: The draw.
        bands_rad: Angles of the taeniae at each row; the arms continue them.
        from_axis_mm: Distance of each row from the pole's axis.
        angle: Angle of each column.
        radius_mm: Radius where the dome begins.
    """
    r, share = from_axis_mm[:, None], np.clip(from_axis_mm / radius_mm, 0.0, 1.0)
    off = angle[None, :, None] - bands_rad[:, None, :]
    off = np.abs((off + np.pi) % (2 * np.pi) - np.pi) * r[..., None]
    arm = np.exp(-((off / caecum.arm_mm[1]) ** 2)).max(axis=2)
    grown = np.clip((0.97 - share) / 0.35, 0.0, 1.0)[:, None]
    grown = grown * grown * (3 - 2 * grown)
    inwards = grown * (caecum.arm_mm[0] * arm - caecum.sac_mm * (1 - arm))
    rim = 1.7 * caecum.appendix_mm
    lip = (0.5 + 0.5 * np.cos(angle - caecum.lip_rad)) ** 2
    inwards = inwards + 0.5 * caecum.appendix_mm * lip * np.exp(-(((r - rim) / (0.6 * rim)) ** 2))
    narrow = 1.0 - (1.0 - caecum.slit) * np.exp(-((from_axis_mm / (1.6 * rim)) ** 2))
    c, s = np.cos(caecum.slit_rad), np.sin(caecum.slit_rad)
    long, short = np.array([c, s]), np.array([-s, c])
    across = np.outer(long, long) + narrow[:, None, None] * np.outer(short, short)
    return Pole(inwards, across, ((1 - share) ** 2)[:, None] * caecum.aside_mm)


def valve_surface(caecum: Caecum, site: Site, material: int, instance: int) -> Surface:
    """The ileocaecal valve: two thick lips with a slit between them, on its fold."""
    wide, high, out = caecum.valve_size_mm
    columns = int(np.pi * (wide + high) / _SPACING_MM) // 2 * 2
    spread = np.linspace(0.03, 1.2, int(1.4 * wide / _SPACING_MM))
    up = np.clip(1.0 - spread**2.6, 0.0, 1.0) ** 0.75 * np.exp(-((spread / 1.1) ** 6))
    up -= 0.3 * np.clip((spread - 0.88) / 0.32, 0.0, 1.0)  # under the wall before it ends
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    lip = np.where(np.cos(turn) > 0, *caecum.lips) * (1 - 0.4 * np.sin(turn) ** 2)
    along = high * spread[:, None] * np.cos(turn) * lip
    around = wide * spread[:, None] * np.sin(turn)
    height = out * np.broadcast_to(up[:, None], along.shape)
    lifted = _lips(caecum, along, around, height)
    top = float(_lips(caecum, np.zeros((1, 1)), np.zeros((1, 1)), np.full((1, 1), out))[0, 0])
    form = Form(along, around, lifted, (0.0, 0.0, top), follow_mm=4.0)
    return body_surface(form, site, _fatty(caecum, height, material), instance)


def _lips(
    caecum: Caecum,
    along: Float64[np.ndarray, "rows columns"],
    around: Float64[np.ndarray, "rows columns"],
    height: Float64[np.ndarray, "rows columns"],
) -> Float64[np.ndarray, "rows columns"]:
    """Cut the slit, raise the lips beside it and make both uneven."""
    wide, high, out = caecum.valve_size_mm
    deep, half = caecum.slit_mm
    inside = np.clip(1.0 - (around / (0.8 * wide)) ** 2, 0.0, 1.0)
    waves = caecum.lobe_phase
    bend = 0.12 * wide * np.sin(1.9 * around / wide + waves[0])
    bend = bend + 0.05 * wide * np.sin(5.0 * around / wide + waves[1])
    gap = np.abs(along - bend)
    slit = deep * inside**0.6 * np.exp(-((gap / half) ** 2))
    lips = 0.28 * out * inside * np.exp(-(((gap - 0.4 * high) / (0.35 * high)) ** 2))
    wave = np.sin(np.stack([along, around], -1) @ caecum.lobes.T + waves).sum(-1)
    share = np.clip(height / out, 0.0, 1.0)
    return np.asarray(height + share * (lips - slit + 0.08 * out * wave))


def _fatty(caecum: Caecum, height: Float64[np.ndarray, "rows columns"], material: int) -> Look:
    """Yellow and pale on the lips, the wall's colour at the foot."""
    own = np.clip(height.ravel() / (0.5 * caecum.valve_size_mm[2]), 0.0, 1.0)[:, None]
    yellow = 1.0 + caecum.fat * np.array([0.10, 0.16, -0.10])
    tint = np.concatenate([own * yellow + (1 - own), yellow[None], np.ones((1, 3))])
    return Look(VALVE_LABEL, material, tint.astype(np.float32))
