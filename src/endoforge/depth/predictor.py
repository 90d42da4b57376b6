# SPDX-License-Identifier: Apache-2.0
"""From pictures to millimetres: the one way in which everyone uses a trained depth network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from endoforge.depth.baselines import ConstantPredictor, MeanMapPredictor
from endoforge.depth.model_file import DepthModel, load_model
from endoforge.errors import ShapeError
from endoforge.frames.sizes import reduced_image, working_size
from endoforge.training.device import Device, on_device, pick_device


class DepthPredictor:
    """Predicts depth at the size of the picture it is given."""

    def __init__(self, model: DepthModel, device: Device = "auto") -> None:
        self._model = model
        self._device = pick_device(device)
        self._network = on_device(model.network, self._device).eval()

    @classmethod
    def load(cls, path_or_name: str | Path, device: Device = "auto") -> "DepthPredictor":
        """Load a run's or a shipped model; ``"depth"`` is the shipped one.

        Raises:
            CheckpointError: There is no model, or it is damaged, of another kind or newer.
            MissingDependency: A GPU was asked for and there is none.
        """
        return cls(load_model(path_or_name), device)

    @property
    def card(self) -> Mapping[str, Any]:
        """The model card: plain values of model.json."""
        return self._model.card

    @property
    def baselines(self) -> dict[str, ConstantPredictor | MeanMapPredictor]:
        """The predictors fitted on the same training set that never look at the picture."""
        return {"constant": self._model.constant, "mean_map": self._model.mean_map}

    def working_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size at which the network sees a picture of this size.

        It has the picture's aspect and the area of the training pictures, as nearly as the
        network's divisor allows.
        """
        return working_size((width, height), self._model.size, self._network.settings.divisor)

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "height width"]:
        """Return z in the camera frame for each pixel, mm.

        Args:
            image: Display-referred sRGB, 0 to 255.

        Raises:
            ShapeError: It is no colour picture of 8 bits.
        """
        _check_picture(image)
        return np.asarray(self.predict_batch(image[None])[0])

    @torch.inference_mode()
    def predict_batch(
        self, images: UInt8[np.ndarray, "batch height width 3"]
    ) -> Float32[np.ndarray, "batch height width"]:
        """Return z in the camera frame for each pixel of several pictures of one size, mm."""
        _check_picture(images)
        height, width = images.shape[1:3]
        size = self.working_size(width, height)
        small = np.stack([reduced_image(image, size) for image in images])
        batch = torch.from_numpy(small).to(self._device).permute(0, 3, 1, 2)  # is channels last
        log_depth = self._network(batch.float() / 255.0)
        found = self._network.depth_mm(log_depth)[:, 0].float().cpu().numpy()
        return np.stack([_enlarged(depth, (width, height)) for depth in found])


def _enlarged(
    depth_mm: Float32[np.ndarray, "rows columns"], size: tuple[int, int]
) -> Float32[np.ndarray, "height width"]:
    """Interpolate the logarithm, as the network thinks in it."""
    if depth_mm.shape[::-1] == size:
        return depth_mm
    enlarged = cv2.resize(np.log(depth_mm), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.exp(enlarged))


def _check_picture(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.shape[-1:] != (3,) or 0 in image.shape:
        raise ShapeError(
            f"expected 8-bit colour pictures (height, width, 3), got {image.dtype} "
            f"{image.shape}; convert to RGB with values 0 to 255"
        )
