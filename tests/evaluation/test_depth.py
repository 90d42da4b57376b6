# SPDX-License-Identifier: Apache-2.0
import json
from contextlib import closing

import numpy as np
import pytest
import torch

from endoforge.depth.baselines import ConstantPredictor, MeanMapPredictor
from endoforge.depth.model_file import DepthModel, save_model
from endoforge.depth.networks.build import build_depth_network
from endoforge.depth.settings import UNetSettings
from endoforge.errors import DataError, SettingsError
from endoforge.evaluation.depth import evaluate_depth, evaluate_model
from endoforge.evaluation.settings import DepthProtocol
from endoforge.frames.dataset import Dataset
from endoforge.frames.png import decode_png
from endoforge.settings import validate
from evaluation.samples import Constant, Oracle, small_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return small_dataset(tmp_path_factory.mktemp("data") / "set")


def test_the_truth_has_no_error_under_any_alignment(dataset):
    result = evaluate_depth({"model": Oracle(dataset)}, dataset)
    for alignment in ("none", "median", "scale_shift"):
        assert result.score("abs_rel", alignment) == pytest.approx(0, abs=1e-6)
        assert result.score("delta1", alignment) == 1.0


def test_a_wrong_scale_is_forgiven_by_the_alignments_only(dataset):
    result = evaluate_depth({"model": Oracle(dataset, factor=1.2)}, dataset)
    assert result.score("abs_rel", "none") == pytest.approx(0.2, abs=1e-4)
    assert result.score("abs_rel", "median") == pytest.approx(0, abs=1e-5)
    shifted = evaluate_depth({"model": Oracle(dataset, 1.2, 3.0)}, dataset)
    assert shifted.score("abs_rel", "median") > 0.01
    assert shifted.score("abs_rel", "scale_shift") == pytest.approx(0, abs=1e-5)


def test_figures_equal_those_worked_out_by_hand(dataset):
    protocol = DepthProtocol(min_depth_mm=10, max_depth_mm=30, crop=0.25)
    result = evaluate_depth({"model": Constant(20.0)}, dataset, protocol)
    by_frame, pixels = [], 0
    with closing(Dataset.open(dataset)) as opened:
        for frame in opened.iter_frames():
            inner = frame.depth_mm[12:36, 16:48]
            true = inner[np.isfinite(inner) & (inner >= 10) & (inner <= 30)].astype(float)
            by_frame.append(np.mean(np.abs(true - 20) / true))
            pixels += true.size
    assert result.score("abs_rel", "none") == pytest.approx(np.mean(by_frame), rel=1e-9)
    assert result.pixels == pixels


def test_model_and_baselines_stand_side_by_side(dataset):
    predictors = {"model": Oracle(dataset, 1.05), "constant": Constant(), "mean_map": Constant(20)}
    result = evaluate_depth(predictors, dataset, model_name="depth")
    assert [p.name for p in result.predictors] == ["model", "constant", "mean_map"]
    assert result.score("abs_rel", "none") < result.score("abs_rel", "none", "constant")
    lines = result.table().splitlines()
    assert len(lines) == 2 + 3 * 3
    assert "8 frames" in lines[0]
    assert "1 to 200 mm" in lines[0]


def test_figures_by_sequence_average_to_the_whole(dataset):
    result = evaluate_depth({"model": Constant(22.0)}, dataset)
    by_sequence = result.predictors[0].by_sequence
    assert set(by_sequence) == {"0", "1"}
    assert np.mean(list(by_sequence.values())) == pytest.approx(result.score("abs_rel", "none"))


def test_errors_by_depth_cover_every_pixel(dataset):
    result = evaluate_depth({"model": Oracle(dataset, 0.9)}, dataset)
    rows = result.predictors[0].by_depth
    assert sum(row["pixels"] for row in rows) == result.pixels
    for row in rows:
        if row["pixels"]:
            assert row["abs_rel"] == pytest.approx(0.1, abs=1e-4)
            assert row["bias"] == pytest.approx(-0.1, abs=1e-4)
        else:
            assert row["abs_rel"] is None


def test_the_result_is_written_with_error_maps_of_spread_frames_and_the_worst(dataset, tmp_path):
    protocol = DepthProtocol(error_maps=3)
    result = evaluate_depth({"model": Constant(15.0)}, dataset, protocol, out=tmp_path)
    stored = json.loads((tmp_path / "evaluation.json").read_text())
    assert stored == json.loads(json.dumps(result.to_dict()))
    chosen = [m["chosen"] for m in stored["error_maps"]]
    assert chosen == ["evenly spread", "evenly spread", "worst of all frames"]
    assert stored["error_maps"][-1]["abs_rel"] == max(m["abs_rel"] for m in stored["error_maps"])
    for record in stored["error_maps"]:
        for name in record["files"].values():
            assert decode_png((tmp_path / name).read_bytes(), name).pixels.shape == (48, 64, 3)


def test_a_limit_takes_frames_from_the_whole_set_and_progress_is_told(dataset):
    told = []
    result = evaluate_depth(
        {"model": Constant()},
        dataset,
        DepthProtocol(limit=2),
        progress=lambda done, total: told.append((done, total)),
    )
    assert result.frames == 2
    assert told == [(1, 2), (2, 2)]
    assert set(result.predictors[0].by_sequence) == {"0", "1"}


def test_a_protocol_that_leaves_no_pixel_is_refused(dataset):
    with pytest.raises(DataError, match="no pixel of"):
        evaluate_depth(
            {"model": Constant()}, dataset, DepthProtocol(min_depth_mm=300, max_depth_mm=400)
        )
    with pytest.raises(SettingsError, match="300"):
        validate(DepthProtocol, {"min_depth_mm": 300})


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A network without training, sealed as a model."""
    torch.manual_seed(0)
    network = build_depth_network(UNetSettings(widths=(8, 8), blocks=(0, 1)))
    mean_map = MeanMapPredictor(np.full((48, 64), 20.0, np.float32))
    model = DepthModel(network.eval(), (64, 48), ConstantPredictor(25.0), mean_map, {})
    folder = tmp_path_factory.mktemp("model") / "model"
    save_model(folder, model)
    return folder


def test_a_model_is_measured_beside_the_baselines_of_its_own_training(dataset, model_folder):
    result = evaluate_model(str(model_folder), dataset, DepthProtocol(limit=2))
    assert [p.name for p in result.predictors] == ["model", "constant", "mean_map"]
    alone = evaluate_depth({"model": Constant(25.0)}, dataset, DepthProtocol(limit=2))
    assert result.score("rmse", "none", "constant") == alone.score("rmse", "none")


def test_baselines_can_be_fitted_on_another_data_set(dataset, model_folder):
    result = evaluate_model(
        str(model_folder), dataset, DepthProtocol(limit=2), baselines_from=dataset
    )
    given = evaluate_model(str(model_folder), dataset, DepthProtocol(limit=2))
    for baseline in ("constant", "mean_map"):
        fitted = result.score("abs_rel", "none", baseline)
        assert fitted < 0.3
        assert fitted != given.score("abs_rel", "none", baseline)


def test_a_changed_shard_stops_the_evaluation_and_is_named(tmp_path):
    folder = small_dataset(tmp_path / "set")
    shard = folder / "shard-000001.tar"
    content = bytearray(shard.read_bytes())
    content[2000] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(DataError, match="shard-000001"):
        evaluate_depth({"model": Constant()}, folder)
