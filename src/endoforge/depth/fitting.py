# SPDX-License-Identifier: Apache-2.0
"""What the trainer asks for while a depth network learns: batches, validation, the model file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from endoforge.depth.baselines import fit_baselines
from endoforge.depth.data import TrainingFrames
from endoforge.depth.model_file import DepthModel, save_model
from endoforge.depth.networks.build import DepthNetwork
from endoforge.depth.settings import DepthSettings
from endoforge.frames.flat_cache import Split
from endoforge.metrics.depth import DepthTotals, compute, update
from endoforge.streams import stream
from endoforge.training.augment import augment, draw_augment
from endoforge.training.record import versions
from endoforge.training.sampler import BatchOrder
from endoforge.training.task import Batch

_VALIDATION_BATCH = 32


@dataclass
class DepthRun:
    """A training on decoded frames.

    Attributes:
        frames: All frames.
        split: Which to train on and which to hold out.
        data: Fingerprint of the data, which must agree when the training goes on.
        out: The run's folder.
        settings: All settings.
        validation: The newest figures on held-out sequences.
    """

    frames: TrainingFrames
    split: Split
    data: str
    out: Path
    settings: DepthSettings
    validation: dict[str, float] = field(default_factory=dict)

    def read(
        self, items: Int64[np.ndarray, " items"], device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return pictures (0 to 255) and depth (mm, 0 where it does not count) of some frames."""
        image = torch.from_numpy(self.frames.image[items]).to(device)
        depth = torch.from_numpy(self.frames.depth_mm[items].astype(np.float32)).to(device)
        return image, torch.where(depth <= self.settings.max_depth_mm, depth, 0.0)


class DepthBatches:
    """The batch of each step: a pure function of settings, data and step."""

    def __init__(self, run: DepthRun, device: torch.device) -> None:
        self._run, self._device = run, device
        settings = run.settings
        self._order = BatchOrder(len(run.split.training), settings.batch, settings.seed)

    def __call__(self, step: int) -> Batch:
        """Return ``image``, ``depth_mm``, ``valid`` and ``item`` of one step."""
        settings = self._run.settings
        items = self._run.split.training[self._order.indices(step)]
        draw = draw_augment(settings.augment, stream(settings.seed, "augment", step), len(items))
        light, depth, seen = augment(*self._run.read(items, self._device), draw)
        return {
            "image": light.contiguous(memory_format=torch.channels_last),
            "depth_mm": depth,
            "valid": seen & (depth > 0),
            "item": torch.from_numpy(items),
        }


def validate_depth(run: DepthRun, network: DepthNetwork) -> dict[str, float]:
    """Return figures on held-out sequences; an aligned figure says so in its name."""
    held = run.split.validation
    if not len(held):
        return {}
    count = min(len(held), run.settings.validation_frames)
    chosen = held[np.linspace(0, len(held) - 1, count).astype(np.int64)]
    device = next(network.parameters()).device
    totals = DepthTotals()
    for start in range(0, count, _VALIDATION_BATCH):
        image, depth = run.read(chosen[start : start + _VALIDATION_BATCH], device)
        light = (image.float() / 255.0).contiguous(memory_format=torch.channels_last)
        predicted = network.depth_mm(network(light))[:, 0].float().cpu().numpy()
        for found, true in zip(predicted, depth[:, 0].cpu().numpy(), strict=True):
            totals = update(totals, found, true, true > 0)
    scores = compute(totals)
    run.validation = {
        **scores["none"].as_dict(),
        "abs_rel_median_scaled": scores["median"].abs_rel,
        "abs_rel_scale_shifted": scores["scale_shift"].abs_rel,
    }
    return run.validation


class ModelExport:
    """Writes the run's model/ folder; the baselines in it are fitted once."""

    def __init__(self, run: DepthRun, network: DepthNetwork) -> None:
        self._run, self._network = run, network
        self._baselines = fit_baselines(run.frames, run.split.training)

    def __call__(self, step: int) -> None:
        """Write the network as it is now.

        Raises:
            StorageError: The disk is full, or the folder cannot be written.
        """
        settings = self._run.settings
        card = {"licence": "Apache-2.0", "training": self._protocol(step)}
        size = (settings.width, settings.height)
        model = DepthModel(self._network, size, *self._baselines, card)
        save_model(self._run.out / "model", model)

    def _protocol(self, step: int) -> dict[str, Any]:
        run = self._run
        return {
            "step": step,
            "settings": run.settings.model_dump(mode="json", exclude={"cache"}),
            "data_fingerprint": run.data,
            "frames": len(run.split.training),
            "held_out_frames": len(run.split.validation),
            "held_out_sequences": len(np.unique(run.frames.sequence[run.split.validation])),
            "held_out_figures": _finite(run.validation),
            "versions": versions(),
        }


def _finite(values: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in values.items() if np.isfinite(value)}
