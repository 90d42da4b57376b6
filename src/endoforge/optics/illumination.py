# SPDX-License-Identifier: Apache-2.0
"""Light that stands in the world instead of riding with the lens: areas and surroundings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from endoforge.distributions import Choice, draw, draw_count
from endoforge.errors import DataError
from endoforge.optics.illumination_settings import IlluminationSettings, SurroundingsKind
from endoforge.optics.lamp import Triple, lamp_colour

_ROWS, _COLUMNS = 32, 64
_MOST_PIXELS = 64_000_000
#: Soft boxes of the drawn studio: azimuth, elevation, half width (degrees), radiance.
_BOXES = ((60.0, 35.0, 25.0, 8.0), (150.0, 10.0, 18.0, 4.0), (280.0, 50.0, 30.0, 3.0))
_STUDIO_FLOOR = 0.25


@dataclass(frozen=True)
class DiskLight:
    """A glowing disk that shines to one side.

    Attributes:
        centre_mm: In the world, mm.
        axis: Unit direction that it faces, in the world.
        radius_mm: Its radius, mm.
        radiance: Emitted, linear RGB, the same in all directions of that side.
    """

    centre_mm: Triple
    axis: Triple
    radius_mm: float
    radiance: Triple


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Light from infinitely far away.

    Attributes:
        radiance: Linear RGB over directions: rows from +z (top) to -z, columns turn
            from +x over +y. 1x1 for the same in all directions.
        seen: Rays that leave the volume show it; else they show black.
    """

    radiance: Float32[np.ndarray, "rows columns 3"]
    seen: bool = True


@dataclass(frozen=True, eq=False)
class WorldLight:
    """All light that stands in the world.

    Attributes:
        disks: Area lights; none for an endoscope alone.
        surroundings: None for darkness.
    """

    disks: tuple[DiskLight, ...] = ()
    surroundings: Surroundings | None = None


def sample_world_light(
    settings: IlluminationSettings,
    rng: np.random.Generator,
    centre_mm: Float64[np.ndarray, "3"],
    reach_mm: float,
) -> WorldLight:
    """Draw the lamps and the surroundings of a sequence.

    Args:
        settings: What to draw.
        rng: Random numbers of this sequence's world light.
        centre_mm: Middle of the scan, world, mm.
        reach_mm: Half of the scan's diagonal, mm.

    Raises:
        DataError: The panorama cannot be read.
    """
    level, turn = draw(settings.level, rng), draw(settings.turn_deg, rng)
    white = draw(settings.white_kelvin, rng)
    count = draw_count(settings.lamps, rng)
    disks = tuple(_lamp(settings, rng, centre_mm, reach_mm, white) for _ in range(count))
    return WorldLight(disks, _surroundings(settings, rng, level, turn))


def _lamp(
    settings: IlluminationSettings,
    rng: np.random.Generator,
    centre_mm: Float64[np.ndarray, "3"],
    reach_mm: float,
    white_kelvin: float,
) -> DiskLight:
    azimuth, elevation = (
        np.deg2rad(draw(angle, rng)) for angle in (settings.azimuth_deg, settings.elevation_deg)
    )
    away = np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    distance, radius = (draw(d, rng) * reach_mm for d in (settings.distance, settings.radius))
    # a facing disk of radius r at distance d gives pi L r²/(r² + d²); divided by pi it is what a
    # white wall there would send back
    radiance = draw(settings.power, rng) * (radius**2 + distance**2) / radius**2
    colour = np.array(lamp_colour(draw(settings.kelvin, rng), white_kelvin))
    return DiskLight(
        _triple(centre_mm + distance * away), _triple(-away), radius, _triple(radiance * colour)
    )


def _surroundings(
    settings: IlluminationSettings, rng: np.random.Generator, level: float, turn_deg: float
) -> Surroundings | None:
    if settings.picture is not None:
        picture = read_panorama(settings.picture)
    else:
        kind = settings.surroundings
        name = kind.pick(rng) if isinstance(kind, Choice) else kind
        if name == "dark":
            return None
        picture = drawn_surroundings(name)
    if picture.shape[1] > 1:
        picture = np.roll(picture, round(turn_deg / 360 * picture.shape[1]), axis=1)
    mean = float((picture.mean(axis=(1, 2)) * _row_share(len(picture))).sum())
    scaled = picture * np.float32(level / max(mean, 1e-9))
    return Surroundings(np.ascontiguousarray(scaled, np.float32), settings.seen)


def drawn_surroundings(kind: SurroundingsKind) -> Float32[np.ndarray, "rows columns 3"]:
    """A panorama without a file: radiance up to a factor."""
    if kind == "even":
        return np.ones((1, 1, 3), np.float32)
    height = np.deg2rad(90 - (np.arange(_ROWS) + 0.5) / _ROWS * 180)[:, None, None]
    if kind == "sky":
        shade = 0.2 + 0.8 * (0.5 + 0.5 * np.sin(height)) ** 2
        return np.asarray(np.broadcast_to(shade, (_ROWS, _COLUMNS, 3)), dtype=np.float32)
    way = np.deg2rad((np.arange(_COLUMNS) + 0.5) / _COLUMNS * 360)[None, :, None]
    picture = np.full((_ROWS, _COLUMNS, 3), _STUDIO_FLOOR)
    for azimuth, elevation, half, radiance in _BOXES:
        a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
        cosine = np.sin(height) * np.sin(e) + np.cos(height) * np.cos(e) * np.cos(way - a)
        inside = np.clip((cosine - np.cos(np.deg2rad(half))) / 0.05, 0, 1)
        picture += radiance * inside
    return picture.astype(np.float32)


def read_panorama(path: Path) -> Float32[np.ndarray, "rows columns 3"]:
    """Read a Radiance picture (.hdr) of the whole sphere.

    Raises:
        DataError: There is none, it is damaged, or it holds values that are no light.
    """
    import cv2

    if path.suffix.lower() != ".hdr":
        raise DataError(f"{path} must be a Radiance panorama, its name ending in .hdr; convert it")
    if not path.is_file():
        raise DataError(f"cannot read {path}: there is no such file; check the path")
    picture = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if picture is None or picture.ndim != 3 or picture.shape[0] * picture.shape[1] > _MOST_PIXELS:
        raise DataError(f"{path} is no readable Radiance panorama; get it again")
    rgb = np.asarray(picture[..., ::-1], dtype=np.float32)
    if not (np.isfinite(rgb).all() and (rgb >= 0).all() and rgb.max() > 0):
        raise DataError(f"{path} must hold light of 0 or more and not be black; get it again")
    return np.ascontiguousarray(rgb)


def _row_share(rows: int) -> Float64[np.ndarray, "rows"]:
    """Share of the sphere that each row of a panorama covers."""
    edges = np.cos(np.linspace(0, np.pi, rows + 1))
    return np.asarray(0.5 * (edges[:-1] - edges[1:]))


def _triple(vector: Float64[np.ndarray, "3"]) -> Triple:
    return float(vector[0]), float(vector[1]), float(vector[2])
