# SPDX-License-Identifier: Apache-2.0
"""Training on masks: it learns a known rule, leaves a complete run, and refuses what differs."""

import json

import numpy as np
import pytest
import torch

from endoforge.errors import CheckpointError, DataError, SettingsError, ShapeError
from endoforge.frames.flat_cache import Split
from endoforge.segmentation.classes import ClassScheme
from endoforge.segmentation.data import MaskedFrames, load_masked_frames
from endoforge.segmentation.fitting import SegmentationBatches, SegmentationRun
from endoforge.segmentation.model_file import load_segmentation_model
from endoforge.segmentation.predictor import SegmentationPredictor
from endoforge.segmentation.settings import SegmentationSettings
from endoforge.segmentation.train import train_on_masks, train_segmentation
from endoforge.settings import validate
from endoforge.training.record import read_metrics
from segmentation.conftest import tiny_settings

CALM = {"strength": 0, "flip": False}
RULE = ClassScheme(("red", "green", "blue"), {})


def coloured_run(out, count=8, side=32, **changes):
    """Pictures of flat coloured patches; the brightest channel is the class."""
    rng = np.random.default_rng(0)
    label = np.kron(rng.integers(0, 3, (count, 1, 4, 4)), np.ones((side // 4, side // 4)))
    label = label.astype(np.uint8)
    image = rng.integers(20, 90, (count, 3, side, side), dtype=np.uint8)
    for index in range(3):
        image[:, index] += 120 * (label[:, 0] == index).astype(np.uint8)
    label[:, :, 0] = 255
    settings = tiny_settings(width=side, height=side, augment=CALM, zoom=(1.0, 1.0), **changes)
    frames = MaskedFrames(image, label, np.repeat(np.arange(count // 2), 2))
    split = Split(np.arange(count - 2), np.arange(count - 2, count))
    return SegmentationRun(frames, RULE, split, "toy", out, settings)


def test_it_learns_that_the_brightest_channel_is_the_class(tmp_path):
    run = coloured_run(
        tmp_path, steps=60, learning_rate=1e-2, average=0.9, report_every=60, validate_every=60,
        checkpoint_every=60,
    )  # fmt: skip
    found = train_on_masks(run).figures
    assert found["validation/mean_iou"] > 0.95  # the analytic answer is 1
    predictor = SegmentationPredictor.load(tmp_path)
    image = run.frames.image[7].transpose(1, 2, 0)
    agreed = predictor.predict(image) == image.argmax(axis=2)
    assert agreed.mean() > 0.95


def test_a_run_folder_is_complete_and_says_which_classes_it_never_saw(trained):
    names = {path.name for path in trained.run.iterdir()}
    assert names == {"settings.json", "metrics.jsonl", "manifest.json", "checkpoints", "model"}
    settings = json.loads((trained.run / "settings.json").read_text())
    assert SegmentationSettings.model_validate(settings) == tiny_settings()
    manifest = json.loads((trained.run / "manifest.json").read_text())
    assert manifest["classes"] == ["wall", "polyp"]
    assert sum(manifest["class_shares"].values()) == pytest.approx(1)
    assert manifest["unseen_classes"] == []
    assert {"validation/mean_iou", "validation/iou_wall"} < set(read_metrics(trained.run)[-1])


def test_a_model_comes_back_as_it_was_saved(trained):
    one, two = (load_segmentation_model(trained.run) for _ in range(2))
    assert (
        one.scheme
        == two.scheme
        == ClassScheme(("wall", "polyp"), {"outside": "ignore", "fold": "wall"})
    )
    assert one.size == (64, 48)
    image = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        assert torch.equal(one.network(image), two.network(image))


@pytest.mark.parametrize("size", [(48, 64), (61, 37), (200, 300), (9, 9)])
def test_a_picture_of_any_size_gives_masks_of_that_size(trained, size):
    predictor = SegmentationPredictor.load(trained.run)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    mask, share = predictor.predict(image), predictor.probabilities(image)
    assert mask.shape == size
    assert share.shape == (2, *size)
    assert np.abs(share.sum(axis=0) - 1).max() < 1e-5
    assert np.array_equal(share.argmax(axis=0), mask)


def test_the_predictors_table_turns_labels_into_its_own_classes(trained):
    predictor = SegmentationPredictor.load(trained.run)
    table = predictor.table({0: "outside", 5: "polyp", 6: "fold", 7: "stool"})
    assert table[[0, 5, 6, 7]].tolist() == [255, 1, 0, 255]


@pytest.mark.usefixtures("plain_shapes")
def test_a_grey_picture_is_refused(trained):
    with pytest.raises(ShapeError, match="expected 8-bit colour"):
        SegmentationPredictor.load(trained.run).predict(np.zeros((48, 64), np.uint8))


def test_a_depth_model_is_refused():
    with pytest.raises(CheckpointError, match="'depth-model' but 'segmentation-model'"):
        load_segmentation_model("depth")


def test_masks_are_merged_before_they_are_made_smaller(trained, tmp_path):
    scheme = ClassScheme(("wall", "polyp"), {"fold": "wall"})
    frames = load_masked_frames([trained.data], scheme, (32, 24), tmp_path, lambda a, b: None)
    assert frames.label.shape == (18, 1, 24, 32)
    assert set(np.unique(frames.label)) <= {0, 1, 255}


def test_pixels_under_a_mask_or_a_box_do_not_count(tmp_path):
    run = coloured_run(tmp_path)
    settings = tiny_settings(width=32, height=32, augment={"mask_share": 1.0, "clean": 0.0})
    run.settings = settings
    batch = SegmentationBatches(run, torch.device("cpu"))(0)
    dark = batch["image"].amax(dim=1) == 0
    assert dark.any()
    assert (batch["label"][dark] == 255).all()


def test_nothing_is_turned_upside_down_unless_asked(tmp_path):
    run = coloured_run(tmp_path)
    for upside_down, rows in ((False, {0}), (True, {0, 31})):
        run.settings = tiny_settings(
            width=32,
            height=32,
            upside_down=upside_down,
            zoom=(1.0, 1.0),
            augment={"strength": 0, "flip": True},
        )
        batches = SegmentationBatches(run, torch.device("cpu"))
        found = set()
        for step in range(8):
            ignored = (batches(step)["label"] == 255).all(dim=2)
            found |= {int(row) for row in ignored.nonzero()[:, 1]}
        assert found == rows


def test_rare_classes_weigh_more_by_the_stated_power(tmp_path):
    run = coloured_run(tmp_path, loss={"balance": 0.5})
    shares = np.array(list(run.shares().values()))
    weights = run.class_weights().numpy()
    assert (weights * shares).sum() == pytest.approx(1, rel=1e-5)
    assert weights[0] / weights[1] == pytest.approx((shares[1] / shares[0]) ** 0.5, rel=1e-5)


def test_a_resumed_run_with_other_merges_is_refused_by_name(trained):
    with pytest.raises(CheckpointError, match=r"merge.* = 'wall' but this training has 'polyp'"):
        train_segmentation([trained.data], trained.run, tiny_settings(merge={"fold": "polyp"}))


def test_fine_tuning_with_other_classes_is_refused(trained, tmp_path):
    settings = tiny_settings(merge={"outside": "ignore"})
    with pytest.raises(CheckpointError, match="set classes, merge and"):
        train_segmentation([trained.data], tmp_path, settings, start_from=trained.run)


def test_a_dry_run_tells_sizes_and_writes_nothing(trained, tmp_path):
    report = train_segmentation([trained.data], tmp_path / "run", tiny_settings(), dry_run=True)
    assert report.dry_run
    assert (report.frames, report.parameters) == (18, trained.report.parameters)
    assert not (tmp_path / "run").exists()


def test_a_missing_data_set_and_a_bad_size_are_refused(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        train_segmentation([tmp_path / "nowhere"], tmp_path / "run", tiny_settings())
    with pytest.raises(SettingsError, match="multiples of 16"):
        validate(SegmentationSettings, {"width": 150})


def test_the_default_network_fits_five_megabytes():
    from endoforge.segmentation.networks.unet import SegmentationUNet

    network = SegmentationUNet(SegmentationSettings().network, 10)
    assert sum(v.numel() for v in network.state_dict().values()) * 4 < 5_000_000
