# SPDX-License-Identifier: Apache-2.0
"""What is measured of a frame and its translation; each measure is larger the worse it is.

The measures know nothing of each other and of any threshold; `calibration` makes one score of them.
Names, formulas and what each of them sees: docs/concepts/label-drift.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from endoforge.errors import ShapeError
from endoforge.evaluation.audit.cues import SMALLEST_OBJECT, Scene, resized
from endoforge.evaluation.audit.organs import correlation, look_measures, lost_measures
from endoforge.evaluation.audit.views import View, blurred
from endoforge.frames.frame import IGNORE, Frame
from endoforge.metrics.correspondence import Correspondence, correspondence
from endoforge.metrics.slips import Lines, Slips
from endoforge.metrics.structure import matched

Picture = UInt8[np.ndarray, "height width 3"]

#: Larger pictures are shrunk to this longer side, px: warps of 2 px of a small picture would be
#: below the sensor's own sharpness in a large one.
LONGEST_PX = 480

#: The measures that the score may be made of.
SCORED = (
    *("edges_2", "edges_4", "weakest_2", "weakest_4", "border_edges_2", "border_edges_4"),
    *("borders_lost", "object_lost", "object_lost_over", "faded"),
    *("shift_median_px", "shift_95_px", "shift_gain", "border_shift_95_px"),
    *("slip_short", "slip_short_evidence", "slip", "slip_evidence", "slip_2", "slip_2_evidence"),
    *("slip_any", "slip_any_over", "slip_any_long", "slip_any_long_over"),
    *("look_odd", "look_median", "edges_new"),
    *("stranger", "stranger_over", "stranger_colour", "stranger_colour_over"),
    *("light_order", "blurred", "depth_changed", "depth_worst", "depth_order"),
    *("classes_changed", "class_worst"),
)

#: Windows along borders by scale in px, standard deviation as share of the picture's height.
_WINDOWS: Mapping[int, Mapping[str, float]] = {
    1: {"slip_short": 0.03, "slip": 0.05},
    2: {"slip_2": 0.06},
}
_TEXTURE_WINDOWS: Mapping[str, float] = {"slip_any": 0.05, "slip_any_long": 0.08}
#: A displacement is believed from this confidence on.
_SURE = 0.1


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
        self._last: tuple[Frame, Scene] | None = None

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
        scene = self._scene_of(frame)
        other = View(resized(translated, LONGEST_PX, cv2.INTER_AREA))
        if not scene.counts.any():
            return {}
        found = edges_measures(scene, other) | shift_measures(scene, other)
        found |= slip_measures(scene, other) | lost_measures(scene, other)
        found |= look_measures(scene, other)
        found["blurred"] = _blurring(scene, other)
        if self._depth is not None:
            found |= geometry_measures(scene, other, self._depth)
        if self._segmenter is not None:
            found |= class_measures(scene, other, self._segmenter)
        return found

    def _scene_of(self, frame: Frame) -> Scene:
        """The frame's own side, made once for all its translations in a row."""
        if self._last is None or self._last[0] is not frame:
            self._last = frame, Scene.of(frame, self._names, LONGEST_PX)
        return self._last[1]


def edges_measures(scene: Scene, other: View) -> dict[str, float]:
    """Whether the edges of the source are still there."""
    near = scene.near_borders > 0.3
    found = {}
    for scale in (2, 4):
        pair = scene.view.outlines(scale), other.outlines(scale)
        whole = matched(*pair, scene.counts)
        found[f"edges_{scale}"] = 1 - whole.whole[0]
        found[f"weakest_{scale}"] = 1 - whole.weakest[0]
        at_borders = matched(*pair, near) if near.any() else whole
        found[f"border_edges_{scale}"] = 1 - at_borders.whole[0]
    return found


def shift_measures(scene: Scene, other: View) -> dict[str, float]:
    """How far the picture has moved, in px of the frame, and how surely."""
    found = correspondence(scene.image, other.image, scene.counts)
    near = replace(found, confidence=found.confidence * scene.near_borders)
    return {
        "masks_moved": 1 - _overlap_when_moved(scene, found),
        "shift_median_px": scene.shrunk * found.quantile_px(0.5),
        "shift_95_px": scene.shrunk * found.quantile_px(0.95),
        "shift_gain": _strongest(found, found.confidence),
        "border_shift_95_px": scene.shrunk * near.quantile_px(0.95),
    }


def slip_measures(scene: Scene, other: View) -> dict[str, float]:
    """Whether some stretch of border has left its place, or some patch of any edges.

    Those that end in ``_over`` tell how far the worst place exceeds what is usual in this frame:
    new texture lets all edges slip a little, a warp only those that it reaches.
    """
    found = {}
    for scale, windows in _WINDOWS.items():
        for name, slip in _slips(scene.lines[scale], other.outlines(scale), windows, scale):
            found[name] = _quantile(slip.gain * slip.confidence, 0.998)
            found[f"{name}_evidence"] = _quantile(slip.evidence, 0.998)
    for name, slip in _slips(scene.texture, other.outlines(1.0), _TEXTURE_WINDOWS, 1):
        sure = slip.gain * slip.confidence
        found[name] = _quantile(sure, 0.998)
        found[f"{name}_over"] = found[name] - _quantile(sure, 0.8)
    return found


def _slips(
    lines: Lines, fields: np.ndarray, windows: Mapping[str, float], scale: int
) -> Iterator[tuple[str, Slips]]:
    sizes = [max(2.0 * scale, share * fields.shape[0]) for share in windows.values()]
    yield from zip(windows, lines.slips(fields, sizes), strict=True)


def _quantile(values: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share)) if values.size else 0.0


def geometry_measures(scene: Scene, other: View, network: DepthEstimator) -> dict[str, float]:
    """How much a depth network changes its mind, after taking out the scale."""
    before = scene.guess(network, lambda: np.log(network.predict_batch(scene.image[None])[0]))
    after = np.log(network.predict_batch(other.image[None])[0])
    difference = np.zeros(scene.counts.shape, np.float32)
    inside = (after - before)[scene.counts]
    difference[scene.counts] = np.abs(inside - np.median(inside))
    return {
        "depth_changed": float(difference[scene.counts].mean()),
        "depth_worst": float(np.quantile(blurred(difference, 4)[scene.counts], 0.99)),
        "depth_order": 1 - correlation(before[scene.counts], after[scene.counts]),
    }


def class_measures(scene: Scene, other: View, network: Segmenter) -> dict[str, float]:
    """How much a segmentation network changes its mind, class by class.

    ``class_iou:N`` are the overlaps of class N, 1 at best: the only figures here that are better
    when larger; they are for people and not part of the score.
    """
    before, after = (
        scene.guess(network, lambda: network.predict(scene.image)),
        network.predict(other.image),
    )
    found: dict[str, float] = {}
    for index in np.unique(before[scene.counts]):
        one, two = ((mask == index) & scene.counts for mask in (before, after))
        if index != IGNORE and one.mean() >= SMALLEST_OBJECT:
            found[f"class_iou:{index}"] = float((one & two).sum() / (one | two).sum())
    overlaps = list(found.values()) or [1.0]
    changed = (before != after)[scene.counts]
    return found | {
        "classes_changed": float(changed.mean()),
        "class_worst": 1 - min(overlaps),
    }


# ---- inside -------------------------------------------------------------------------------------


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
        if index != IGNORE and one.mean() >= SMALLEST_OBJECT:
            overlaps.append(float((one & two).sum() / (one | two).sum()))
    return float(np.mean(overlaps)) if overlaps else 1.0


def _strongest(match: Correspondence, weight: np.ndarray) -> float:
    """Largest local mean of the gain times a weight."""
    local = blurred((match.gain * weight * match.counts).astype(np.float32), 6)
    return float(np.quantile(local[match.counts], 0.995))


def _blurring(scene: Scene, other: View) -> float:
    """How much of the fine detail is lost away from reflections, as a logarithm."""
    shiny = (scene.view.half.reflections | other.half.reflections).astype(np.uint8)
    dull = scene.counts & (cv2.resize(shiny, scene.counts.shape[::-1]) == 0)
    where = dull if dull.any() else scene.counts
    return max(0.0, _sharpness(scene.image, where) - _sharpness(other.image, where))


def _sharpness(image: Picture, where: np.ndarray) -> float:
    """Logarithm of the share of fine detail in all detail."""
    grey = image.mean(axis=-1, dtype=np.float32)
    finest = blurred(grey, 1)
    finer = blurred(finest, np.sqrt(3))  # 2 px in all
    coarse = finer - blurred(finer, np.sqrt(32))  # 6 px in all
    return float(np.log(((finest - finer)[where].std() + 0.01) / (coarse[where].std() + 0.1)))
