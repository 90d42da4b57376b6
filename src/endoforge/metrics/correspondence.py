# SPDX-License-Identifier: Apache-2.0
"""How far each piece of a scene has moved between two pictures of different look, in px.

Outlines are matched, not colours, from coarse to fine. Where both pictures are flat, or share
nothing, no place is better than another: the confidence says so.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.errors import ShapeError
from endoforge.metrics.outlines import agreement, energy, outlines

#: Added to the energy of a window, so that nothing is made of noise.
_FLOOR = 0.004

#: Pixels per step, reach in steps to each side, and how much better the farthest match must fit:
#: the coarsest level decides, so it does not run far for little.
_LEVELS = ((4, 5, 0.08), (2, 2, 0.004), (1, 2, 0.004))


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Displacement from the first picture to the second.

    Attributes:
        displacement_px: (du, dv) of what was at each pixel of the first picture.
        gain: How much better the outlines agree there than at the same place, 0 to 2; near 0 where
            nothing moved.
        confidence: How much better they agree there than elsewhere within reach, 0 to 1.
        counts: Pixels that were looked at.
    """

    displacement_px: Float32[np.ndarray, "height width 2"]
    gain: Float32[np.ndarray, "height width"]
    confidence: Float32[np.ndarray, "height width"]
    counts: Bool[np.ndarray, "height width"]

    @property
    def length_px(self) -> Float32[np.ndarray, "height width"]:
        """Length of the displacement, px."""
        return np.asarray(np.linalg.norm(self.displacement_px, axis=-1))

    def quantile_px(self, share: float) -> float:
        """Quantile of the length over the pixels that count, each weighed by its confidence, px.

        0 where no pixel has any confidence.
        """
        lengths = self.length_px[self.counts].astype(np.float64)
        weights = self.confidence[self.counts].astype(np.float64)
        if weights.sum() <= 0:
            return 0.0
        order = np.argsort(lengths)
        reached = np.cumsum(weights[order]) / weights.sum()
        return float(lengths[order][min(int(np.searchsorted(reached, share)), len(order) - 1)])


def correspondence(
    first: UInt8[np.ndarray, "height width 3"],
    second: UInt8[np.ndarray, "height width 3"],
    counts: Bool[np.ndarray, "height width"],
    weight: Float32[np.ndarray, "height width"] | None = None,
) -> Correspondence:
    """Match two pictures of one scene in different looks, up to about 20 px, below a pixel.

    Args:
        first: Display-referred sRGB.
        second: The same scene in another look.
        counts: Pixels of the first that count, without the surround of a round picture.
        weight: How much the outlines of each pixel matter, 0 to 1; None is 1 wherever it counts.

    Raises:
        ShapeError: The pictures differ in size, or are smaller than 32 px.
    """
    if first.shape != second.shape or counts.shape != first.shape[:2] or min(counts.shape) < 32:
        raise ShapeError(
            f"expected two pictures of one size, 32 px or more, got {first.shape}, {second.shape} "
            f"and a mask of {counts.shape}; resize the translation to its source"
        )
    matters = counts.astype(np.float32) * (1 if weight is None else weight)
    flow = np.zeros((*counts.shape, 2), np.float32)
    best = start = elsewhere = np.zeros(counts.shape, np.float32)
    for step, reach, reluctant in _LEVELS:
        one, other = (_outlines_at(image, step) for image in (first, second))
        level = _Level(one, other, _resized(matters, one.shape[:2]))
        base = _resized(flow, one.shape[:2]) / step
        found, best, elsewhere = level.search(base, reach, reluctant)
        start = level.fit_in_place()
        flow = _resized(_smoothed(found, best), counts.shape) * step
    best, start, elsewhere = (_resized(one, counts.shape) for one in (best, start, elsewhere))
    gain = np.where(counts, np.clip(best - start, 0, None), 0).astype(np.float32)
    confidence = np.where(counts, np.clip(best - elsewhere, 0, 1), 0).astype(np.float32)
    return Correspondence(flow, gain, confidence, counts)


# ---- inside -------------------------------------------------------------------------------------


class _Level:
    """Both pictures' outlines at one scale."""

    def __init__(
        self,
        first: Float32[np.ndarray, "height width 4"],
        second: Float32[np.ndarray, "height width 4"],
        weight: Float32[np.ndarray, "height width"],
    ) -> None:
        self._weighted = first * weight[..., None]
        self._second = second
        self._own = _window(energy(first) * weight)

    def fit_in_place(self) -> Float32[np.ndarray, "rows columns"]:
        """Local correlation of the outlines where nothing is moved, -1 to 1; see `_window`."""
        return self._fit_of(self._second, energy(self._second))

    def search(
        self, base: Float32[np.ndarray, "height width 2"], reach: int, reluctant: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Try all displacements around a first guess.

        Args:
            base: The guess, px of this level.
            reach: Largest step from there to each side, px.
            reluctant: How much better the farthest must fit than the guess itself.

        Returns:
            The displacement, how well it fits, and how well the displacements fit on average, all
            on the grid of `_window`.
        """
        moved = _padded(_moved(self._second, base), reach)
        strong = energy(moved)
        side, (height, width) = 2 * reach + 1, base.shape[:2]
        fits = np.empty((side, side, *self._own.shape), np.float32)
        for row in range(side):
            for column in range(side):
                place = np.s_[row : row + height, column : column + width]
                fits[row, column] = self._fit_of(moved[place], strong[place])
        steps = np.arange(side) - reach
        far = np.hypot(*np.meshgrid(steps, steps)) / reach
        offset, best = _peak(fits, (reluctant * far).astype(np.float32))
        return _resized(base, best.shape) + offset, best, fits.mean(axis=(0, 1))

    def _fit_of(self, moved: np.ndarray, strong: np.ndarray) -> np.ndarray:
        shared, other = _window(agreement(self._weighted, moved)), _window(strong)
        return np.asarray(shared / np.sqrt((self._own + _FLOOR) * (other + _FLOOR)))


def _outlines_at(image: np.ndarray, step: int) -> np.ndarray:
    height, width = image.shape[:2]
    size = (max(8, round(width / step)), max(8, round(height / step)))
    small = image if step == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return outlines(small, 1.0 if step < 4 else 0.8)


def _window(values: np.ndarray) -> np.ndarray:
    """Mean in a Gaussian window of 4 px around every other pixel of every other row."""
    half = (-(-values.shape[1] // 2), -(-values.shape[0] // 2))
    small = cv2.resize(values, half, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 2.0))


def _padded(fields: np.ndarray, by: int) -> np.ndarray:
    """The field with its edges repeated on all sides."""
    return np.asarray(cv2.copyMakeBorder(fields, by, by, by, by, cv2.BORDER_REPLICATE))


def _moved(fields: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The field at x + flow(x)."""
    height, width = flow.shape[:2]
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(
        cv2.remap(
            fields, u + flow[..., 0], v + flow[..., 1], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )  # fmt: skip


def _peak(fits: np.ndarray, penalty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best displacement of each pixel and its fit, between the steps by two parabolas."""
    side = fits.shape[0]
    flat = fits.reshape(side * side, -1)
    place = (flat - penalty.reshape(-1, 1)).argmax(axis=0)
    pixels = np.arange(flat.shape[1])
    row, column = place // side, place % side

    def at(r: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.asarray(flat[r.clip(0, side - 1) * side + c.clip(0, side - 1), pixels])

    best = at(row, column)
    offset = np.empty((flat.shape[1], 2), np.float32)
    offset[:, 0] = column - side // 2 + _vertex(at(row, column - 1), best, at(row, column + 1))
    offset[:, 1] = row - side // 2 + _vertex(at(row - 1, column), best, at(row + 1, column))
    shape = fits.shape[2:]
    return offset.reshape(*shape, 2), best.reshape(shape)


def _vertex(before: np.ndarray, best: np.ndarray, after: np.ndarray) -> np.ndarray:
    bend = before + after - 2 * best
    inner = (before < best) & (after < best)  # false at the end of the reach
    return np.where(inner, 0.5 * (before - after) / np.minimum(bend, -1e-9), 0.0)


def _smoothed(flow: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Mean over a window, weighed by the fit, so that flat places take over their neighbours'."""
    weight = np.clip(fit, 0, 1)[..., None] ** 2 + 1e-4
    blurred = cv2.GaussianBlur(flow * weight, (0, 0), 1.25)
    total = cv2.GaussianBlur(weight, (0, 0), 1.25)
    return np.asarray(blurred / total[..., None], np.float32)


def _resized(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if values.shape[:2] == tuple(shape[:2]):
        return values
    how = cv2.INTER_AREA if values.shape[0] > shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=how))
