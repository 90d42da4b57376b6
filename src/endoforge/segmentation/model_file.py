# SPDX-License-Identifier: Apache-2.0
"""The model folder: weights, classes and card of a segmentation network, sealed against damage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endoforge.errors import CheckpointError
from endoforge.segmentation.classes import ClassScheme
from endoforge.segmentation.networks.unet import SegmentationUNet
from endoforge.segmentation.settings import SegmentationUNetSettings
from endoforge.settings import validate
from endoforge.training.model_folder import NAME, fill_network, find_model, network_tensors
from endoforge.training.sealed import read_sealed, write_sealed

KIND, FORMAT_VERSION = "segmentation-model", 1


@dataclass(frozen=True)
class SegmentationModel:
    """A trained network with what is needed to use it.

    Attributes:
        network: In evaluation mode, on the CPU.
        size: Width and height that it was trained at, px.
        scheme: Its classes, and what classes of data sets count as.
        card: The model card: plain values of model.json.
    """

    network: SegmentationUNet
    size: tuple[int, int]
    scheme: ClassScheme
    card: Mapping[str, Any]


def save_segmentation_model(folder: Path, model: SegmentationModel) -> None:
    """Write a model folder, whole or not at all.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    content = {
        **model.card,
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "network": model.network.settings.model_dump(mode="json"),
        "width": model.size[0],
        "height": model.size[1],
        "classes": list(model.scheme.names),
        "merge": dict(model.scheme.merge),
    }
    write_sealed(folder, NAME, network_tensors(model.network), content)


def load_segmentation_model(path_or_name: str | Path) -> SegmentationModel:
    """Read a model folder, a run folder that holds one, or a shipped model by its name.

    Raises:
        CheckpointError: There is no model, or it is damaged, of another kind or newer.
    """
    folder = find_model(path_or_name)
    tensors, card = read_sealed(folder, NAME, KIND, FORMAT_VERSION)
    try:
        settings = validate(SegmentationUNetSettings, card["network"])
        size = (int(card["width"]), int(card["height"]))
        scheme = ClassScheme(tuple(map(str, card["classes"])), dict(card["merge"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder}/model.json lacks something or has what this program does not know: {error}"
        ) from None
    network = SegmentationUNet(settings, len(scheme.names))
    fill_network(network, tensors, folder)
    return SegmentationModel(network.eval(), size, scheme, card)
