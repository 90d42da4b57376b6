# SPDX-License-Identifier: Apache-2.0
"""The model folder: weights and model card of a depth network, sealed against damage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from endoforge.depth.baselines import ConstantPredictor, MeanMapPredictor
from endoforge.depth.networks.build import DepthNetwork, build_depth_network
from endoforge.depth.settings import DepthNetworkSettings, UNetSettings
from endoforge.errors import CheckpointError
from endoforge.settings import validate
from endoforge.training.sealed import read_sealed, write_sealed

KIND, NAME, FORMAT_VERSION = "depth-model", "model", 1
_SHIPPED = Path(__file__).parents[1] / "weights"


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
    tensors = {f"network.{k}": v.float() if v.is_floating_point() else v for k, v in _state(model)}
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


def find_model(path_or_name: str | Path) -> Path:
    """Return the model folder that a path or the name of a shipped model means.

    Raises:
        CheckpointError: There is none.
    """
    path = Path(path_or_name)
    candidates = [path, path / "model", _SHIPPED / str(path_or_name)]
    if len(path.parts) != 1:
        candidates.pop()
    for candidate in candidates:
        if (candidate / f"{NAME}.json").is_file():
            return candidate
    shipped = sorted(p.parent.name for p in _SHIPPED.glob(f"*/{NAME}.json"))
    raise CheckpointError(
        f"found no model at {str(path_or_name)!r}; give a run folder, a folder with {NAME}.json, "
        f"or a shipped model: {', '.join(shipped) or 'none here'}"
    )


def fill_network(network: DepthNetwork, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Write weights into a network.

    Raises:
        CheckpointError: Names or shapes differ, or a weight is not finite.
    """
    state = network.state_dict()
    given = {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
    for key in sorted({*state, *given}):
        shapes = [tuple(where[key].shape) if key in where else None for where in (state, given)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(
                f"{source} has {key} of shape {shapes[1]} where the network has {shapes[0]}; "
                "use the network settings that it was trained with"
            )
        if not bool(torch.isfinite(given[key]).all()):
            raise CheckpointError(f"{source} has a weight in {key} that is not finite; restore it")
    network.load_state_dict(given)


def _state(model: DepthModel) -> list[tuple[str, Tensor]]:
    return list(model.network.state_dict().items())
