# SPDX-License-Identifier: Apache-2.0
"""The model folder: weights and model card of a translator, sealed against damage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from endoforge.errors import CheckpointError, SettingsError
from endoforge.frames.storage import sha256_of
from endoforge.settings import validate
from endoforge.training.model_folder import NAME, fill_network, find_model, network_tensors
from endoforge.training.sealed import read_sealed, write_sealed
from endoforge.translation.methods import Method, find_method
from endoforge.translation.settings import TranslationSettings
from endoforge.translation.translator import Channels, Translator

KIND, FORMAT_VERSION = "translation-model", 1


@dataclass(frozen=True)
class TranslationModel:
    """A trained translator with what is needed to use it.

    Attributes:
        method: That it was trained by.
        translator: In evaluation mode, on the CPU, once loaded.
        settings: All settings of its training; its pictures say size and planes.
        classes: Class indices that have a channel each, where label maps are an input.
        card: The model card: plain values of model.json.
    """

    method: str
    translator: Translator
    settings: TranslationSettings
    classes: tuple[int, ...]
    card: Mapping[str, Any]


def save_model(folder: Path, model: TranslationModel) -> None:
    """Write a model folder, whole or not at all.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    channels = model.translator.channels
    content = {
        **model.card,
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "method": model.method,
        "channels": {"source": channels.source, "target": channels.target},
        "classes": list(model.classes),
        "settings": model.settings.model_dump(mode="json", exclude={"cache"}),
    }
    write_sealed(folder, NAME, network_tensors(model.translator), content)


def load_model(path_or_name: str | Path, method: str | None = None) -> TranslationModel:
    """Read a model folder, a run folder that holds one, or a shipped model by its name.

    Args:
        path_or_name: Where it is.
        method: That it must have been trained by; None for any.

    Raises:
        CheckpointError: There is no model, or it is damaged, of another method, of another kind or
            newer.
    """
    folder = find_model(path_or_name)
    tensors, card = read_sealed(folder, NAME, KIND, FORMAT_VERSION)
    if method is not None and card.get("method") != method:
        raise CheckpointError(
            f"{folder} was trained by {card.get('method')!r} but {method!r} was expected; give a "
            "model of that method"
        )
    try:
        found: Method = find_method(card["method"])
        settings = validate(found.settings(), card["settings"])
        channels = Channels(int(card["channels"]["source"]), int(card["channels"]["target"]))
        classes = tuple(int(index) for index in card["classes"])
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise CheckpointError(
            f"{folder}/model.json lacks something or has what this program does not know: {error}"
        ) from None
    with torch.random.fork_rng(devices=[]):  # its first weights are overwritten
        translator = found.build(settings, channels).translator
    fill_network(translator, tensors, folder)
    return TranslationModel(found.name, translator.eval(), settings, classes, card)


def weights_hash(path_or_name: str | Path) -> str:
    """Return the SHA-256 of a model's weights, which tells it from all others."""
    return sha256_of(find_model(path_or_name) / f"{NAME}.safetensors")
