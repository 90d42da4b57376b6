# SPDX-License-Identifier: Apache-2.0
"""Pictures and held-out figures of a training: fixed, of the averaged weights, without a trace."""

import json

import cv2
import numpy as np
import pytest
import torch

from endoforge.errors import CheckpointError, DataError
from endoforge.settings import validate
from endoforge.training.record import read_metrics
from endoforge.translation.fitting import open_run, sides_of
from endoforge.translation.methods import METHODS
from endoforge.translation.planes import PlaneStack
from endoforge.translation.samples import SamplePictures, sample_files, shown
from endoforge.translation.train import train_translation
from translation.runs import BRIEF, SIDE, brief, write_pictures
from translation.tinting import TintingTranslator

WITH_STYLES = {
    "codes": {"width": 4, "blocks": 1, "mlp_width": 8, "style_halvings": 2},
    "judge": {"width": 4, "layers": 1, "scales": 1},
}
TILE = SIDE + 4  # with its gap


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures") / "real", count=6)


def learn(name, pictures, out, **changes):
    data = [] if METHODS[name].data == "noise" else [pictures]
    known = {"munit": WITH_STYLES}
    settings = (
        validate(METHODS[name].settings(), BRIEF | known[name] | changes)
        if name in known
        else brief(name, **changes)
    )
    return train_translation(name, data, [pictures], out, settings)


def read(file):
    return cv2.imread(str(file))[..., ::-1]


@pytest.mark.parametrize(
    ("name", "rows", "columns"), [("pix2pix", 3, 2), ("dcgan", 2, 2), ("munit", 3, 6)]
)
def test_each_validation_leaves_a_small_grid(tmp_path, pictures, name, rows, columns):
    learn(name, pictures, tmp_path, samples=2, validate_every=4)
    files = sample_files(tmp_path / "samples")
    assert list(sorted(files)) == [4, 6]
    assert read(files[6]).shape == (rows * TILE - 4, columns * TILE - 4, 3)
    assert json.loads((tmp_path / "manifest.json").read_text())["samples"].endswith(".")


def test_neither_samples_nor_held_out_figures_change_what_is_learnt(tmp_path, pictures):
    weights = []
    for often, samples in ((1, 2), (2, 0)):
        out = tmp_path / str(often)
        settings = {"steps": 2, "samples": samples, "validate_every": often, "held_out": 0.4}
        learn("munit", pictures, out, **settings)
        weights.append((out / "model" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert not (tmp_path / "2" / "samples").exists()


def drawn(tmp_path, pictures, translator):
    method = METHODS["cyclegan"]
    settings = validate(method.settings(), {**BRIEF, "samples": 2})
    sides = sides_of(method, [pictures], [pictures])
    run = open_run(method, sides, settings, tmp_path / "run", tmp_path / "cache")
    return SamplePictures(run, translator)


def test_a_grid_has_inputs_on_the_left_lent_looks_above_and_what_is_made_between(
    tmp_path, pictures
):
    samples = drawn(tmp_path, pictures, TintingTranslator())
    grid = samples.grid()
    tiles = [[grid[i * TILE :, j * TILE :][:SIDE, :SIDE] for j in range(6)] for i in range(3)]
    assert all((tile == 255).all() for tile in tiles[0][:4])
    source = cv2.imread(str(pictures / "1.png"))[..., ::-1]
    size = (round(24 / 20 * SIDE), SIDE)
    small = cv2.resize(source, size, interpolation=cv2.INTER_AREA)[:, 1 : 1 + SIDE]
    assert np.abs(tiles[1][0].astype(int) - small).max() <= 1
    lent = tiles[0][4] / 127.5 - 1
    expected = 0.9 * (tiles[1][0] / 127.5 - 1) + 0.3 * lent.mean(axis=(0, 1))
    assert np.abs(tiles[1][4] / 127.5 - 1 - expected).max() < 0.02
    assert not np.array_equal(tiles[1][1], tiles[1][2])


def test_later_pictures_go_and_many_are_thinned_out(tmp_path, pictures):
    samples = drawn(tmp_path, pictures, TintingTranslator())
    for step in (5, 9, 7):
        samples(step)
    assert sorted(sample_files(tmp_path / "run" / "samples")) == [5, 7]
    for step in range(8, 60):
        samples(step)
    left = sorted(sample_files(tmp_path / "run" / "samples"))
    assert len(left) <= 41
    assert (left[0], left[-1]) == (5, 59)


def test_samples_leave_the_random_numbers_alone(tmp_path, pictures):
    samples = drawn(tmp_path, pictures, TintingTranslator())
    before = torch.get_rng_state()
    assert np.array_equal(samples.grid(), samples.grid())
    assert torch.equal(before, torch.get_rng_state())


def test_planes_are_shown_by_their_picture_or_by_the_first_one():
    picture = np.zeros((7, 2, 2), np.float32)
    picture[4:7] = 1.0
    assert (shown(picture, PlaneStack(("normals", "depth", "image"))) == 255).all()
    depth = np.full((1, 2, 2), -1.0, np.float32)
    assert (shown(depth, PlaneStack(("depth",))) == 0).all()
    inside = np.full((2, 2, 2), -1.0, np.float32)
    inside[0, 0], inside[1, 1] = 1.0, 1.0
    classes = shown(inside, PlaneStack(("labels",), classes=(3, 5)))
    assert len(np.unique(classes.reshape(-1, 3), axis=0)) == 2
    assert shown(np.zeros((5, 2, 2), np.float32), PlaneStack(("image",))).shape == (2, 2, 3)


# ---- held-out figures ----------------------------------------------------------------------------


def test_held_out_pairs_are_not_learnt_from_and_have_the_l1_of_the_model(tmp_path, pictures):
    report = learn("pix2pix", pictures, tmp_path, held_out=0.34, precision="float32")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["target_pictures"], manifest["held_out_pictures"]) == (4, 4)
    last = read_metrics(tmp_path)[-1]
    assert {name for name in last if name.startswith("validation/")} == {
        "validation/generator/fool",
        "validation/generator/l1",
    }
    assert report.figures["validation/generator/l1"] == last["validation/generator/l1"] > 0
    with pytest.raises(CheckpointError, match="held_out"):
        learn("pix2pix", pictures, tmp_path, held_out=0.5)


def test_too_few_pictures_to_hold_some_out_are_refused(tmp_path):
    one = write_pictures(tmp_path / "one", count=1)
    with pytest.raises(DataError, match=r"two pictures of .*one or more, got 1; give more"):
        learn("gan", one, tmp_path / "run", held_out=0.1)
