# SPDX-License-Identifier: Apache-2.0
"""Fits a noisy picture, piece by piece, by what is known of its pixels without noise.

In windows of several sizes each colour is a linear function of the guides; which window is best at
a place is estimated from the noise itself. Nothing here knows what the guides mean.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

Plane = Float32[np.ndarray, "_ _"]  # sizes differ from grid to grid
Planes = Float32[np.ndarray, "_ _ _"]
Picture = Float32[np.ndarray, "height width 3"]

#: Every window has a standard deviation of one cell of its grid: 2, 4, 8... px.
_WINDOW_CELLS = 1.0
#: The coarsest grid has at least so many cells along the shorter side.
_FEWEST_CELLS = 32
#: Slopes are held back as by a prior of standard deviation |local mean| / sqrt(this) per unit of
#: a guide; best of a few on prototypes of cinematic pictures, as are the next two.
_CAUTION = 3.0
#: Fits compete over a neighbourhood of this standard deviation, px...
_CONTEST_PX = 8
#: ...and one that is worse by this share of the noise's variance counts 1/e.
_TOLERANCE = 0.03
_LEAST_RIDGE = 1e-5
_TINY = 1e-20


@dataclass(frozen=True, eq=False)
class Noisy:
    """What is to be fitted.

    Attributes:
        radiance: Mean of the samples.
        variance: Of that mean, averaged over the colours.
        counts: False where a pixel is to be left out of all fits.
    """

    radiance: Picture
    variance: Float32[np.ndarray, "height width"]
    counts: Bool[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class _Grid:
    """Sums over the cells of a grid, whose edge is a power of two of pixels.

    Attributes:
        cell_px: Edge of a cell.
        weight: Share of the pixels that count.
        guides: Their values.
        pairs: Products of two guides each, as `_pairs` lists them.
        colours: The three colours.
        mixed: Products of each guide with each colour.
        variance: Of the noise.
    """

    cell_px: int
    weight: Plane
    guides: Planes
    pairs: Planes
    colours: Planes
    mixed: Float32[np.ndarray, "_ 3 _ _"]
    variance: Plane


def fitted(noisy: Noisy, guide_sets: Sequence[Sequence[np.ndarray]]) -> Picture:
    """Smooth a picture by local linear fits.

    The result is a weighted mean of the fits for every set of guides and every window, and of the
    noisy picture itself, so that it converges to the truth as the noise falls. The weights follow
    from an unbiased estimate of each fit's error (Stein's).

    Args:
        noisy: The picture. Where it does not count, the result is a continuation of the rest.
        guide_sets: Each a list of pictures (height, width) of order one without noise.

    Source:
        He, Sun & Tang, *Guided image filtering*, ECCV 2010, section 3.4 (several guides), with
        coarse grids as in He & Sun, *Fast guided filter*, 2015; Li, Wu & Chuang, *SURE-based
        optimization for adaptive sampling and reconstruction*, SIGGRAPH Asia 2012, equation 6.
    """
    height, width = noisy.counts.shape
    coarsest = _coarsest(height, width)
    colours = _split(_padded(noisy.radiance, coarsest))
    variance = _padded(noisy.variance, coarsest)
    counts = _padded(noisy.counts.astype(np.float32), coarsest)
    contest = _Contest(colours, variance, counts)
    for guides in guide_sets:
        planes = np.stack([_centred(_padded(g.astype(np.float32), coarsest)) for g in guides])
        for grid in _grids(planes, colours, variance, counts, coarsest):
            contest.enter(*_fit(grid, planes))
    smooth = np.moveaxis(contest.result(), 0, -1)[:height, :width]
    return np.ascontiguousarray(np.maximum(smooth, 0))


class _Contest:
    """Keeps the fits and their estimated errors until all are known."""

    def __init__(self, colours: Planes, variance: Plane, counts: Plane) -> None:
        self._colours, self._variance, self._counts = colours, variance, counts
        self._fits: list[Planes] = [colours]
        self._errors: list[Plane] = [self._around(variance)]
        self._noise = self._errors[0]

    def enter(self, fit: Planes, leverage: Plane) -> None:
        """Take part; `leverage` is how much of a pixel's own noise the fit keeps, 0 to 1."""
        apart = np.square(fit - self._colours).mean(axis=0)
        kept = np.minimum(leverage, 1)
        self._fits.append(fit)
        self._errors.append(self._around(apart - self._variance + 2 * self._variance * kept))

    def result(self) -> Planes:
        errors = np.stack(self._errors)
        behind = errors - errors.min(axis=0)
        share = np.exp(-behind / (_TOLERANCE * self._noise + _TINY))
        share /= share.sum(axis=0)
        shape = self._variance.shape
        result = np.zeros_like(self._colours)
        for one, fit in zip(share, self._fits, strict=True):
            result += _enlarged(one, shape) * fit
        return result

    def _around(self, values: Plane) -> Plane:
        cells = _halved(_halved(values * self._counts))
        return _blurred(cells, _CONTEST_PX / 4)


def _coarsest(height: int, width: int) -> int:
    """Edge of the coarsest grid's cells: 4 px, or more for larger pictures."""
    cell = 4
    while min(height, width) >= 2 * cell * _FEWEST_CELLS:
        cell *= 2
    return cell


def _grids(
    guides: Planes, colours: Planes, variance: Plane, counts: Plane, coarsest: int
) -> Iterator[_Grid]:
    """Sums over ever larger cells, from 2 px on."""
    products = [guides[i] * guides[j] for i, j in _pairs(len(guides))]
    planes = [
        counts,
        variance * counts,
        *(plane * counts for plane in (*guides, *products, *colours)),
        *(g * c * counts for g in guides for c in colours),
    ]
    count, pairs = len(guides), len(products)
    cell = 1
    while cell < coarsest:
        cell *= 2
        planes = [_halved(plane) for plane in planes]
        rest = np.stack(planes[2:])
        yield _Grid(
            cell_px=cell,
            weight=planes[0],
            variance=planes[1],
            guides=rest[:count],
            pairs=rest[count : count + pairs],
            colours=rest[count + pairs : count + pairs + 3],
            mixed=rest[count + pairs + 3 :].reshape(count, 3, *planes[0].shape),
        )


def _fit(grid: _Grid, guides: Planes) -> tuple[Planes, Plane]:
    """The linear fit around every cell, read at every pixel, and its leverage."""
    count = len(guides)
    weight = _blurred(grid.weight, _WINDOW_CELLS) + np.float32(1e-6)

    def mean(plane: np.ndarray) -> np.ndarray:
        blurred: np.ndarray = _blurred(plane, _WINDOW_CELLS) / weight
        return blurred

    guide = np.stack([mean(plane) for plane in grid.guides])
    colour = np.stack([mean(plane) for plane in grid.colours])
    window = np.float32(4 * np.pi * (_WINDOW_CELLS * grid.cell_px) ** 2)  # px, after both blurs
    bright = np.square(colour.mean(axis=0))
    ridge = _CAUTION / window * mean(grid.variance) / (bright + 1e-3 * bright.mean() + _TINY)
    ridge = np.minimum(ridge, 1e6) + np.float32(_LEAST_RIDGE)
    spread, right = {}, []
    for plane, (i, j) in zip(grid.pairs, _pairs(count), strict=True):
        spread[i, j] = mean(plane) - guide[i] * guide[j]
    free = 1 + sum(np.maximum(spread[i, i], 0) / (spread[i, i] + ridge) for i in range(count))
    for i in range(count):
        spread[i, i] = np.maximum(spread[i, i], 0) + ridge
        right.append(np.stack([mean(p) for p in grid.mixed[i]]) - guide[i] * colour)
    slopes = solved(spread, right)
    level = colour - sum(s * g for s, g in zip(slopes, guide, strict=True))
    shape = guides.shape[1:]
    fit = _spread_out(level, grid.weight, shape)
    for slope, plane in zip(slopes, guides, strict=True):
        fit += _spread_out(slope, grid.weight, shape) * plane
    return fit, _enlarged((free / window).astype(np.float32), shape)


def solved(
    matrix: dict[tuple[int, int], np.ndarray], right: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Solve many small symmetric positive definite systems at once, without pivoting.

    Args:
        matrix: The upper triangle; each entry is an array over all systems.
        right: One right side per row; arrays whose last axes are those of the entries.

    Returns:
        The unknowns, shaped as `right`.
    """
    count = len(right)
    factor: dict[tuple[int, int], np.ndarray] = {}
    pivots: list[np.ndarray] = []
    for j in range(count):
        pivot = matrix[j, j] - sum(factor[j, k] ** 2 * pivots[k] for k in range(j))
        pivots.append(np.maximum(pivot, np.float32(0.5 * _LEAST_RIDGE)))
        for i in range(j + 1, count):
            rest = sum(factor[i, k] * factor[j, k] * pivots[k] for k in range(j))
            factor[i, j] = (matrix[j, i] - rest) / pivots[j]
    unknown = [np.array(row) for row in right]
    for i in range(count):
        for k in range(i):
            unknown[i] -= factor[i, k] * unknown[k]
    for i in reversed(range(count)):
        unknown[i] /= pivots[i]
        for k in range(i + 1, count):
            unknown[i] -= factor[k, i] * unknown[k]
    return unknown


def _pairs(count: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(count) for j in range(i, count)]


def _spread_out(planes: np.ndarray, weight: Plane, shape: tuple[int, ...]) -> np.ndarray:
    """The mean over all windows that reach a pixel, each as much as its pixels count."""
    sure = weight + np.float32(1e-6)
    total = _blurred(sure, _WINDOW_CELLS)
    return np.stack([_enlarged(_blurred(p * sure, _WINDOW_CELLS) / total, shape) for p in planes])


def _centred(plane: Plane) -> Plane:
    return np.asarray(plane - plane.mean(dtype=np.float64), dtype=np.float32)


def _split(picture: Picture) -> Planes:
    return np.ascontiguousarray(np.moveaxis(picture, -1, 0))


def _padded(picture: np.ndarray, cell: int) -> np.ndarray:
    """Mirrored to whole cells."""
    height, width = picture.shape[:2]
    below, right = -height % cell, -width % cell
    padded = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REFLECT)
    return np.asarray(padded)


def _halved(plane: np.ndarray) -> np.ndarray:
    height, width = plane.shape
    return np.asarray(cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA))


def _enlarged(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR))


def _blurred(plane: np.ndarray, deviation: float) -> np.ndarray:
    blurred = cv2.GaussianBlur(plane, (0, 0), deviation, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred)
