# SPDX-License-Identifier: Apache-2.0
"""Which network compares pictures: told by the weights; its name goes with the figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load_file
from torch import Tensor, nn

from endoforge.depth.model_file import load_model
from endoforge.errors import CheckpointError
from endoforge.evaluation.features.inception import FidInception
from endoforge.evaluation.features.squeezenet import NAMES, SqueezeNet
from endoforge.frames.storage import sha256_of

#: What the network of FID is called; only its distances may be called FID and KID.
INCEPTION = "Inception v3 (FID, 2015)"
SQUEEZENET = "SqueezeNet v1.0, fire9"

_BATCH = 16


@dataclass(frozen=True)
class FeatureNetwork:
    """A network with the name that its figures carry.

    Attributes:
        name: For people.
        weights_sha256: Of the file.
        network: Pictures from 0 to 1 in, one row of features each out.
    """

    name: str
    weights_sha256: str
    network: nn.Module

    @property
    def is_inception(self) -> bool:
        """Whether its distances are what the literature calls FID and KID."""
        return self.name == INCEPTION

    @torch.inference_mode()
    def features(
        self, images: UInt8[np.ndarray, "pictures height width 3"]
    ) -> Float[np.ndarray, "pictures features"]:
        """Return one row of features for each picture, display-referred sRGB."""
        rows = []
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + _BATCH]))
            rows.append(self.network(batch.permute(0, 3, 1, 2).float() / 255).double().numpy())
        return np.concatenate(rows)


class DepthEncoder(nn.Module):
    """Features of a depth network's encoder: means and spreads of each level but the finest."""

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self._network, self._size = network, size

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch features"]:
        """Return features of pictures from 0 to 1."""
        width, height = self._size
        x = nn.functional.interpolate(images, (height, width), mode="bilinear", antialias=True)
        levels: list[Tensor] = self._network.encoded(x)  # type: ignore[operator]
        kept = levels[1:]
        return torch.cat([f(level) for level in kept for f in (_mean, _spread)], dim=1)


def feature_network(weights: Path | None) -> FeatureNetwork:
    """Return the network of a file of weights; without a file, the shipped depth network's encoder.

    Args:
        weights: Inception's (FID layout) or SqueezeNet's (Caffe layout), as safetensors, npz, or a
            torch file that holds tensors only.

    Raises:
        CheckpointError: The file is damaged, or of no network that is known here.
    """
    if weights is None:
        model = load_model("depth")
        digest = str(model.card.get("tensors_sha256", "shipped"))
        encoder = DepthEncoder(model.network.eval(), model.size)
        return FeatureNetwork("encoder of the shipped depth network", digest, encoder)
    tensors = _read(weights)
    if tensors.keys() >= NAMES:
        return FeatureNetwork(SQUEEZENET, sha256_of(weights), SqueezeNet(tensors))
    return FeatureNetwork(INCEPTION, sha256_of(weights), _inception(tensors, weights))


# ---- inside -------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: torch.from_numpy(file[name]) for name in file.files}
        if path.suffix == ".safetensors":
            return load_file(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each library has errors of its own
        raise CheckpointError(
            f"cannot read the weights {path} ({error!s:.100}); give a safetensors, npz or torch "
            "file of tensors"
        ) from None
    if not isinstance(values, dict) or not all(isinstance(v, Tensor) for v in values.values()):
        raise CheckpointError(f"{path} must hold tensors by name, got {type(values).__name__}")
    return values


def _inception(tensors: Mapping[str, Tensor], path: Path) -> nn.Module:
    network = FidInception()
    wanted = {k: v for k, v in network.state_dict().items() if "num_batches" not in k}
    given = {k: v for k, v in tensors.items() if not k.startswith("AuxLogits.")}
    missing = [name for name in wanted if name not in given and not name.startswith("fc.")]
    wrong = [k for k in wanted if k in given and given[k].shape != wanted[k].shape]
    if wrong == ["fc.weight", "fc.bias"]:
        raise CheckpointError(
            f"{path} has {len(given['fc.bias'])} classes, the FID weights of 2015 have 1008: these "
            "are another Inception, whose distances are not FID; give the FID weights"
        )
    if missing or wrong:
        raise CheckpointError(
            f"{path} is of no network known here (Inception of FID, SqueezeNet v1.0): "
            f"{len(missing)} arrays are missing and {len(wrong)} of another shape, the first is "
            f"{(missing + wrong)[0]}; give one of those"
        )
    network.load_state_dict({k: given[k] for k in given if k in wanted}, strict=False)
    return network.eval().requires_grad_(False)


def _mean(level: Tensor) -> Tensor:
    return level.mean(dim=(2, 3))


def _spread(level: Tensor) -> Tensor:
    return level.std(dim=(2, 3))
