# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from endoforge.errors import DataError
from endoforge.frames.dataset import Dataset
from endoforge.frames.loader import DEPTH_FIELDS, FrameDataset, FrameStream
from endoforge.frames.members import ALL_FIELDS
from frames.analytic import analytic_camera, analytic_frame, write_analytic_dataset

CAMERA = analytic_camera(32, 24)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loader")
    return [write_analytic_dataset(folder / name, 3, 2, 32, 24) for name in ("a", "b")]


def test_an_item_is_the_frame_channels_first_with_zeros_for_nan(made):
    frame, item = Dataset.open(made[0]).frame(3), FrameDataset(made[0])[3]
    image = torch.from_numpy(frame.image).permute(2, 0, 1) / 255
    torch.testing.assert_close(item["image"], image)
    assert (item["image"].dtype, item["depth_mm"].dtype) == (torch.float32, torch.float32)
    valid = torch.from_numpy(frame.valid)
    assert not valid.all()
    assert torch.equal(item["valid"], valid[None])
    assert torch.equal(item["depth_mm"][0], torch.from_numpy(np.nan_to_num(frame.depth_mm)))
    assert (item["depth_mm"][~item["valid"]] == 0).all()
    normal = torch.from_numpy(np.nan_to_num(frame.normal_camera)).permute(2, 0, 1)
    assert torch.equal(item["normal_camera"], normal)
    flow = torch.from_numpy(np.nan_to_num(frame.flow_px)).permute(2, 0, 1)
    assert torch.equal(item["flow_px"], flow)
    assert torch.equal(item["flow_valid"][0], torch.from_numpy(np.isfinite(frame.flow_px[..., 0])))
    assert torch.equal(item["occluded"][0], torch.from_numpy(frame.occluded))
    assert torch.equal(item["label"], torch.from_numpy(frame.label))
    assert item["instance"].dtype == torch.int32
    assert (item["instance"].numpy() == frame.instance).all()


def test_no_item_holds_a_nan(made):
    for item in FrameDataset(made):
        assert not any(torch.isnan(value.float()).any() for value in item.values())


def test_several_data_sets_follow_each_other(made):
    data = FrameDataset(made, DEPTH_FIELDS)
    assert len(data) == 12
    assert list(data[0]) == list(DEPTH_FIELDS)
    torch.testing.assert_close(data[7]["image"], FrameDataset(made[1])[1]["image"])
    assert [data.sequence(i) for i in (0, 1, 2, 6, 11)] == [(0, 0), (0, 0), (0, 1), (1, 0), (1, 2)]
    with pytest.raises(IndexError, match="0 to 11, got 12"):
        data[12]


def test_batches_of_workers_equal_those_of_one_process(made):
    data = FrameDataset(made, DEPTH_FIELDS)
    alone = list(DataLoader(data, batch_size=4))
    together = list(DataLoader(data, batch_size=4, num_workers=2))
    assert len(alone) == len(together) == 3
    for one, other in zip(alone, together, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in DEPTH_FIELDS)


def keys(items) -> list[float]:
    return sorted(round(float(item["depth_mm"].double().sum()), 3) for item in items)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 2, 4])
def test_a_stream_gives_every_frame_once_whatever_the_workers(made, workers):
    stream = FrameStream(made[0], DEPTH_FIELDS)
    items = list(DataLoader(stream, batch_size=None, num_workers=workers))
    assert keys(items) == keys(FrameDataset(made[0], DEPTH_FIELDS))


def test_a_stream_without_workers_keeps_the_order(made):
    images = [item["image"] for item in FrameStream(made[0], ("image",))]
    expected = [analytic_frame(s, i, CAMERA) for s in range(3) for i in range(2)]
    for image, frame in zip(images, expected, strict=True):
        assert torch.equal(
            (image * 255).round().byte().permute(1, 2, 0), torch.from_numpy(frame.image)
        )


def test_processes_of_a_distributed_run_share_the_shards(made):
    shares = [list(FrameStream(made, DEPTH_FIELDS, share=(rank, 4))) for rank in range(4)]
    assert [len(share) for share in shares] == [4, 4, 2, 2]
    assert keys(item for share in shares for item in share) == keys(
        FrameDataset(made, DEPTH_FIELDS)
    )


def test_wrong_requests_are_refused(made):
    with pytest.raises(DataError, match="must be among image, depth_mm"):
        FrameDataset(made, ("depth",))
    with pytest.raises(DataError, match="at least one data set"):
        FrameDataset([])
    with pytest.raises(DataError, match=r"\(2, 2\)"):
        FrameStream(made, share=(2, 2))


# ---- optional labels -----------------------------------------------------------------------------


def test_optional_labels_come_as_tensors_with_zero_where_invalid(tmp_path):
    folder = write_analytic_dataset(tmp_path / "full", 1, 2, full=True)
    item = FrameDataset(folder, fields=tuple(ALL_FIELDS))[1]
    frame = Dataset.open(folder).frame(1)
    shapes = {name: tuple(tensor.shape) for name, tensor in item.items()}
    for name in ("clean", "right_image", "albedo", "shading", "texture_mm"):
        assert shapes[name] == (3, 48, 64)
    for name in ("back_flow_px", "right_from_left_px"):
        assert shapes[name] == (2, 48, 64)
    for name in ("specular", "moving", "back_occluded", "right_valid", "right_occluded",
                 "opacity", "expected_depth_mm", "first_depth_mm",
                 "right_depth_mm", "back_flow_valid", "right_from_left_valid"):  # fmt: skip
        assert shapes[name] == (1, 48, 64)
    assert item["material"].dtype == torch.uint8
    assert item["hu"].dtype == torch.int16
    assert all(torch.isfinite(tensor.float()).all() for tensor in item.values())
    valid = item["valid"][0]
    np.testing.assert_array_equal(
        item["texture_mm"][:, valid].numpy(), frame.texture_mm[frame.valid].T
    )
    assert (item["albedo"][:, ~valid] == 0).all()
    assert Dataset.open(folder).facts(1)["facts"] == frame.facts


def test_a_label_that_the_data_set_lacks_is_refused_on_opening(made):
    with pytest.raises(DataError, match=r"has no albedo, only the optional labels none"):
        FrameDataset(made[0], fields=("image", "albedo"))
