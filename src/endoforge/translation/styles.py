# SPDX-License-Identifier: Apache-2.0
"""Which style code each translated sequence gets: random, borrowed, of a group, or in between."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from endoforge.errors import SettingsError
from endoforge.frames.media.pixels import display_values, read_pixels
from endoforge.frames.storage import sha256_of
from endoforge.streams import stream
from endoforge.translation.ready import ReadyTranslator
from endoforge.translation.style_bank import read_style_bank
from endoforge.translation.translate_settings import TranslateSettings

#: Style pictures are looked at with this short side, px, unless the settings name another.
STYLE_HEIGHT = 256


@dataclass(frozen=True, eq=False)
class Styles:
    """The looks of a translated data set.

    Attributes:
        codes: By sequence of the source and number of the style; None for one look only.
        names: What a person calls each style, by number.
        origin: Plain values that say where they come from.
    """

    codes: Float32[np.ndarray, "sequences styles size"] | None
    names: tuple[str, ...]
    origin: dict[str, Any]

    def code(self, sequence: int, number: int) -> Float32[np.ndarray, " size"] | None:
        """The code of one style of one sequence; None for one look only."""
        return None if self.codes is None else self.codes[sequence, number]


def choose_styles(ready: ReadyTranslator, settings: TranslateSettings, sequences: int) -> Styles:
    """Decide all style codes of a data set; a pure function of model, settings and pictures.

    Args:
        ready: The model.
        settings: How to choose.
        sequences: How many sequences the source has.

    Raises:
        SettingsError: The method has no styles but some were asked for, or there is no such group.
        DataError: A style picture cannot be read.
        CheckpointError: The style bank is damaged, or of another model.
    """
    asked = settings.style_from or settings.style_between or settings.style_bank is not None
    if not ready.translator.style_size:
        if asked or settings.styles > 1:
            ready.refuse_without_styles()
        return Styles(None, (ready.method,), {"kind": "one look"})
    if settings.style_from or settings.style_between:
        return _from_pictures(ready, settings, sequences)
    if settings.style_group is not None:
        return _from_group(ready, settings, sequences)
    return _random(ready, settings, sequences)


# ---- inside -------------------------------------------------------------------------------------


def _random(ready: ReadyTranslator, settings: TranslateSettings, sequences: int) -> Styles:
    codes = []
    for sequence in range(sequences if settings.vary == "sequence" else 1):
        seed = int(stream(settings.seed, "translated style", sequence).integers(2**62))
        generator = torch.Generator().manual_seed(seed)
        codes.append(ready.translator.draw_styles(settings.styles, generator).numpy())
    names = tuple(f"random {number}" for number in range(settings.styles))
    return Styles(_spread(np.stack(codes), sequences), names, {"kind": "random"})


def _from_pictures(ready: ReadyTranslator, settings: TranslateSettings, sequences: int) -> Styles:
    paths = [Path(text) for text in (*settings.style_from, *settings.style_between)]
    pictures = [display_values(read_pixels(path)) for path in paths]
    codes = ready.styles_of(pictures, settings.height or STYLE_HEIGHT)
    names = tuple(path.name for path in paths)
    origin = {"pictures": {path.name: sha256_of(path) for path in paths}}
    if settings.style_between:
        share = np.linspace(0, 1, settings.styles, dtype=np.float32)[:, None]
        steps = (1 - share) * codes[:1] + share * codes[1:]
        texts = tuple(f"{100 * s:.0f} % of the way to {names[1]}" for s in share[:, 0].tolist())
        return Styles(_spread(steps[None], sequences), texts, {"kind": "between", **origin})
    if settings.styles not in (1, len(paths)):
        raise SettingsError(
            f"styles = {settings.styles} contradicts the {len(paths)} pictures of style_from; "
            "leave it out"
        )
    return Styles(_spread(codes[None], sequences), names, {"kind": "pictures", **origin})


def _from_group(ready: ReadyTranslator, settings: TranslateSettings, sequences: int) -> Styles:
    assert settings.style_bank is not None
    assert settings.style_group is not None
    bank = read_style_bank(Path(settings.style_bank), ready.weights_sha256)
    members = bank.members(settings.style_group)
    chosen = []
    for sequence in range(sequences if settings.vary == "sequence" else 1):
        rng = stream(settings.seed, "style of a group", sequence)
        again = settings.styles > len(members)
        chosen.append(rng.choice(members, settings.styles, replace=again))
    codes = bank.codes[np.stack(chosen)]
    group = settings.style_group
    names = tuple(f"group {group}, {number}" for number in range(settings.styles))
    origin = {"kind": "group", "group": group, "bank_sha256": bank.sha256}
    return Styles(_spread(codes, sequences), names, origin)


def _spread(
    codes: Float32[np.ndarray, "some styles size"], sequences: int
) -> Float32[np.ndarray, "sequences styles size"]:
    """Give all sequences the same codes where there is one set of them; six digits each."""
    rounded = codes.round(6).astype(np.float32)
    return np.repeat(rounded, sequences, axis=0) if len(codes) == 1 else rounded
