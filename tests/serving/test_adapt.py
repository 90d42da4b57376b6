# SPDX-License-Identifier: Apache-2.0
"""A reverse translator before the depth network: what it changes, is noted, and is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from endoforge.errors import CheckpointError
from endoforge.frames.planes import decode_depth
from endoforge.serving.depth import run_depth
from endoforge.serving.settings import RunSettings
from endoforge.translation.adapting import load_adapter
from endoforge.translation.methods import find_method
from endoforge.translation.model_file import TranslationModel, save_model, weights_hash
from endoforge.translation.tasks.reverse_settings import ReverseSettings
from endoforge.translation.translator import Channels
from frames.media.samples import tissue
from serving.samples import BrightnessModel


def saved(folder: Path, method: str = "reverse", channels: int = 3, darker: float = 0.3) -> Path:
    """Write a translator that makes every picture darker."""
    torch.manual_seed(0)
    settings = find_method(method).settings()
    values = {
        "reverse": {"refiner": {"width": 4, "blocks": 1}},
        "pix2pix": {"generator": {"width": 4, "levels": 2}},
    }[method]
    told = settings.model_validate({**values, "pictures": {"height": 64, "crop": 64}})
    translator = find_method(method).build(told, Channels(channels, channels)).translator
    if settings is ReverseSettings:
        translator.generator.head.bias.data.fill_(-darker)
    save_model(folder / "model", TranslationModel(method, translator, told, (), {}))
    return folder


def picture_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    Image.fromarray(tissue()).save(folder / "0.png")
    return folder / "0.png"


def manifest_of(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())


def test_depth_is_read_from_the_adapted_picture_and_the_drawing_shows_the_given_one(tmp_path):
    model, source = saved(tmp_path / "run"), picture_in(tmp_path / "in")
    settings = RunSettings(adapt=str(model), device="cpu")
    run_depth(BrightnessModel(), source, tmp_path / "out", settings)
    depth = decode_depth((tmp_path / "out" / "depth" / "0.png").read_bytes())
    made = load_adapter(model, "cpu").adapted(tissue())
    assert made.mean() < tissue().mean() - 10
    known = np.isfinite(depth)
    assert np.allclose(depth[known], BrightnessModel().predict(made)[known], atol=0.003)
    drawing = np.asarray(Image.open(tmp_path / "out" / "side_by_side" / "0.png"))
    run_depth(BrightnessModel(), source, tmp_path / "plain")
    plain = np.asarray(Image.open(tmp_path / "plain" / "side_by_side" / "0.png"))
    left, top, width, height = manifest_of(tmp_path / "out")["frames"][0]["panels"][0]
    panel = (slice(top, top + height), slice(left, left + width))
    assert np.array_equal(drawing[panel], plain[panel])


def test_the_manifest_names_the_translator_by_its_hash(tmp_path):
    model, source = saved(tmp_path / "mine"), picture_in(tmp_path / "in")
    run_depth(BrightnessModel(), source, tmp_path / "out", RunSettings(adapt=str(model)))
    assert manifest_of(tmp_path / "out")["adapted_by"] == {
        "name": "mine", "method": "reverse", "weights_sha256": weights_hash(model),
    }  # fmt: skip
    run_depth(BrightnessModel(), source, tmp_path / "plain")
    assert manifest_of(tmp_path / "plain")["adapted_by"] is None


def test_translators_of_grey_pictures_depth_networks_and_nothing_are_refused(tmp_path):
    source, grey = picture_in(tmp_path / "in"), saved(tmp_path / "grey", channels=1)
    for name, words in (
        (str(grey), "got 'grey' of method reverse with 1 to 1; train one"),
        ("depth", "'depth-model' but 'translation-model' was expected"),
        (str(tmp_path / "nowhere"), "found no model"),
    ):
        with pytest.raises(CheckpointError, match=words):
            run_depth(BrightnessModel(), source, tmp_path / "out", RunSettings(adapt=name))


def test_a_translator_of_another_method_is_refused(tmp_path):
    other = saved(tmp_path / "other", method="pix2pix")
    with pytest.raises(CheckpointError, match="'other' of method pix2pix"):
        load_adapter(other)
