# SPDX-License-Identifier: Apache-2.0
"""Where a model's folder lies, and filling a network with the weights in it, whatever the task."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from endoforge.errors import CheckpointError, DataError
from endoforge.frames.storage import read_json

#: The two files of a model folder before their dots.
NAME = "model"
_SHIPPED = Path(__file__).parents[1] / "weights"


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


def kind_of_model(path_or_name: str | Path) -> str:
    """Return what a model folder says that it holds, e.g. ``"depth-model"``; unsealed.

    Raises:
        CheckpointError: There is no model, or its model.json cannot be read.
    """
    file = find_model(path_or_name) / f"{NAME}.json"
    try:
        content = read_json(file)
    except DataError as error:
        raise CheckpointError(str(error)) from None
    return str(content.get("kind")) if isinstance(content, dict) else "nothing known"


def fill_network(network: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Write the tensors named ``network.…`` into a network.

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


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's state under names ``network.…``, in float32, for a model folder."""
    return {
        f"network.{name}": value.float() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
