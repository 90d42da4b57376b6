# SPDX-License-Identifier: Apache-2.0
"""Fits a noisy picture, piece by piece, by what is known of its pixels without noise.

In windows of several sizes each colour is a linear function of the guides; which window is best at
a place is estimated from the noise itself. Nothing here knows what the guides mean.
"""

from collections.abc import Iterator, Mapping, Sequence
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
#: a guide; best of a few on drawn CTs, as are the next two.
_CAUTION = 0.5
#: Fits compete over a neighbourhood of this standard deviation, px...
_CONTEST_PX = 5
#: ...and one that is worse by this share of the noise's variance counts 1/e.
_TOLERANCE = 0.03
#: What the fits left over is looked at with these standard deviations, px; its power over so many
#: times as far; and it must exceed the noise's power by this factor.
_DETAIL_PX = (2.0, 1.0)
_DETAIL_REACH, _DETAIL_DOUBT = 4.0, 2.0
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
class _Windows:
    """Means and covariances in the windows around the cells of a grid.

    Attributes:
        cell_px: Edge of a cell.
        weight: Share of a cell's pixels that count.
        guide: Mean of each guide.
        colour: Mean of each colour.
        spread: Covariance of two guides, by their numbers.
        mixed: Covariance of each guide with each colour.
        ridge: What is added to a guide's variance so that its slope does not follow noise.
    """

    cell_px: int
    weight: Plane
    guide: Planes
    colour: Planes
    spread: Mapping[tuple[int, int], Plane]
    mixed: Sequence[Planes]
    ridge: Plane


def fitted(
    noisy: Noisy, guides: Sequence[np.ndarray], choices: Sequence[Sequence[int]] | None = None
) -> Picture:
    """Smooth a picture by local linear fits.

    The result is a weighted mean of the fits for every choice of guides and every window, and of
    the noisy picture itself, so that it converges to the truth as the noise falls. The weights
    follow from an unbiased estimate of each fit's error (Stein's).

    Args:
        noisy: The picture. Where it does not count, the result is a continuation of the rest.
        guides: Pictures (height, width) of order one without noise.
        choices: Numbers of the guides that compete as one; None for all together.

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
    planes = np.stack([_centred(_padded(g.astype(np.float32), coarsest)) for g in guides])
    for windows in _all_windows(planes, colours, variance, counts, coarsest):
        for choice in choices or [range(len(guides))]:
            contest.enter(*_fit(windows, planes, choice))
    smooth = np.ascontiguousarray(np.moveaxis(contest.result(), 0, -1)[:height, :width])
    return np.asarray(np.maximum(_with_detail(smooth, noisy), 0))


def _with_detail(smooth: Picture, noisy: Noisy) -> Picture:
    """Add what no guide explains, such as thin shadows, where it stands out of the noise.

    What is left of the noisy picture is blurred twice; each time as much of it is taken as its
    power exceeds that of blurred noise (a local Wiener filter).
    """
    counts = noisy.counts[..., None].astype(np.float32)
    variance = _blurred(noisy.variance, _DETAIL_PX[0])
    for deviation in _DETAIL_PX:
        left = _blurred((noisy.radiance - smooth) * counts, deviation)
        power = _blurred(np.square(left).mean(axis=-1), _DETAIL_REACH * deviation)
        noise = variance / np.float32(4 * np.pi * deviation**2)
        share = np.maximum(1 - _DETAIL_DOUBT * noise / (power + _TINY), 0)
        smooth = smooth + share[..., None] * left
    return smooth


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


def _all_windows(
    guides: Planes, colours: Planes, variance: Plane, counts: Plane, coarsest: int
) -> Iterator[_Windows]:
    """Of ever larger cells, from 2 px on."""
    counted, lit = guides * counts, colours * counts
    numbers = range(len(guides))
    planes = [counts, variance * counts, *counted, *lit]
    planes += [guides[i] * counted[j] for i, j in _pairs(numbers)]
    planes += [guide * colour for guide in guides for colour in lit]
    cell = 1
    while cell < coarsest:
        cell *= 2
        planes = [_halved(plane) for plane in planes]
        yield _windows(cell, planes, len(guides))


def _windows(cell_px: int, sums: Sequence[Plane], count: int) -> _Windows:
    """Blur the cells' sums and take the means' products away."""
    share = _blurred(sums[0], _WINDOW_CELLS) + np.float32(1e-6)
    means = iter([_blurred(plane, _WINDOW_CELLS) / share for plane in sums[1:]])
    variance = next(means)
    guide, colour = (np.stack([next(means) for _ in range(n)]) for n in (count, 3))
    spread = {(i, j): next(means) - guide[i] * guide[j] for i, j in _pairs(range(count))}
    mixed = [np.stack([next(means) for _ in range(3)]) - g * colour for g in guide]
    bright = np.square(colour.mean(axis=0))
    bright += 1e-3 * bright.mean() + np.float32(_TINY)
    ridge = np.minimum(_CAUTION / _reach_px(cell_px) * variance / bright, 1e6) + _LEAST_RIDGE
    return _Windows(cell_px, sums[0], guide, colour, spread, mixed, ridge.astype(np.float32))


def _reach_px(cell_px: int) -> float:
    """How many pixels a fit averages over, after the blur of sums and that of slopes."""
    return 4 * np.pi * (_WINDOW_CELLS * cell_px) ** 2


def _fit(windows: _Windows, guides: Planes, choice: Sequence[int]) -> tuple[Planes, Plane]:
    """The linear fit in each window by some of the guides, read at every pixel, and its leverage.

    The leverage is one share of the window's pixels for each free coefficient.
    """
    ridge, spread = windows.ridge, windows.spread
    left: dict[tuple[int, int], np.ndarray] = {}
    for a, b in _pairs(range(len(choice))):
        left[a, b] = spread[choice[a], choice[b]]
    free = np.ones_like(ridge)
    for a in range(len(choice)):
        own = np.maximum(left[a, a], 0)
        left[a, a] = own + ridge
        free += own / left[a, a]
    slopes = solved(left, [windows.mixed[i] for i in choice])
    level = windows.colour - sum(
        slope * windows.guide[i] for slope, i in zip(slopes, choice, strict=True)
    )
    shape = guides.shape[1:]
    fit = _read(level, windows.weight, shape)
    for slope, i in zip(slopes, choice, strict=True):
        fit += _read(slope, windows.weight, shape) * guides[i]
    return fit, _enlarged(free / np.float32(_reach_px(windows.cell_px)), shape)


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


def _pairs(numbers: range) -> list[tuple[int, int]]:
    return [(i, j) for i in numbers for j in range(i, numbers.stop)]


def _read(planes: np.ndarray, weight: Plane, shape: tuple[int, ...]) -> np.ndarray:
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
