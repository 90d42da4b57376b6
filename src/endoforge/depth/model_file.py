# SPDX-License-Identifier: Apache-2.0
"""The model folder: weights and model card of a depth network, sealed against damage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from endoforge.depth.baselines import ConstantPredictor, MeanMapPredictor
from endoforge.depth.networks.build import DepthNetwork, build_depth_network
from endoforge.depth.settings import DepthNetworkSettings, UNetSettings
from endoforge.errors import CheckpointError
from endoforge.settings import validate
from endoforge.training.model_folder import NAME, fill_network, find_model, network_tensors
from endoforge.training.sealed import read_sealed, write_sealed

KIND, FORMAT_VERSION = "depth-model", 1


@dataclass(frozen=True)
class DepthModel:
    """A trained network with what is needed to use and to judge it.

    Attributes:
        network: In evaluation mode, on the CPU.
        size: Width and height that it was trained at, px.
        constant: The constant predictor fitted on its training set.
        mean_map: The mean-depth-map predictor fitted on its training set.
        card: The model card: plain values of model.json.
    """

    network: DepthNetwork
    size: tuple[int, int]
    constant: ConstantPredictor
    mean_map: MeanMapPredictor
    card: Mapping[str, Any]


def save_model(folder: Path, model: DepthModel) -> None:
    """Write a model folder, whole or not at all.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    tensors = network_tensors(model.network)
    tensors["baseline.mean_map_mm"] = torch.from_numpy(model.mean_map.mean_mm)
    content = {
        **model.card,
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "network": model.network.settings.model_dump(mode="json"),
        "width": model.size[0],
        "height": model.size[1],
        "baseline_constant_mm": model.constant.constant_mm,
    }
    write_sealed(folder, NAME, tensors, content)


def load_model(path_or_name: str | Path) -> DepthModel:
    """Read a model folder, a run folder that holds one, or a shipped model by its name.

    Raises:
        CheckpointError: There is no model, or it is damaged, of another kind or newer.
    """
    folder = find_model(path_or_name)
    tensors, card = read_sealed(folder, NAME, KIND, FORMAT_VERSION)
    try:
        settings: DepthNetworkSettings = validate(UNetSettings, card["network"])
        size = (int(card["width"]), int(card["height"]))
        constant = ConstantPredictor(float(card["baseline_constant_mm"]))
        mean_map = MeanMapPredictor(tensors.pop("baseline.mean_map_mm").numpy())
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder}/model.json lacks something or has what this program does not know: {error}"
        ) from None
    network = build_depth_network(settings)
    fill_network(network, tensors, folder)
    return DepthModel(network.eval(), size, constant, mean_map, card)
