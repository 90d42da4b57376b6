# SPDX-License-Identifier: Apache-2.0
"""A reverse translator before a depth network: the network sees real pictures as simulated ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from endoforge.errors import CheckpointError
from endoforge.frames.sizes import reduced_image
from endoforge.training.device import Device, pick_device
from endoforge.translation.model_file import load_model, weights_hash
from endoforge.translation.translator import Translator


@runtime_checkable
class Estimator(Protocol):
    """Anything that estimates depth of one picture."""

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "height width"]:
        """Depth (z, mm) of one picture, at its size."""
        ...


class Adapter:
    """Gives one picture after another the look of the simulation.

    Attributes:
        facts: Name, method and hash of the translator, for manifests.
    """

    def __init__(
        self,
        translator: Translator,
        height: int,
        facts: Mapping[str, Any],
        device: Device = "auto",
    ) -> None:
        """Take a translator for 8-bit colour pictures.

        Args:
            translator: From real to simulated pictures.
            height: Short side of the pictures that it was trained on, px.
            facts: With at least ``name`` and ``method``.
            device: Where it runs.

        Raises:
            CheckpointError: It was not trained by `reverse`, or for pictures of other channels.
        """
        channels = (translator.channels.source, translator.channels.target)
        if facts["method"] != "reverse" or channels != (3, 3):
            raise CheckpointError(
                f"a translator before a depth network must be of method reverse and take 3 "
                f"channels to 3, got {facts['name']!r} of method {facts['method']} with "
                f"{channels[0]} to {channels[1]}; train one with endoforge train reverse"
            )
        self.facts = dict(facts)
        self._height, self._device = height, pick_device(device)
        self._translator = translator.to(self._device).eval()

    def working_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height at which the translator sees a picture, px.

        Its short side is that of the training pictures, its aspect the picture's as nearly as the
        translator's divisor allows.
        """
        divisor = self._translator.divisor
        scale = self._height / min(width, height)
        sides = (max(divisor, round(side * scale / divisor) * divisor) for side in (width, height))
        return next(sides), next(sides)

    @torch.inference_mode()
    def adapted(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Return the picture, of the same size, in the look of the simulation."""
        height, width = image.shape[:2]
        small = reduced_image(image, self.working_size(width, height))
        pixels = torch.from_numpy(small).to(self._device).permute(2, 0, 1)[None].float()
        made = self._translator(pixels / 127.5 - 1.0)[0].permute(1, 2, 0).float().cpu().numpy()
        found = np.clip(np.rint((made + 1.0) * 127.5), 0, 255).astype(np.uint8)
        if found.shape[:2] == (height, width):
            return np.asarray(found)
        return np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR))


def load_adapter(path_or_name: str | Path, device: Device = "auto") -> Adapter:
    """Load a run's or a shipped translator; ``"reverse"`` is the shipped one.

    Raises:
        CheckpointError: There is none, or it is damaged, of another method or for other channels.
        MissingDependency: A GPU was asked for and there is none.
    """
    model = load_model(path_or_name)
    facts = {
        "name": Path(path_or_name).name,
        "method": model.method,
        "weights_sha256": weights_hash(path_or_name),
    }
    return Adapter(model.translator, model.settings.pictures.height, facts, device)


class AdaptedEstimator:
    """An estimator of depth that sees every picture through an adapter."""

    def __init__(self, estimator: Estimator, adapter: Adapter) -> None:
        self._estimator, self._adapter = estimator, adapter

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "height width"]:
        """Depth (z, mm) of one picture, at its size."""
        return np.asarray(self._estimator.predict(self._adapter.adapted(image)))
