# SPDX-License-Identifier: Apache-2.0
"""Whether an organ of the labels is gone, or something stands where the labels have nothing."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from endoforge.evaluation.audit.cues import SMALLEST_OBJECT, Scene
from endoforge.evaluation.audit.views import View, blurred, halved, mean_within
from endoforge.frames.frame import IGNORE
from endoforge.metrics.outlines import agreement, energy

Mask = Bool[np.ndarray, "height width"]

#: A border is visible in the source where its edge has at least this energy.
_VISIBLE = 0.06
#: Two sides of a border differ at least by this in the source, CIE Lab.
_CONTRAST = 4.0
#: Fewer pixels say nothing.
_FEWEST = 25
#: Below this many pixels there is no fit of colours.
_FEWEST_TO_FIT = 60


def lost_measures(scene: Scene, other: View) -> dict[str, float]:
    """Whether borders and objects of the labels are still to be seen."""
    own = energy(scene.view.outlines(2.0))
    shared = agreement(scene.view.outlines(2.0), other.outlines(2.0))
    kept = np.clip(cv2.dilate(shared, np.ones((3, 3), np.uint8)) / (own + 1e-6), 0, 1)
    visible = scene.borders & (own > _VISIBLE)
    whole = float(kept[visible].mean()) if visible.any() else 1.0
    means = [
        float(kept[rim].mean())
        for one in scene.rims
        if np.count_nonzero(rim := one & visible) > _FEWEST
    ]
    return {
        "borders_lost": 1 - whole,
        "object_lost": 1 - min(means, default=1.0),
        "object_lost_over": max(0.0, whole - min(means, default=whole)),
        "faded": max(0.0, max(_faded(scene, other), default=0.0)),
    }


def look_measures(scene: Scene, other: View) -> dict[str, float]:
    """Whether the new colours follow from the old ones, from class, depth and place.

    A linear fit within the frame explains a change of colours, of light and of each organ's look.
    It does not explain an organ that stands where the labels have none: colours stay over, and new
    edges where they begin. Reflections are left out, they lie elsewhere in another light. All of
    it is smooth, so it is measured at half the size.
    """
    before, after = scene.view.half, other.half
    known = halved(scene.counts.astype(np.uint8), cv2.INTER_NEAREST) > 0
    dull = known & ~(before.reflections | after.reflections)
    if np.count_nonzero(dull) < _FEWEST_TO_FIT:
        dull = known
    if not dull.any():
        return {}
    old, new = before.smooth_lab, after.smooth_lab
    left = _unexplained(_regressors(scene, old), new, dull)
    odd, odd_colour = (np.linalg.norm(left[..., k:], axis=-1) for k in (0, 1))
    fine, coarse = (_new_edges(before, after, sigma) * dull for sigma in (1.0, 2.0))
    stranger = mean_within(coarse * blurred(odd, 1), dull, 3)[dull]
    coloured = mean_within(fine * blurred(odd_colour, 1), dull, 3)[dull]
    edges, strange = mean_within(fine, dull, 3)[dull], mean_within(odd, dull, 2)[dull]
    return {
        "look_odd": _top(strange),
        "look_median": float(np.median(odd[dull])),
        "edges_new": _top(edges),
        "stranger": _top(stranger),
        "stranger_over": _over(stranger, 0.03),
        "stranger_colour": _top(coloured),
        "stranger_colour_over": _over(coloured, 0.02),
        "light_order": 1 - correlation(old[known][:, 0], new[known][:, 0]),
    }


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation; 1 where one of the two is flat."""
    one, two = first - first.mean(), second - second.mean()
    product = float(np.sqrt((one @ one) * (two @ two)))
    return float(one @ two) / product if product > 1e-9 else 1.0


# ---- inside -------------------------------------------------------------------------------------


def _top(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.995))


def _over(values: np.ndarray, floor: float) -> float:
    """The largest against what is usual in the same frame, or against a floor."""
    usual, top = np.quantile(values, (0.6, 0.995))
    return float(top / (usual + 0.02 * top + floor))


def _faded(scene: Scene, other: View) -> Iterator[float]:
    """For each object, how much less its two sides differ than they did, as a logarithm."""
    for inside, outside in scene.sides:
        pairs = [_mean_lab(image, (inside, outside)) for image in (scene.image, other.image)]
        before, after = (float(np.linalg.norm(pair[0] - pair[1])) for pair in pairs)
        if before > _CONTRAST:
            yield float(np.log((before + 1) / (after + 1)))


def _mean_lab(image: np.ndarray, places: tuple[Any, Any]) -> Float32[np.ndarray, "2 3"]:
    means = np.array([[image[place].mean(axis=0) / 255 for place in places]], np.float32)
    return np.asarray(cv2.cvtColor(means, cv2.COLOR_RGB2LAB)[0])


def _unexplained(
    regressors: np.ndarray, wanted: np.ndarray, where: np.ndarray
) -> Float32[np.ndarray, "height width 3"]:
    """What a linear fit over some pixels leaves over; 0 elsewhere."""
    known = regressors[where]
    known /= known.std(axis=0) + 1e-3
    normal = known.T @ known + 1e-3 * len(known) * np.eye(known.shape[1], dtype=np.float32)
    left = np.zeros(wanted.shape, np.float32)
    left[where] = wanted[where] - known @ np.linalg.solve(normal, known.T @ wanted[where])
    return left


def _new_edges(before: View, after: View, sigma_px: float) -> np.ndarray:
    """Energy of edges that the first picture has not within a pixel."""
    pair = before.outlines(sigma_px), after.outlines(sigma_px)
    near = cv2.dilate(np.maximum(agreement(*pair), 0), np.ones((3, 3), np.uint8))
    return np.asarray(np.maximum(energy(pair[1]) - near, 0))


def _regressors(scene: Scene, lab: np.ndarray) -> Float32[np.ndarray, "height width regressors"]:
    height, width = lab.shape[:2]
    v, u = np.mgrid[:height, :width].astype(np.float32) / height
    light = lab[..., 0]
    depth = np.log(halved(scene.depth_mm, cv2.INTER_NEAREST) + 1)
    columns = [np.ones_like(v), light, lab[..., 1], lab[..., 2], light**2 / 50, depth]
    columns += [u, v, u * u, v * v, u * v]
    tissue = halved(scene.tissue, cv2.INTER_NEAREST)
    for index in np.unique(tissue[tissue != IGNORE]):
        mask = (tissue == index).astype(np.float32)
        if mask.mean() > SMALLEST_OBJECT:
            soft = blurred(mask, 1.5)
            columns += [soft, soft * light]
    return np.stack(columns, axis=-1).astype(np.float32)
