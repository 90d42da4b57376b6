# SPDX-License-Identifier: Apache-2.0
"""What the labels of a data set say in sum: depth, slant, motion, classes, brightness by depth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.frames.dataset import Dataset
from endoforge.frames.frame import Frame

_DEPTH_EDGES = np.geomspace(1.0, 256.0, 49)
_ANGLE_EDGES = np.linspace(0.0, 90.0, 31)
_FLOW_EDGES = np.geomspace(0.05, 100.0, 45)


@dataclass(frozen=True, eq=False)
class LabelStatistics:
    """Counts over evenly spread frames.

    Attributes:
        frames: Frames looked at.
        of_frames: Frames in the data set.
        valid: Share of pixels with depth.
        occluded: Share of valid points that are hidden in the next frame.
        objects: Different objects seen (sequence and number).
        showing_objects: Frames that show the most of an object, at most one for each sequence.
        median_mm: Middle of the depth histogram, mm.
        depth_counts: Pixels by depth.
        angle_counts: Pixels by angle between normal and ray.
        flow_counts: Pixels by length of flow.
        class_counts: Pixels by class index.
        class_frames: Frames in which a class is seen.
        brightness: Sum of brightness by depth.
    """

    frames: int
    of_frames: int
    valid: float
    occluded: float
    objects: int
    showing_objects: tuple[int, ...]
    median_mm: float
    depth_counts: Float64[np.ndarray, " depths"]
    angle_counts: Float64[np.ndarray, " angles"]
    flow_counts: Float64[np.ndarray, " flows"]
    class_counts: Float64[np.ndarray, "256"]
    class_frames: Mapping[int, int]
    brightness: Float64[np.ndarray, " depths"]

    depth_edges = tuple(_DEPTH_EDGES.tolist())
    angle_edges = tuple(_ANGLE_EDGES.tolist())
    flow_edges = tuple(_FLOW_EDGES.tolist())

    @classmethod
    def of(cls, dataset: Dataset, most_frames: int) -> "LabelStatistics":
        """Look at frames spread evenly over the data set.

        Raises:
            DataError: A shard is damaged.
        """
        count = min(most_frames, len(dataset))
        chosen = np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int))
        sums = _Sums()
        for index in chosen:
            sums.add(dataset.frame(int(index)), int(index))
        return sums.result(len(chosen), len(dataset))

    def class_shares(self) -> list[tuple[int, float]]:
        """Class index and share of pixels, for classes that occur, largest first."""
        shares = self.class_counts / max(self.class_counts.sum(), 1)
        order = np.argsort(-shares, kind="stable")
        return [(int(index), float(shares[index])) for index in order if shares[index] > 0]

    def brightness_curve(self) -> tuple[list[float], list[float]]:
        """Middle of each range of depth and mean brightness there, 0 to 255."""
        enough = self.depth_counts > max(50.0, 1e-5 * self.depth_counts.sum())
        middle = np.sqrt(_DEPTH_EDGES[1:] * _DEPTH_EDGES[:-1])[enough]
        mean = self.brightness[enough] / self.depth_counts[enough]
        return middle.tolist(), mean.tolist()


# ---- inside -------------------------------------------------------------------------------------


class _Sums:
    """Adds up frames."""

    def __init__(self) -> None:
        self.depth = np.zeros(len(_DEPTH_EDGES) - 1)
        self.brightness = np.zeros(len(_DEPTH_EDGES) - 1)
        self.angle = np.zeros(len(_ANGLE_EDGES) - 1)
        self.flow = np.zeros(len(_FLOW_EDGES) - 1)
        self.classes = np.zeros(256)
        self.class_frames: dict[int, int] = {}
        self.pixels = self.valid = self.occluded = 0
        self.objects: set[tuple[int, int]] = set()
        self.most_object: dict[int, tuple[int, int]] = {}  # sequence → pixels, frame

    def add(self, frame: Frame, number: int) -> None:
        valid = frame.valid
        self.pixels += valid.size
        self.valid += int(valid.sum())
        self.occluded += int((frame.occluded & valid).sum())
        self._add_depth(frame)
        length = np.linalg.norm(frame.flow_px[valid], axis=-1)
        length = np.clip(length[np.isfinite(length)], _FLOW_EDGES[0], _FLOW_EDGES[-1])
        self.flow += np.histogram(length, _FLOW_EDGES)[0]
        counts = np.bincount(frame.label.ravel(), minlength=256)
        self.classes += counts
        for index in np.flatnonzero(counts):
            self.class_frames[int(index)] = self.class_frames.get(int(index), 0) + 1
        self.objects |= {(frame.sequence, int(n)) for n in np.unique(frame.instance) if n}
        shown = (int((frame.instance > 0).sum()), number)
        self.most_object[frame.sequence] = max(shown, self.most_object.get(frame.sequence, (0, 0)))

    def _add_depth(self, frame: Frame) -> None:
        valid = frame.valid
        depth = np.clip(frame.depth_mm[valid].astype(np.float64), _DEPTH_EDGES[0], 255.99)
        self.depth += np.histogram(depth, _DEPTH_EDGES)[0]
        light = frame.image[valid].astype(np.float64).mean(axis=-1)
        self.brightness += np.histogram(depth, _DEPTH_EDGES, weights=light)[0]
        towards = -(frame.normal_camera[valid] * frame.camera.rays()[valid]).sum(axis=-1)
        angle = np.degrees(np.arccos(np.clip(towards[np.isfinite(towards)], -1, 1)))
        self.angle += np.histogram(np.minimum(angle, 90.0), _ANGLE_EDGES)[0]

    def result(self, frames: int, of_frames: int) -> LabelStatistics:
        cumulative = np.cumsum(self.depth)
        middle = int(np.searchsorted(cumulative, cumulative[-1] / 2))
        ranked = sorted(self.most_object.values(), reverse=True)
        return LabelStatistics(
            frames=frames,
            of_frames=of_frames,
            valid=self.valid / max(self.pixels, 1),
            occluded=self.occluded / max(self.valid, 1),
            objects=len(self.objects),
            showing_objects=tuple(number for pixels, number in ranked if pixels),
            median_mm=float(np.sqrt(_DEPTH_EDGES[middle] * _DEPTH_EDGES[middle + 1])),
            depth_counts=self.depth,
            angle_counts=self.angle,
            flow_counts=self.flow,
            class_counts=self.classes,
            class_frames=self.class_frames,
            brightness=self.brightness,
        )
