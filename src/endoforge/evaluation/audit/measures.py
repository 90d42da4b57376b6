# SPDX-License-Identifier: Apache-2.0
"""What is measured of a frame and its translation; each measure is larger the worse it is.

The measures know nothing of each other and of any threshold; `calibration` makes one score of them.
Names, formulas and what each of them sees: docs/concepts/label-drift.md.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.errors import ShapeError
from endoforge.evaluation.audit.cues import Scene, resized
from endoforge.frames.frame import IGNORE, Frame
from endoforge.metrics.correspondence import Correspondence, correspondence
from endoforge.metrics.outlines import agreement, energy, outlines
from endoforge.metrics.structure import structure

Picture = UInt8[np.ndarray, "height width 3"]

#: Larger pictures are shrunk to this longer side, px: warps of 2 px of a small picture would be
#: below the sensor's own sharpness in a large one.
LONGEST_PX = 480

#: The measures that the score may be made of.
SCORED = (
    *("edges_2", "edges_4", "weakest_2", "weakest_4", "border_edges_2", "border_edges_4"),
    *("borders_lost", "object_lost", "shift_median_px", "shift_95_px", "shift_gain"),
    *("border_shift_95_px", "border_gain", "border_gain_px", "look_odd", "look_median"),
    *("edges_new", "stranger", "stranger_colour"),
    *("light_order", "blurred", "depth_changed", "depth_worst", "depth_order"),
    *("classes_changed", "class_worst"),
)

#: A border is visible in the source where its edge has at least this energy.
_VISIBLE = 0.06
_SMALLEST_OBJECT = 0.003
_BORDER_PX = 2.0
#: A displacement is believed from this confidence on.
_SURE = 0.1
#: All colours of a reflection are brighter, display values.
_PALE = 185
#: Below this many pixels there is no fit of colours.
_FEWEST = 200


@runtime_checkable
class DepthEstimator(Protocol):
    """A frozen depth network."""

    def predict_batch(
        self, images: UInt8[np.ndarray, "batch height width 3"]
    ) -> Float32[np.ndarray, "batch height width"]:
        """Return z for each pixel, mm."""
        ...


@runtime_checkable
class Segmenter(Protocol):
    """A frozen segmentation network."""

    def predict(self, image: Picture) -> UInt8[np.ndarray, "height width"]:
        """Return the likeliest class of each pixel."""
        ...


class Measurer:
    """Measures frames against their translations with networks that stay the same."""

    def __init__(
        self,
        names: Mapping[int, str],
        depth: DepthEstimator | None = None,
        segmenter: Segmenter | None = None,
    ) -> None:
        """Keep the networks.

        Args:
            names: Class names of the data set by index.
            depth: A depth network; without it geometry is not measured.
            segmenter: A segmentation network; without it semantics are not measured.
        """
        self._names, self._depth, self._segmenter = dict(names), depth, segmenter

    def measure(self, frame: Frame, translated: Picture) -> dict[str, float]:
        """Return all measures by name.

        Raises:
            ShapeError: The translation is of another size than the frame.
        """
        if translated.shape != frame.image.shape:
            raise ShapeError(
                f"expected a translation of the frame's size {frame.image.shape}, got "
                f"{translated.shape}; translate at the data set's size"
            )
        scene = Scene.of(frame, self._names, LONGEST_PX)
        other = resized(translated, LONGEST_PX, cv2.INTER_AREA)
        if not scene.counts.any():
            return {}
        found = edges_measures(scene, other) | shift_measures(scene, other)
        found |= look_measures(scene, other)
        if self._depth is not None:
            found |= geometry_measures(scene, other, self._depth)
        if self._segmenter is not None:
            found |= class_measures(scene, other, self._segmenter)
        return found


def edges_measures(scene: Scene, other: Picture) -> dict[str, float]:
    """Whether the edges of the source, and those that its labels ask for, are still there."""
    whole = structure(scene.image, other, scene.counts)
    near = _near_borders(scene)
    at_borders = structure(scene.image, other, near > 0.3) if (near > 0.3).any() else whole
    kept, visible = _kept_borders(scene, other)
    means = [
        float(kept[rim].mean())
        for mask in scene.objects(_SMALLEST_OBJECT)
        if (rim := _rim(mask) & visible).sum() > 25
    ]
    return {
        "edges_2": 1 - whole.whole[1],
        "edges_4": 1 - whole.whole[2],
        "weakest_2": 1 - whole.weakest[1],
        "weakest_4": 1 - whole.weakest[2],
        "border_edges_2": 1 - at_borders.whole[1],
        "border_edges_4": 1 - at_borders.whole[2],
        "borders_lost": 1 - float(kept[visible].mean()) if visible.any() else 0.0,
        "object_lost": 1 - min(means) if means else 0.0,
    }


def shift_measures(scene: Scene, other: Picture) -> dict[str, float]:
    """How far the picture has moved, in px of the frame, and how surely."""
    near = _near_borders(scene)
    anywhere = correspondence(scene.image, other, scene.counts)
    at_borders = correspondence(scene.image, other, scene.counts, near)
    return {
        "masks_moved": 1 - _overlap_when_moved(scene, anywhere),
        "shift_median_px": scene.shrunk * anywhere.quantile_px(0.5),
        "shift_95_px": scene.shrunk * anywhere.quantile_px(0.95),
        "shift_gain": _strongest(anywhere, anywhere.confidence),
        "border_shift_95_px": scene.shrunk * at_borders.quantile_px(0.95),
        "border_gain": _strongest(at_borders, at_borders.confidence),
        "border_gain_px": _strongest(at_borders, np.minimum(at_borders.length_px, 6) * near),
    }


def look_measures(scene: Scene, other: Picture) -> dict[str, float]:
    """Whether the new colours follow from the old ones, from class, depth and place.

    A linear fit within the frame explains a change of colours, of light and of each organ's look.
    It does not explain an organ that stands where the labels have none: colours stay over, and new
    edges where they begin. Reflections are left out, they lie elsewhere in another light.
    """
    dull = scene.counts & ~(_reflections(scene.image) | _reflections(other))
    if dull.sum() < _FEWEST:
        dull = scene.counts
    old, new = _smooth_lab(scene.image), _smooth_lab(other)
    left = _unexplained(_regressors(scene, old), new, dull)
    odd, odd_colour = (np.linalg.norm(left[..., k:], axis=-1) for k in (0, 1))
    fine, coarse = (_new_edges(scene.image, other, sigma) * dull for sigma in (2.0, 4.0))

    def worst(values: np.ndarray, window_px: float) -> float:
        return float(np.quantile(_blurred(values, window_px)[dull], 0.995))

    return {
        "look_odd": worst(odd, 4),
        "look_median": float(np.median(odd[dull])),
        "edges_new": worst(fine, 6),
        "stranger": worst(coarse * _blurred(odd, 2), 6),
        "stranger_colour": worst(fine * _blurred(odd_colour, 2), 6),
        "light_order": 1 - _correlation(old[scene.counts][:, 0], new[scene.counts][:, 0]),
        "blurred": max(0.0, _sharpness(scene.image, dull) - _sharpness(other, dull)),
    }


def geometry_measures(scene: Scene, other: Picture, network: DepthEstimator) -> dict[str, float]:
    """How much a depth network changes its mind, after taking out the scale."""
    before, after = np.log(network.predict_batch(np.stack([scene.image, other])))
    difference = np.zeros(scene.counts.shape, np.float32)
    inside = (after - before)[scene.counts]
    difference[scene.counts] = np.abs(inside - np.median(inside))
    return {
        "depth_changed": float(difference[scene.counts].mean()),
        "depth_worst": float(np.quantile(_blurred(difference, 4)[scene.counts], 0.99)),
        "depth_order": 1 - _correlation(before[scene.counts], after[scene.counts]),
    }


def class_measures(scene: Scene, other: Picture, network: Segmenter) -> dict[str, float]:
    """How much a segmentation network changes its mind, class by class.

    ``class_iou:N`` are the overlaps of class N, 1 at best: the only figures here that are better
    when larger; they are for people and not part of the score.
    """
    before, after = network.predict(scene.image), network.predict(other)
    found: dict[str, float] = {}
    for index in np.unique(before[scene.counts]):
        one, two = ((mask == index) & scene.counts for mask in (before, after))
        if index != IGNORE and one.mean() >= _SMALLEST_OBJECT:
            found[f"class_iou:{index}"] = float((one & two).sum() / (one | two).sum())
    overlaps = list(found.values()) or [1.0]
    changed = (before != after)[scene.counts]
    return found | {
        "classes_changed": float(changed.mean()),
        "class_worst": 1 - min(overlaps),
    }


# ---- inside -------------------------------------------------------------------------------------


def _near_borders(scene: Scene) -> Float32[np.ndarray, "height width"]:
    """1 on a border of the labels, less beside it, 0 beyond some px."""
    lines = scene.borders.astype(np.float32)
    profile = _blurred(lines, _BORDER_PX) * np.float32(_BORDER_PX * np.sqrt(2 * np.pi))
    return np.asarray(np.clip(profile, 0, 1), np.float32)


def _kept_borders(
    scene: Scene, other: Picture
) -> tuple[Float32[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
    """How well each pixel's edge is found within a pixel of it, and which borders were visible."""
    pair = [outlines(image, 2.0) for image in (scene.image, other)]
    own = energy(pair[0])
    shared = cv2.dilate(agreement(*pair), np.ones((3, 3), np.uint8))
    kept = np.clip(shared / (own + 1e-6), 0, 1).astype(np.float32)
    return kept, scene.borders & (own > _VISIBLE)


def _rim(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    kernel = np.ones((5, 5), np.uint8)
    solid = mask.astype(np.uint8)
    return np.asarray(cv2.dilate(solid, kernel) > cv2.erode(solid, kernel))


def _overlap_when_moved(scene: Scene, match: Correspondence) -> float:
    """Mean overlap (IoU) of each tissue's mask with itself, carried along by the displacement.

    Where no place within reach fits better than another nothing says that anything moved.
    """
    sure = (match.confidence >= _SURE)[..., None]
    flow = match.displacement_px * sure
    v, u = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    moved = cv2.remap(
        scene.tissue, u - flow[..., 0], v - flow[..., 1], cv2.INTER_NEAREST, borderValue=IGNORE
    )
    overlaps = []
    for index in np.unique(scene.tissue[scene.counts]):
        one, two = ((mask == index) & scene.counts for mask in (scene.tissue, moved))
        if index != IGNORE and one.mean() >= _SMALLEST_OBJECT:
            overlaps.append(float((one & two).sum() / (one | two).sum()))
    return float(np.mean(overlaps)) if overlaps else 1.0


def _reflections(image: Picture) -> Bool[np.ndarray, "height width"]:
    """Where a wet film reflects the lamp, with its rim.

    Fainter reflections stay: a mask that finds them takes pale organs for reflections too.
    """
    return np.asarray(cv2.dilate((image.min(-1) > _PALE).astype(np.uint8), np.ones((9, 9))) > 0)


def _unexplained(
    regressors: np.ndarray, wanted: np.ndarray, where: np.ndarray
) -> Float32[np.ndarray, "height width 3"]:
    """What a linear fit over some pixels leaves over; 0 elsewhere."""
    known = regressors[where] / (regressors[where].std(axis=0) + 1e-3)
    normal = known.T @ known + 1e-3 * len(known) * np.eye(known.shape[1], dtype=np.float32)
    left = np.zeros(wanted.shape, np.float32)
    left[where] = wanted[where] - known @ np.linalg.solve(normal, known.T @ wanted[where])
    return left


def _new_edges(image: Picture, other: Picture, sigma_px: float) -> np.ndarray:
    """Energy of edges that the first picture has not within 2 px."""
    pair = [outlines(one, sigma_px) for one in (image, other)]
    shared = np.maximum(agreement(*pair), 0)
    near = cv2.dilate(shared, np.ones((5, 5), np.uint8))
    return np.asarray(np.maximum(energy(pair[1]) - near, 0))


def _strongest(match: Correspondence, weight: np.ndarray) -> float:
    """Largest local mean of the gain times a weight."""
    local = _blurred((match.gain * weight * match.counts).astype(np.float32), 6)
    return float(np.quantile(local[match.counts], 0.995))


def _smooth_lab(image: Picture) -> Float32[np.ndarray, "height width 3"]:
    smooth = _blurred(image.astype(np.float32) / 255, 5)
    return np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB))


def _regressors(scene: Scene, lab: np.ndarray) -> Float32[np.ndarray, "height width regressors"]:
    height, width = scene.label.shape
    v, u = np.mgrid[:height, :width].astype(np.float32) / height
    light, depth = lab[..., 0], np.log(scene.depth_mm + 1)
    columns = [np.ones_like(v), light, lab[..., 1], lab[..., 2], light**2 / 50, depth]
    columns += [u, v, u * u, v * v, u * v]
    for index in np.unique(scene.tissue[scene.tissue != IGNORE]):
        mask = (scene.tissue == index).astype(np.float32)
        if mask.mean() > 0.01:
            soft = _blurred(mask, 3)
            columns += [soft, soft * light]
    return np.stack(columns, axis=-1).astype(np.float32)


def _sharpness(image: Picture, counts: np.ndarray) -> float:
    """Logarithm of the share of fine detail in all detail."""
    grey = image.mean(axis=-1, dtype=np.float32)
    fine = _blurred(grey, 1) - _blurred(grey, 2)
    coarse = _blurred(grey, 2) - _blurred(grey, 6)
    return float(np.log((fine[counts].std() + 0.01) / (coarse[counts].std() + 0.1)))


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation; 1 where one of the two is flat."""
    one, two = first - first.mean(), second - second.mean()
    product = float(np.sqrt((one @ one) * (two @ two)))
    return float(one @ two) / product if product > 1e-9 else 1.0


def _blurred(values: np.ndarray, sigma_px: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px))
