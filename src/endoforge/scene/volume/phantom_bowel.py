# SPDX-License-Identifier: Apache-2.0
"""The bowel of a phantom: loops of small bowel, and the drawn colon with its gas and fluid."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64
from scipy import ndimage

from endoforge.distributions import draw, draw_count
from endoforge.errors import SceneError
from endoforge.scene.anatomy.colon import ColonDraw, sample_colon, shape_colon
from endoforge.scene.anatomy.findings_settings import PolypSettings
from endoforge.scene.anatomy.route import Route, route_along
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.volume.canvas import Canvas
from endoforge.scene.volume.phantom_body import Build, Trunk
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.tissue import Tissue
from endoforge.scene.volume.voxelise import filled_share

#: Corner points of the colon from the anus to the caecum, mm, axes as in a scan.
_COURSE = np.array(
    [
        (0, -46, -182), (0, -62, -152), (4, -54, -122), (2, -30, -104),  # rectum
        (32, -4, -96), (52, 32, -84), (28, 50, -62), (-14, 46, -58), (-38, 36, -82),  # sigmoid
        (-48, 18, -108), (-78, 22, -84),
        (-92, 4, -42), (-106, -22, 8), (-108, -26, 48), (-102, 2, 74),  # descending
        # transverse and ascending
        (-84, 40, 50), (-56, 66, 12), (-14, 76, -16), (30, 74, -14), (66, 54, 14), (88, 30, 26),
        (99, 6, 12), (98, -8, -14), (88, -2, -48), (82, 16, -80), (74, 22, -100),
    ],
    dtype=np.float64,
)  # fmt: skip
_TURN = np.array([-1.0, -1.0, 1.0])  # the drawn colon's axes run to the left and the back
_JITTER_MM = 4.0
_COLON_WALL_MM = 2.2
_POOL_REACH_MM = 70.0
_TRIES = 60
_LOWEST_CAECUM_MM = -128.0
_GROIN_MM, _GROIN_DEPTH = -95.0, 48.0  # below this height the front wall lies farther back


@dataclass(frozen=True, eq=False)
class BowelDraw:
    """Everything random about a phantom's bowel.

    Attributes:
        colon: The drawn colon, its own axes.
        settings: Settings of its mesh.
        pools: Place along the colon, 0 to 1, and depth of each pool of fluid, mm.
    """

    colon: ColonDraw
    settings: ColonSettings
    pools: tuple[tuple[float, float], ...]

    @property
    def axis_mm(self) -> Float64[np.ndarray, "points 3"]:
        """Axis of the colon in the phantom, from the anus to the caecum."""
        return np.asarray(self.colon.route.points_mm * _TURN)


def sample_bowel(settings: PhantomSettings, build: Build, rng: np.random.Generator) -> BowelDraw:
    """Draw the colon's course, folds and polyps, and where fluid stands in it.

    Raises:
        SceneError: No course was found that neither kinks nor touches itself.
    """
    colon = ColonSettings(
        calibre=settings.colon_calibre,
        tortuosity=settings.colon_tortuosity,
        fold_thickness_mm=settings.fold_thickness_mm,
        polyps=PolypSettings(
            count=(draw_count(settings.polyps, rng),) * 2, diameter_mm=settings.polyp_mm
        ),
        axial_spacing_mm=0.7,
        around_spacing_mm=2.5,
        position="supine",
    )
    corners = _COURSE * np.array([build.wide, build.deep, 1.0])
    route = _within(corners, build, colon, rng)
    pools = tuple(
        (float(rng.uniform(0.05, 0.97)), draw(settings.fluid_depth_mm, rng))
        for _ in range(draw_count(settings.fluid_pools, rng))
    )
    return BowelDraw(sample_colon(colon, rng, route), colon, pools)


def _within(
    corners: Float64[np.ndarray, "corners 3"],
    build: Build,
    colon: ColonSettings,
    rng: np.random.Generator,
) -> Route:
    """Draw courses until one keeps within the belly."""
    for _ in range(_TRIES):
        route = route_along(
            (corners + rng.normal(0.0, _JITTER_MM, corners.shape)) * _TURN, colon, rng
        )
        x, y, z = (route.points_mm * _TURN).T
        reach = (np.abs(x) / (118 * build.wide)) ** 2.35 + (np.abs(y) / (84 * build.deep)) ** 2.35
        caecum = z[len(z) // 2 :].min() > _LOWEST_CAECUM_MM
        groin = (z < _GROIN_MM) & (y > _GROIN_DEPTH * build.deep)
        if reach.max() < 1.0 and z.min() > -200.0 and caecum and not groin.any():
            return route
    raise SceneError(
        f"no course of the colon within the belly was found in {_TRIES} tries with calibre "
        f"{colon.calibre} and tortuosity {colon.tortuosity}; lower one of them"
    )


def draw_small_bowel(
    canvas: Canvas, build: Build, trunk: Trunk, bowel: BowelDraw, tissue: Tissue
) -> None:
    """Paint loops that lie side by side in the mesentery, clear of the colon."""
    rng = np.random.default_rng((build.seed, 10))
    colon = bowel.axis_mm[::8]
    wide = bowel.colon.route.radius_mm[::8]
    placed: list[Float[np.ndarray, "3"]] = []
    for _ in range(1600):
        if len(placed) >= 105:
            break
        place = build.at(rng.uniform(-82, 80), rng.uniform(0, 74), rng.uniform(-122, 18))
        gap = np.linalg.norm(colon - place, axis=1) - wide
        crowd = np.linalg.norm(np.array([np.full(3, 999.0), *placed]) - place, axis=1).min()
        low = float(np.linalg.norm((place - build.at(0, 16, -150)) / [1.2, 1.0, 1.0]))  # bladder
        hip = place[2] < -88.0 and abs(place[0]) > 58.0 * build.wide
        if gap.min() > 13.0 and crowd > 20.5 and low > 48.0 and not hip:
            placed.append(place)
            _loop(canvas, trunk, place, tissue, rng)


def _loop(
    canvas: Canvas,
    trunk: Trunk,
    place: Float[np.ndarray, "3"],
    tissue: Tissue,
    rng: np.random.Generator,
) -> None:
    way = rng.normal(0, 1, 3)
    way /= np.linalg.norm(way)
    bend = np.cross(way, rng.normal(0, 1, 3)) * rng.uniform(3, 9)
    half, radius = rng.uniform(9, 22), rng.uniform(8.0, 10.5)
    t = np.linspace(-1.0, 1.0, 7)[:, None]
    points = place + half * t * way + (1.0 - t * t) * bend
    part, axes, distance = canvas.tube(points, radius)
    distance = np.maximum(distance, trunk.room_mm[part] + 2.0)
    canvas.paint(part, canvas.share(distance), tissue.gut_wall, "small_bowel")
    ridges = 0.7 * np.sin((axes[0] * way[0] + axes[1] * way[1] + axes[2] * way[2]) * 1.4)
    inner = np.asarray(distance + rng.uniform(1.8, 3.5) + ridges, dtype=np.float32)
    canvas.paint(part, canvas.share(inner), tissue.chyme + rng.normal(0, 8), "small_bowel")
    if rng.random() < 0.12:
        gas = np.maximum(inner, place[1] + rng.uniform(0, 5) - axes[1]).astype(np.float32)
        canvas.paint(part, canvas.share(gas), tissue.air, "small_bowel")


def draw_colon(canvas: Canvas, build: Build, bowel: BowelDraw, tissue: Tissue) -> None:
    """Paint the colon: its wall, the gas in it, and fluid where it stands."""
    surface = shape_colon(bowel.colon, bowel.settings)[0].surface
    vertices = canvas.index_of(surface.vertices_mm.astype(np.float64) * _TURN)
    margin = int(np.ceil(6.0 / canvas.step_mm))
    size = np.array(canvas.hu.shape)
    first = (np.floor(vertices.min(axis=0)).astype(int) - margin).clip(0, size - 2)
    last = (np.ceil(vertices.max(axis=0)).astype(int) + margin).clip(first + 2, size)
    part = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    i, j, k = (last - first).tolist()
    share = filled_share(vertices - first, surface.faces[:, ::-1], (i, j, k))
    blur = ndimage.gaussian_filter(share, 0.75 * _COLON_WALL_MM / canvas.step_mm, truncate=2.5)
    box = (part[0], part[1], part[2])
    canvas.paint(box, np.clip(blur * 7.0, 0, 1), tissue.gut_wall, "colon")
    filling = np.full(share.shape, np.float32(tissue.air))
    for at, depth in bowel.pools:
        _fill(canvas, share, filling, (bowel, at, depth), (first, tissue.fluid + 15))
    canvas.paint(box, share, filling, "colon")


def _fill(
    canvas: Canvas,
    share: Float32[np.ndarray, "i j k"],
    filling: Float32[np.ndarray, "i j k"],
    pool: tuple[BowelDraw, float, float],
    fluid: tuple[np.ndarray, float],
) -> None:
    """Let fluid stand in the nearest low place, less deep where it would run over into the next."""
    bowel, at, depth = pool
    first, hu = fluid
    low = _low_place(bowel, at)
    bottom = bowel.axis_mm[low] - np.array([0.0, bowel.colon.route.radius_mm[low], 0.0])
    whole, axes = canvas.box(bottom - _POOL_REACH_MM, bottom + _POOL_REACH_MM)
    start = [max(p.start, int(f)) for p, f in zip(whole, first, strict=True)]
    stop = [min(p.stop, int(f) + n) for p, f, n in zip(whole, first, share.shape, strict=True)]
    local = tuple(slice(a - int(f), b - int(f)) for a, b, f in zip(start, stop, first, strict=True))
    heights = axes[1][:, start[1] - whole[1].start : stop[1] - whole[1].start]
    index = np.rint(canvas.index_of(bowel.axis_mm[low])).astype(int) - start
    for held_back in (1.0, 0.6, 0.35):
        below = np.clip((bottom[1] + held_back * depth - heights) / canvas.step_mm + 0.5, 0.0, 1.0)
        pieces, _ = ndimage.label((share[local] > 0.3) & (below > 0))
        column = pieces[index[0], : index[1] + 1, index[2]]
        number = int(column.max(initial=0))
        sides = np.concatenate([pieces[[0, -1]].ravel(), pieces[:, :, [0, -1]].ravel()])
        if number and not (sides == number).any():
            grown = ndimage.binary_dilation(pieces == number)
            view = filling[local]
            view += grown * below.astype(np.float32) * (np.float32(hu) - view)
            return


def _low_place(bowel: BowelDraw, at: float) -> int:
    """From a place along the colon, downhill to where fluid gathers; a point of its axis."""
    route = bowel.colon.route
    floor = bowel.axis_mm[:, 1] - route.radius_mm
    stride = max(int(8.0 / route.step_mm), 1)
    low = int(at * (len(floor) - 1))
    while True:
        near = slice(max(low - stride, 0), low + stride + 1)
        best = near.start + int(np.argmin(floor[near]))
        if best == low:
            return low
        low = best
