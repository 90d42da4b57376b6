# SPDX-License-Identifier: Apache-2.0
"""A model folder brings a translator back whole, or is refused."""

import pytest
import torch

from endoforge.errors import CheckpointError
from endoforge.training.sealed import update_content
from endoforge.translation.methods import METHODS
from endoforge.translation.model_file import TranslationModel, load_model, save_model, weights_hash
from endoforge.translation.translator import Channels
from translation.runs import SMALL, brief


@pytest.fixture
def saved(tmp_path):
    return write(tmp_path / "model", "pix2pix", seed=0)


def write(folder, name, seed):
    torch.manual_seed(seed)
    settings = brief(name)
    translator = (
        METHODS[name].build(settings, Channels(5 if name == "pix2pix" else 0, 3)).translator
    )
    save_model(folder, TranslationModel(name, translator, settings, (1, 4), {"licence": "x"}))
    return folder, translator.eval(), settings


def test_a_translator_comes_back_with_all_that_is_needed_to_use_it(saved):
    folder, translator, settings = saved
    before = torch.get_rng_state()
    model = load_model(folder)
    assert torch.equal(torch.get_rng_state(), before)
    picture = torch.randn(2, 5, 16, 16)
    assert torch.equal(model.translator(picture), translator(picture))
    assert model.settings == settings
    assert model.classes == (1, 4)
    assert model.translator.channels == Channels(5, 3)
    assert model.card["licence"] == "x"


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_method_can_be_asked_for_by_name(tmp_path, name):
    folder, _, _ = write(tmp_path / name, name, seed=1)
    assert load_model(folder, name).method == name
    with pytest.raises(CheckpointError, match=f"trained by '{name}' but 'munit' was expected"):
        load_model(folder, "munit")


def test_different_weights_have_different_hashes(tmp_path, saved):
    other, _, _ = write(tmp_path / "other", "pix2pix", seed=1)
    again, _, _ = write(tmp_path / "again", "pix2pix", seed=0)
    assert weights_hash(saved[0]) == weights_hash(again) != weights_hash(other)


def test_a_changed_byte_is_found(saved):
    weights = saved[0] / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="cut or changed"):
        load_model(saved[0])


def test_a_depth_model_is_no_translator():
    with pytest.raises(CheckpointError, match="'depth-model' but 'translation-model'"):
        load_model("depth")


def test_a_method_that_this_program_does_not_know_is_named(saved):
    update_content(saved[0], "model", {"method": "cyclegan-3d"})
    with pytest.raises(CheckpointError, match="cyclegan-3d"):
        load_model(saved[0])


def test_weights_that_do_not_fit_their_settings_are_refused(saved):
    settings = brief("pix2pix", generator={"levels": 2, "width": 8}).model_dump(mode="json")
    update_content(saved[0], "model", {"settings": settings | {"cache": ""}})
    with pytest.raises(CheckpointError, match="where the network has"):
        load_model(saved[0])
