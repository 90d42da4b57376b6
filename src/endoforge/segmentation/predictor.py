# SPDX-License-Identifier: Apache-2.0
"""From pictures to masks: the one way in which everyone uses a trained segmentation network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch.nn import functional

from endoforge.errors import ShapeError
from endoforge.frames.sizes import reduced_image, working_size
from endoforge.segmentation.model_file import SegmentationModel, load_segmentation_model
from endoforge.training.device import Device, on_device, pick_device


class SegmentationPredictor:
    """Says which class each pixel shows, at the size of the picture it is given."""

    def __init__(self, model: SegmentationModel, device: Device = "auto") -> None:
        self._model = model
        self._device = pick_device(device)
        self._network = on_device(model.network, self._device).eval()

    @classmethod
    def load(cls, path_or_name: str | Path, device: Device = "auto") -> "SegmentationPredictor":
        """Load a run's or a shipped model; ``"segmentation"`` is the shipped one.

        Raises:
            CheckpointError: There is no model, or it is damaged, of another kind or newer.
            MissingDependency: A GPU was asked for and there is none.
        """
        return cls(load_segmentation_model(path_or_name), device)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by index."""
        return self._model.scheme.names

    @property
    def card(self) -> Mapping[str, Any]:
        """The model card: plain values of model.json."""
        return self._model.card

    def table(self, labels: Mapping[int, str]) -> UInt8[np.ndarray, "256"]:
        """Return which class of this network each class index of a data set counts as, else 255.

        ``table[label]`` turns a frame's label into what `predict` should have said.
        """
        return self._model.scheme.table(labels)

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "height width"]:
        """Return the likeliest class of each pixel.

        Args:
            image: Display-referred sRGB, 0 to 255.

        Raises:
            ShapeError: It is no colour picture of 8 bits.
        """
        return np.asarray(self.probabilities(image).argmax(axis=0), np.uint8)

    def probabilities(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "classes height width"]:
        """Return the probability of each class in each pixel; they sum to 1 over classes."""
        return np.asarray(self.probabilities_batch(image[None])[0])

    @torch.inference_mode()
    def probabilities_batch(
        self, images: UInt8[np.ndarray, "batch height width 3"]
    ) -> Float32[np.ndarray, "batch classes height width"]:
        """Return the probability of each class in each pixel of pictures of one size."""
        _check_pictures(images)
        height, width = images.shape[1:3]
        size = working_size((width, height), self._model.size, self._network.settings.divisor)
        small = np.stack([reduced_image(image, size) for image in images])
        batch = torch.from_numpy(small).to(self._device).permute(0, 3, 1, 2)  # is channels last
        found = self._network(batch.float() / 255.0).softmax(dim=1)
        if size != (width, height):
            found = functional.interpolate(found, (height, width), mode="bilinear")
        return np.asarray(found.float().cpu().numpy())


def _check_pictures(images: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.shape[-1:] != (3,) or 0 in images.shape:
        raise ShapeError(
            f"expected 8-bit colour pictures (height, width, 3), got {images.dtype} "
            f"{images.shape[1:]}; convert to RGB with values 0 to 255"
        )
