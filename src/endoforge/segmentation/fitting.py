# SPDX-License-Identifier: Apache-2.0
"""What the trainer asks for while a network learns masks: batches, validation, the model file."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from endoforge.frames.flat_cache import Split
from endoforge.frames.frame import IGNORE
from endoforge.metrics.segmentation import ConfusionTotals, SegmentationScores, compute, update
from endoforge.segmentation.classes import ClassScheme
from endoforge.segmentation.data import MaskedFrames
from endoforge.segmentation.model_file import SegmentationModel, save_segmentation_model
from endoforge.segmentation.networks.unet import SegmentationUNet
from endoforge.segmentation.settings import SegmentationSettings
from endoforge.segmentation.zoom import draw_zoom, zoomed
from endoforge.streams import stream
from endoforge.training.augment import augment, draw_augment
from endoforge.training.record import versions
from endoforge.training.sampler import BatchOrder
from endoforge.training.task import Batch

_VALIDATION_BATCH = 16


@dataclass
class SegmentationRun:
    """A training on decoded frames.

    Attributes:
        frames: All frames.
        scheme: Their classes.
        split: Which to train on and which to hold out.
        data: Fingerprint of the data, which must agree when the training goes on.
        out: The run's folder.
        settings: All settings.
        validation: The newest figures on held-out sequences.
    """

    frames: MaskedFrames
    scheme: ClassScheme
    split: Split
    data: str
    out: Path
    settings: SegmentationSettings
    validation: dict[str, float] = field(default_factory=dict)

    def shares(self) -> dict[str, float]:
        """Return the share of each class among the training pixels that count."""
        found = self.frames.shares(self.split.training, len(self.scheme.names))
        return {self.scheme.names[index]: share for index, share in found.items()}

    def class_weights(self) -> Float[Tensor, " classes"]:
        """Return the cross entropy's weight of each class: 1 on average over the pixels.

        A class without a pixel has the weight 0.
        """
        shares = np.array(list(self.shares().values()))
        shown = shares > 0
        weights = np.where(shown, np.where(shown, shares, 1.0) ** -self.settings.loss.balance, 0.0)
        return torch.from_numpy((weights / (weights * shares).sum()).astype(np.float32))


class SegmentationBatches:
    """The batch of each step: a pure function of settings, data and step."""

    def __init__(self, run: SegmentationRun, device: torch.device) -> None:
        self._run, self._device = run, device
        settings = run.settings
        self._order = BatchOrder(len(run.split.training), settings.batch, settings.seed)

    def __call__(self, step: int) -> Batch:
        """Return ``image``, ``label`` (255 where nothing counts) and ``item`` of one step."""
        settings, frames = self._run.settings, self._run.frames
        items = self._run.split.training[self._order.indices(step)]
        draw = draw_augment(settings.augment, stream(settings.seed, "augment", step), len(items))
        if not settings.upside_down:
            draw = replace(draw, flips=draw.flips & [True, False])
        image = torch.from_numpy(frames.image[items]).to(self._device)
        label = torch.from_numpy(frames.label[items]).to(self._device)
        zoom = draw_zoom(settings.zoom, stream(settings.seed, "zoom", step), len(items))
        light, label, seen = augment(*zoomed(image, label, zoom), draw)
        return {
            "image": light.contiguous(memory_format=torch.channels_last),
            "label": torch.where(seen, label, IGNORE)[:, 0].long(),
            "item": torch.from_numpy(items),
        }


def validate_segmentation(run: SegmentationRun, network: SegmentationUNet) -> dict[str, float]:
    """Return figures on held-out sequences, pooled over all pixels."""
    held = run.split.validation
    if not len(held):
        return {}
    count = min(len(held), run.settings.validation_frames)
    chosen = held[np.linspace(0, len(held) - 1, count).astype(np.int64)]
    scores = measured(run.frames, chosen, network)
    run.validation = {
        "mean_iou": scores.mean_iou,
        "mean_dice": scores.mean_dice,
        "accuracy": scores.accuracy,
        **{f"iou_{name}": v for name, v in zip(run.scheme.names, scores.iou, strict=True)},
    }
    return run.validation


@torch.no_grad()
def measured(
    frames: MaskedFrames, chosen: Int64[np.ndarray, " chosen"], network: SegmentationUNet
) -> SegmentationScores:
    """Return the figures of a network on some frames at the training size."""
    device = next(network.parameters()).device
    totals = ConfusionTotals.empty(network.classes)
    for start in range(0, len(chosen), _VALIDATION_BATCH):
        items = chosen[start : start + _VALIDATION_BATCH]
        light = torch.from_numpy(frames.image[items]).to(device).float() / 255.0
        scores = network(light.contiguous(memory_format=torch.channels_last))
        predicted = scores.argmax(dim=1).to(torch.uint8).cpu().numpy()
        for found, true in zip(predicted, frames.label[items, 0], strict=True):
            totals = update(totals, found, true)
    return compute(totals)


class SegmentationExport:
    """Writes the run's model/ folder."""

    def __init__(self, run: SegmentationRun, network: SegmentationUNet) -> None:
        self._run, self._network = run, network
        self._shares = run.shares()

    def __call__(self, step: int) -> None:
        """Write the network as it is now.

        Raises:
            StorageError: The disk is full, or the folder cannot be written.
        """
        run = self._run
        size = (run.settings.width, run.settings.height)
        card = {"licence": "Apache-2.0", "training": self._protocol(step)}
        model = SegmentationModel(self._network, size, run.scheme, card)
        save_segmentation_model(run.out / "model", model)

    def _protocol(self, step: int) -> dict[str, Any]:
        run = self._run
        return {
            "step": step,
            "settings": run.settings.model_dump(mode="json", exclude={"cache"}),
            "data_fingerprint": run.data,
            "frames": len(run.split.training),
            "held_out_frames": len(run.split.validation),
            "held_out_sequences": len(np.unique(run.frames.sequence[run.split.validation])),
            "held_out_figures": {k: v for k, v in run.validation.items() if np.isfinite(v)},
            "class_shares": self._shares,
            "unseen_classes": [name for name, share in self._shares.items() if not share],
            "versions": versions(),
        }
