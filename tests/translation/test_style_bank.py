# SPDX-License-Identifier: Apache-2.0
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from endoforge.errors import CheckpointError, DataError, SettingsError
from endoforge.translation.style_bank import (
    MAP,
    bank_of,
    draw_map,
    group_codes,
    group_colour,
    make_style_bank,
    read_style_bank,
)
from endoforge.translation.styles import choose_styles
from endoforge.translation.translate_settings import StyleBankSettings, TranslateSettings
from translation.tinting import one_look, tinting

SETTINGS = StyleBankSettings(groups=3, height=24, device="cpu")
CENTRES = ((220, 90, 80), (230, 195, 90), (150, 60, 130))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Path:
    """Pictures of three colours: 12 red, 8 yellow, 5 purple ones, of three sizes."""
    folder = tmp_path_factory.mktemp("hospital") / "case"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, group in enumerate([0] * 12 + [1] * 8 + [2] * 5):
        size = ((40, 30), (30, 60), (50, 50))[number % 3]
        picture = np.array(CENTRES[group]) + rng.integers(-20, 21, (*size, 3))
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def bank(hospital, tmp_path_factory):
    out = tmp_path_factory.mktemp("bank") / "styles"
    return make_style_bank(tinting(), [hospital], out, SETTINGS), out


def test_groups_are_the_colours_the_largest_first(bank):
    found, _ = bank
    assert found.group.tolist() == [0] * 12 + [1] * 8 + [2] * 5
    assert found.names[0] == "00.png"
    for group, centre in enumerate(CENTRES):
        expected = 3 * (np.array(centre) / 127.5 - 1)
        assert np.allclose(found.codes[found.members(group)].mean(axis=0), expected, atol=0.15)


def test_the_map_keeps_distances_as_well_as_two_axes_can(bank):
    found, _ = bank
    centred = found.codes - found.codes.mean(axis=0)
    share = (found.place**2).sum() / (centred**2).sum()
    assert share == pytest.approx(sum(found.shares[:2]), rel=1e-4)
    assert abs(float((found.place[:, 0] * found.place[:, 1]).sum())) < 1e-3
    assert list(found.shares) == sorted(found.shares, reverse=True)


def test_a_bank_on_disk_is_the_same_and_damage_is_found(bank, tmp_path):
    found, out = bank
    again = read_style_bank(out, found.weights_sha256)
    for field in dataclasses.fields(found):
        assert np.array_equal(getattr(again, field.name), getattr(found, field.name))
    for name in ("styles.safetensors", "styles.json"):
        (tmp_path / name).write_bytes((out / name).read_bytes())
    content = bytearray((tmp_path / "styles.safetensors").read_bytes())
    content[-5] ^= 1
    (tmp_path / "styles.safetensors").write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="cut or changed"):
        read_style_bank(tmp_path, found.weights_sha256)


def test_the_bank_of_another_model_is_refused(bank):
    with pytest.raises(CheckpointError, match=r"made with the model abab.* got the model 1234"):
        read_style_bank(bank[1], "1234" * 16)


def test_the_drawn_map_shows_pictures_in_frames_of_their_groups_colour(bank):
    picture = np.asarray(Image.open(bank[1] / MAP).convert("RGB"))
    for group, centre in enumerate(CENTRES):
        assert (picture == group_colour(group)).all(axis=-1).sum() > 200
        near = np.abs(picture.astype(int) - centre).max(axis=-1) < 25
        assert near.sum() > 2000


def test_styles_of_a_group_are_codes_of_its_pictures(bank):
    found, out = bank
    chosen = TranslateSettings(style_bank=str(out), style_group=2, styles=4)
    styles = choose_styles(tinting(), chosen, 3)
    assert styles.codes.shape == (3, 4, 3)
    members = {tuple(code) for code in found.codes[found.members(2)].tolist()}
    for sequence in styles.codes:
        assert {tuple(code) for code in sequence.tolist()} <= members
        assert len({tuple(code) for code in sequence.tolist()}) == 4  # none twice if there are more
    many = choose_styles(tinting(), chosen.model_copy(update={"styles": 9}), 1)
    assert many.codes.shape == (1, 9, 3)
    with pytest.raises(SettingsError, match="style_group must be 0 to 2, got 3"):
        choose_styles(tinting(), chosen.model_copy(update={"style_group": 3}), 1)


def test_grouping_ends_at_a_minimum_that_no_point_can_leave():
    rng = np.random.default_rng(1)
    codes = rng.normal(size=(200, 8)).astype(np.float32)
    group = group_codes(codes, 5, 0)
    counts = np.bincount(group)
    assert len(counts) == 5
    assert counts.tolist() == sorted(counts, reverse=True)
    centres = np.stack([codes[group == k].mean(axis=0) for k in range(5)])
    nearest = ((codes[:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)
    assert np.array_equal(nearest, group)


def test_few_or_equal_codes_make_fewer_groups():
    assert group_codes(np.ones((6, 4), np.float32), 3, 0).tolist() == [0] * 6
    assert sorted(group_codes(np.eye(2, dtype=np.float32), 5, 0).tolist()) == [0, 1]
    one = bank_of(np.ones((1, 1), np.float32), ("a",), SETTINGS, "x")
    assert one.place.shape == (1, 2)
    assert draw_map(one, [np.zeros((20, 30, 3), np.uint8)]).shape == (1100, 1500, 3)


def test_at_most_so_many_pictures_are_taken_evenly(hospital, tmp_path):
    settings = SETTINGS.model_copy(update={"most": 5})
    few = make_style_bank(tinting(), [hospital], tmp_path / "styles", settings)
    assert few.names == ("00.png", "06.png", "12.png", "18.png", "24.png")


def test_a_bank_that_cannot_be_is_refused(hospital, tmp_path):
    with pytest.raises(SettingsError, match="cut has one look only"):
        make_style_bank(one_look(), [hospital], tmp_path / "styles", SETTINGS)
    with pytest.raises(DataError, match="there is no"):
        make_style_bank(tinting(), [tmp_path / "none"], tmp_path / "styles", SETTINGS)
    np.save(tmp_path / "a.npy", np.full((30, 30, 2), 0.5, np.float32))
    with pytest.raises(DataError, match="3 channels, got 2"):
        make_style_bank(tinting(), [tmp_path / "a.npy"], tmp_path / "styles", SETTINGS)
