# SPDX-License-Identifier: Apache-2.0
"""The batch of a step: a pure function of the settings and the step, so resuming is exact.

Keys are those of `translator.TranslationTask`: pictures in [-1, 1] and masks that are 1 where a
pixel counts. Crops that show mostly surround are drawn again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from endoforge.errors import DataError
from endoforge.frames.media.pixels import PIXEL_SUFFIXES
from endoforge.streams import stream
from endoforge.training.sampler import BatchOrder
from endoforge.translation.domains import Domain
from endoforge.translation.settings import TranslationSettings

#: A crop is taken at once when this share of it counts.
ENOUGH = 0.6

#: Otherwise the best of so many.
_TRIALS = 8


@dataclass(frozen=True)
class Crop:
    """Which part of a picture becomes an item, and whether mirrored."""

    top: int
    left: int
    side: int
    mirrored: bool

    @property
    def rows(self) -> slice:
        """Rows of the picture."""
        return slice(self.top, self.top + self.side)

    @property
    def columns(self) -> slice:
        """Columns of the picture."""
        return slice(self.left, self.left + self.side)


class UnpairedBatches:
    """Pictures of both sides that have nothing to do with each other."""

    def __init__(
        self,
        source: Domain,
        target: Domain,
        settings: TranslationSettings,
        device: torch.device | None = None,
    ) -> None:
        self._sides: Mapping[Literal["source", "target"], Domain] = {
            "source": source,
            "target": target,
        }
        self._settings, self._device = settings, device

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return the batch of a step, counted from 0."""
        batch: dict[str, Tensor] = {}
        for side, domain in self._sides.items():
            indices = order_of(domain, self._settings, side).indices(step)
            crops = [
                draw_crop(domain, int(index), self._settings, (side, step, place))
                for place, index in enumerate(indices)
            ]
            batch |= _items(side, domain, indices.tolist(), crops)
        return _moved(batch, self._device)


class PairedBatches:
    """Two pictures of the same scene, cropped and mirrored alike."""

    def __init__(
        self,
        source: Domain,
        target: Domain,
        settings: TranslationSettings,
        device: torch.device | None = None,
    ) -> None:
        """Make sure that the two sides belong together.

        Raises:
            DataError: They differ in number, names or sizes.
        """
        pairs = zip(source.entries, target.entries, strict=False)
        differing = [
            (a.name, b.name)
            for a, b in pairs
            if _stem(a.name) != _stem(b.name) or (a.height, a.width) != (b.height, b.width)
        ]
        if len(source) != len(target) or differing:
            first = f", first {differing[0][0]} beside {differing[0][1]}" if differing else ""
            raise DataError(
                f"pairs must have the same names and sizes on both sides, got {len(source)} and "
                f"{len(target)} pictures{first}; give the same data set or folders alike"
            )
        self._source, self._target = source, target
        self._settings, self._device = settings, device

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return the batch of a step, counted from 0."""
        indices = order_of(self._target, self._settings, "target").indices(step)
        crops = [
            draw_crop(self._target, int(index), self._settings, ("target", step, place))
            for place, index in enumerate(indices)
        ]
        batch = _items("source", self._source, indices.tolist(), crops)
        batch |= _items("target", self._target, indices.tolist(), crops)
        return _moved(batch, self._device)


class NoiseBatches:
    """Pictures of the target alone, for methods that make them from noise."""

    def __init__(
        self, target: Domain, settings: TranslationSettings, device: torch.device | None = None
    ) -> None:
        self._target, self._settings, self._device = target, settings, device

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return the batch of a step, counted from 0."""
        indices = order_of(self._target, self._settings, "target").indices(step)
        crops = [
            draw_crop(self._target, int(index), self._settings, ("target", step, place))
            for place, index in enumerate(indices)
        ]
        return _moved(_items("target", self._target, indices.tolist(), crops), self._device)


def order_of(
    domain: Domain, settings: TranslationSettings, side: Literal["source", "target"]
) -> BatchOrder:
    """The order in which the pictures of a side are seen; the two sides' have nothing in common."""
    seed = int(stream(settings.seed, f"order of the {side}").integers(2**31))
    return BatchOrder(len(domain), settings.batch, seed)


def draw_crop(
    domain: Domain, index: int, settings: TranslationSettings, place: tuple[str, int, int]
) -> Crop:
    """Draw which part of a picture becomes an item.

    Args:
        domain: Of the picture.
        index: Number of the picture.
        settings: Size of the crop.
        place: Side, step and place in the batch: where the random numbers come from.
    """
    side, step, item = place
    rng = stream(settings.seed, f"crop of the {side}", step, item)
    width, height = domain.size(index)
    length = settings.pictures.crop
    mirrored = bool(settings.pictures.flip and rng.random() < 0.5)
    best, most = Crop(0, 0, length, mirrored), -1.0
    for _ in range(_TRIALS):
        top, left = (int(rng.integers(0, room - length + 1)) for room in (height, width))
        crop = Crop(top, left, length, mirrored)
        share = float(domain.counts(index, crop.rows, crop.columns).mean())
        if share > most:
            best, most = crop, share
        if share >= ENOUGH:
            break
    return best


def cropped(domain: Domain, index: int, crop: Crop) -> tuple[Float32[np.ndarray, "c h w"], ...]:
    """A crop of a picture in [-1, 1], and 1 where it counts."""
    picture = domain.picture(index, crop.rows, crop.columns)
    counts = domain.counts(index, crop.rows, crop.columns).astype(np.float32)
    if crop.mirrored:
        picture = picture[..., ::-1] * domain.mirror_signs[:, None, None]
        counts = counts[..., ::-1]
    return np.ascontiguousarray(picture), np.ascontiguousarray(counts)


# ---- inside -------------------------------------------------------------------------------------


def _items(side: str, domain: Domain, indices: list[int], crops: list[Crop]) -> dict[str, Tensor]:
    made = [cropped(domain, index, crop) for index, crop in zip(indices, crops, strict=True)]
    return {
        side: torch.from_numpy(np.stack([picture for picture, _ in made])),
        f"{side}_counts": torch.from_numpy(np.stack([counts for _, counts in made])),
    }


def _moved(batch: dict[str, Tensor], device: torch.device | None) -> dict[str, Tensor]:
    if device is None or device.type == "cpu":
        return batch
    return {name: value.pin_memory().to(device, non_blocking=True) for name, value in batch.items()}


def _stem(name: str) -> str:
    """A name without the ending of a picture, so that a.jpg and a.png belong together."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in PIXEL_SUFFIXES else name
