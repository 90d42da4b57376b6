# SPDX-License-Identifier: Apache-2.0
"""The predictor and its model file: sizes, equality of one and many, refusals."""

import shutil

import numpy as np
import pytest
import torch

from depth.conftest import tiny_settings
from endoforge.depth.model_file import load_model
from endoforge.depth.predictor import DepthPredictor
from endoforge.errors import CheckpointError, MissingDependency, ShapeError
from endoforge.training.model_folder import find_model
from endoforge.training.sealed import read_sealed, update_content, write_sealed
from frames.analytic import analytic_frame


@pytest.fixture(scope="module")
def predictor(trained):
    return DepthPredictor.load(trained.run, device="cpu")


def test_depth_has_the_pictures_size_and_is_positive(predictor):
    for shape in ((48, 64, 3), (100, 77, 3), (16, 16, 3), (256, 320, 3)):
        depth = predictor.predict(np.full(shape, 90, np.uint8))
        assert depth.shape == shape[:2]
        assert depth.dtype == np.float32
        assert (depth > 0).all()


def test_a_picture_alone_and_in_a_batch_gives_the_same(predictor):
    images = np.stack([analytic_frame(0, k).image for k in range(3)])
    together = predictor.predict_batch(images)
    for image, depth in zip(images, together, strict=True):
        np.testing.assert_allclose(predictor.predict(image), depth, rtol=1e-4)


def test_predicting_twice_gives_the_same_bits(predictor):
    image = analytic_frame(0, 0).image
    assert np.array_equal(predictor.predict(image), predictor.predict(image))


def test_the_network_sees_the_training_area_in_the_pictures_aspect(predictor):
    assert predictor.working_size(64, 48) == (64, 48)
    assert predictor.working_size(640, 480) == (64, 48)
    width, height = predictor.working_size(500, 500)
    assert width == height == 56
    assert predictor.working_size(10_000, 10) == (1752, 8)


def test_the_card_tells_data_protocol_and_figures(predictor, trained):
    training = predictor.card["training"]
    assert training["step"] == 10
    assert training["settings"] == tiny_settings().model_dump(mode="json", exclude={"cache"})
    assert training["held_out_figures"]["abs_rel"] == trained.report.figures["validation/abs_rel"]
    assert predictor.card["licence"] == "Apache-2.0"


def test_the_baselines_come_with_the_model(predictor):
    image = np.zeros((20, 30, 3), np.uint8)
    found = {name: baseline.predict(image) for name, baseline in predictor.baselines.items()}
    assert np.ptp(found["constant"]) == 0
    assert found["mean_map"].shape == (20, 30)
    assert 5 < found["constant"].mean() < 50


@pytest.mark.usefixtures("plain_shapes")
@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), "u1")],
)
def test_what_is_no_colour_picture_is_refused(predictor, image):
    with pytest.raises(ShapeError, match="8-bit colour"):
        predictor.predict(image)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is present")
def test_a_missing_gpu_is_said_with_a_command(trained):
    with pytest.raises(MissingDependency, match="pip install torch"):
        DepthPredictor.load(trained.run, device="cuda")


# ---- model files ----


def test_a_run_and_its_model_folder_mean_the_same(trained):
    assert find_model(trained.run) == find_model(trained.run / "model")


def test_an_unknown_name_is_refused_with_what_there_is():
    with pytest.raises(CheckpointError, match=r"no model at 'detph'.*shipped model"):
        DepthPredictor.load("detph")


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained.run / "model", tmp_path / "model")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_model_with_one_changed_byte_is_refused(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 4
    (copy / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="model"):
        load_model(copy)


def test_a_cut_model_is_refused(copy):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cut or changed"):
        load_model(copy)


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        ({"format_version": 9}, "update Endoforge"),
        ({"kind": "segmentation-model"}, "'depth-model' was expected"),
        ({"network": {"kind": "dpt"}}, "does not know"),
        ({"width": "wide"}, "lacks something"),
        (
            {"network": {"kind": "unet", "widths": [8, 12, 24], "blocks": [0, 1, 1]}},
            "where the network has",
        ),
    ],
)
def test_a_model_of_another_kind_is_refused(copy, updates, words):
    update_content(copy, "model", updates)
    with pytest.raises(CheckpointError, match=words):
        load_model(copy)


def test_weights_that_are_not_finite_are_refused(trained, tmp_path):
    tensors, content = read_sealed(trained.run / "model", "model", "depth-model", 1)
    tensors["network.head.bias"][0] = float("nan")
    write_sealed(tmp_path / "model", "model", tensors, content)
    with pytest.raises(CheckpointError, match=r"head\.bias that is not finite"):
        load_model(tmp_path)
