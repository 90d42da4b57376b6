# SPDX-License-Identifier: Apache-2.0
"""How far sets of pictures are from real ones, in the features of a network that gives its name.

Only distances in the features of FID's own Inception are called FID and KID.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from endoforge.errors import DataError
from endoforge.evaluation.features.choose import FeatureNetwork, feature_network
from endoforge.evaluation.realism_settings import RealismSettings
from endoforge.frames.dataset import Dataset
from endoforge.frames.manifest import MANIFEST
from endoforge.frames.media.pictures import read_picture
from endoforge.frames.media.video import VideoFrame, read_video
from endoforge.metrics.coverage import Coverage, coverage
from endoforge.metrics.frechet import frechet_distance
from endoforge.metrics.kernel_distance import KernelDistance, kernel_distance
from endoforge.streams import stream

#: Pictures are kept at this side until the network resizes them, px.
_SIDE = 299
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})

Pictures = UInt8[np.ndarray, "pictures height width 3"]
Features = Float[np.ndarray, "pictures features"]


@dataclass(frozen=True)
class Distances:
    """One set of pictures against the real ones.

    Attributes:
        pictures: How many.
        frechet: Fréchet distance; FID in Inception's features.
        kernel: Kernel distance; KID in Inception's features.
        coverage: Density, coverage, precision, recall.
    """

    pictures: int
    frechet: float
    kernel: KernelDistance
    coverage: Coverage


@dataclass(frozen=True)
class Realism:
    """The result.

    Attributes:
        network: Name of the feature network.
        is_inception: Whether the distances may be called FID and KID.
        weights_sha256: Of the network.
        real: Number of real pictures.
        sets: By name; ``"real halves"`` is one half of the real pictures against the other: what
            equal sets of that size look like.
        settings: Which pictures were compared.
    """

    network: str
    is_inception: bool
    weights_sha256: str
    real: int
    sets: Mapping[str, Distances]
    settings: RealismSettings

    @property
    def names(self) -> tuple[str, str]:
        """What the Fréchet and the kernel distance are called."""
        if self.is_inception:
            return "FID", "KID"
        return f"Fréchet distance ({self.network})", f"kernel distance ({self.network})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "network": self.network,
            "weights_sha256": self.weights_sha256,
            "real": self.real,
            "names": {"frechet": self.names[0], "kernel": self.names[1]},
            "sets": {name: asdict(one) for name, one in self.sets.items()},
            "settings": self.settings.model_dump(mode="json"),
        }

    def table(self) -> str:
        """The figures as text, one line for each set."""
        columns = {"pictures": 9, "Fréchet": 11, "kernel": 11, "±": 9, "density": 9, "coverage": 9}
        lines = [
            f"{self.real} real pictures, middle {self.settings.crop:.0%}; features: {self.network}",
            f"{'set':<12}" + "".join(f"{name:>{wide}}" for name, wide in columns.items()),
        ]
        for name, one in self.sets.items():
            lines.append(
                f"{name:<12}{one.pictures:>9}{one.frechet:>11.4g}{one.kernel.value:>11.4g}"
                f"{one.kernel.deviation:>9.2g}{one.coverage.density:>9.3f}"
                f"{one.coverage.coverage:>9.3f}"
            )
        return "\n".join([*lines, f"Fréchet is {self.names[0]}; kernel is {self.names[1]}"])


def measure_realism(
    sets: Mapping[str, Path],
    real: Sequence[Path],
    weights: Path | None,
    settings: RealismSettings,
) -> Realism:
    """Compare sets of pictures with real ones.

    Features other than Inception's are scaled so that those of the real pictures have unit mean
    square, because their own scale means nothing.

    Args:
        sets: Data sets, folders of pictures or videos, by name.
        real: Real pictures, likewise; each source gives an equal share.
        weights: See `features.choose.feature_network`.
        settings: Which pictures.

    Raises:
        DataError: A source has no pictures, or all together too few.
        CheckpointError: The weights are damaged, or of no known network.
    """
    network = feature_network(weights)
    share = -(-settings.count // max(len(real), 1))
    shown = [p for path in real for p in pictures_of(path, share, settings.crop, settings.height)]
    wanted = network.features(_stacked(shown, real, settings))
    scale = 1.0 if network.is_inception else float(np.sqrt(np.mean(wanted**2)))
    found = {"real halves": _halves(wanted / scale, settings)}
    for name, path in sets.items():
        pictures = list(pictures_of(path, settings.count, settings.crop, settings.height))
        features = network.features(_stacked(pictures, [path], settings))
        found[name] = _distances(wanted / scale, features / scale, settings)
    return _result(network, len(wanted), found, settings)


def pictures_of(
    path: Path, count: int, crop: float, height: int = 0
) -> Iterator[UInt8[np.ndarray, "side side 3"]]:
    """Yield the middles of evenly spread pictures of a data set, a folder or a video.

    Masks beside pictures (``mask`` or ``fov`` in their path) are passed over.

    Args:
        path: The source.
        count: At most so many.
        crop: Side of the middle, share of the shorter side.
        height: Shorter side that larger pictures are reduced to first, px; 0 for none.

    Raises:
        DataError: There are none, or one cannot be read.
    """
    if (path / MANIFEST).exists():
        with closing(Dataset.open(path)) as dataset:
            for index in _spread(len(dataset), count):
                yield _middle(dataset.fields(index, ("image",))["image"], crop, height)
    elif path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in _PICTURES)
        files = [p for p in files if not _is_mask(p.relative_to(path))]
        if not files:
            raise DataError(f"{path} must hold pictures, got none; give another folder")
        for index in _spread(len(files), count):
            yield _middle(read_picture(files[index]), crop, height)
    else:
        yield from _of_video(path, count, crop, height)


# ---- inside -------------------------------------------------------------------------------------


def _of_video(path: Path, count: int, crop: float, height: int) -> Iterator[np.ndarray]:
    moments = read_video(path)
    middles = [_middle(one.image, crop, height) for one in moments if isinstance(one, VideoFrame)]
    for index in _spread(len(middles), count):
        yield middles[index]


def _is_mask(path: Path) -> bool:
    return any("mask" in part.lower() or "fov" in part.lower() for part in path.parts)


def _spread(frames: int, count: int) -> list[int]:
    if not frames:
        return []
    return [int(place) for place in np.unique(np.linspace(0, frames - 1, count).astype(int))]


def _middle(picture: np.ndarray, crop: float, reduced_to: int) -> np.ndarray:
    height, width = picture.shape[:2]
    if 0 < reduced_to < (shorter := min(height, width)):
        width, height = (round(side * reduced_to / shorter) for side in (width, height))
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    side = max(8, int(min(height, width) * crop))
    top, left = (height - side) // 2, (width - side) // 2
    middle = np.ascontiguousarray(picture[top : top + side, left : left + side])
    how = cv2.INTER_AREA if side > _SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(middle, (_SIDE, _SIDE), interpolation=how))


def _stacked(pictures: Sequence[np.ndarray], paths: Sequence[Path], s: RealismSettings) -> Pictures:
    least = max(4, s.neighbours + 1)
    if len(pictures) < 2 * least:  # the halves of the real ones are compared too
        names = ", ".join(str(path) for path in paths) or "no source"
        raise DataError(
            f"realism needs at least {2 * least} pictures of each set, got {len(pictures)} of "
            f"{names}; give more"
        )
    return np.stack(pictures)


def _distances(real: Features, made: Features, settings: RealismSettings) -> Distances:
    return Distances(
        pictures=len(made),
        frechet=frechet_distance(real, made),
        kernel=kernel_distance(real, made, stream(settings.seed, "kernel distance")),
        coverage=coverage(real, made, settings.neighbours),
    )


def _halves(real: Features, settings: RealismSettings) -> Distances:
    order = stream(settings.seed, "halves").permutation(len(real))
    half = len(order) // 2
    return _distances(real[order[:half]], real[order[half:]], settings)


def _result(
    network: FeatureNetwork, real: int, found: Mapping[str, Distances], settings: RealismSettings
) -> Realism:
    return Realism(
        network=network.name,
        is_inception=network.is_inception,
        weights_sha256=network.weights_sha256,
        real=real,
        sets=found,
        settings=settings,
    )
