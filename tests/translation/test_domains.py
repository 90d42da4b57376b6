# SPDX-License-Identifier: Apache-2.0
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from endoforge.errors import DataError, SettingsError
from endoforge.frames.dataset import Dataset
from endoforge.translation.domains import (
    Domain,
    channels_of,
    open_domain,
)
from endoforge.translation.planes import PlaneStack, depth_from_channel
from endoforge.translation.settings import PictureSettings
from endoforge.translation.translator import Channels
from frames.media.samples import cut, shown_in, tissue, write_video

PLAIN = {"height": 24, "crop": 24}


def opened(paths, cache: Path, side="target", **settings) -> Domain:
    paths = [paths] if isinstance(paths, Path) else paths
    return open_domain(paths, PictureSettings.model_validate(PLAIN | settings), cache, side)


def save(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """Pictures of two sizes in nested folders."""
    save(tmp_path / "real" / "b.png", tissue(96, 72))
    save(tmp_path / "real" / "case 1" / "a.jpg", tissue(64, 48, 5))
    save(tmp_path / "real" / "case 1" / "c.png", tissue(48, 96, 9))
    save(tmp_path / "real" / ".hidden" / "d.png", tissue())
    (tmp_path / "real" / "notes.txt").write_text("no picture")
    return tmp_path / "real"


def test_a_nested_folder_keeps_names_and_aspects_at_the_short_side(folder, tmp_path):
    domain = opened(folder, tmp_path / "cache")
    assert domain.names == ("b.png", "case 1/a.jpg", "case 1/c.png")
    assert [domain.size(k) for k in range(3)] == [(32, 24), (32, 24), (24, 48)]
    assert domain.groups.tolist() == [0, 1, 1]
    picture = domain.picture(0)
    assert picture.shape == (3, 24, 32)
    expected = np.asarray(Image.fromarray(tissue(96, 72)).reduce(3)).transpose(2, 0, 1)
    assert np.abs((picture + 1) * 127.5 - expected).max() < 1.1


def test_a_cached_domain_is_the_same_and_reads_no_picture_again(folder, tmp_path, monkeypatch):
    first = opened(folder, tmp_path / "cache")
    monkeypatch.setattr("endoforge.translation.domains.write_entries", None)
    again = opened(folder, tmp_path / "cache")
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.picture(2), first.picture(2))
    assert np.array_equal(again.counts(2), first.counts(2))


def test_the_fingerprint_follows_content_and_settings_alone(folder, tmp_path):
    first = opened(folder, tmp_path / "cache").fingerprint
    assert opened(folder, tmp_path / "cache", crop=16).fingerprint == first
    moved = folder.rename(tmp_path / "elsewhere")
    assert opened(moved, tmp_path / "cache").fingerprint == first
    assert opened(moved, tmp_path / "cache", find_text=False).fingerprint != first
    save(moved / "b.png", tissue(96, 72, 1))
    assert opened(moved, tmp_path / "cache").fingerprint != first


def test_a_failed_attempt_leaves_no_cache(folder, tmp_path):
    (folder / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError):
        opened(folder, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_damaged_files_are_named_and_counted_and_skipped_only_when_asked(folder, tmp_path):
    (folder / "bad.png").write_bytes((folder / "b.png").read_bytes()[:300])
    (folder / "worse.jpg").write_bytes(b"")
    with pytest.raises(
        DataError,
        match=r"^2 of 5 files of \S*real are damaged: bad\.png is damaged \([a-z ]+\)"
        r", worse\.jpg has 0 bytes; a picture has 1 to \d+; restore them, or .*skip_damaged=true$",
    ):
        opened(folder, tmp_path / "cache")
    domain = opened(folder, tmp_path / "cache", skip_damaged=True)
    assert len(domain) == 3
    assert [problem.partition(" ")[0] for problem in domain.problems] == ["bad.png", "worse.jpg"]


def test_empty_and_missing_folders_are_refused(tmp_path):
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no picture and no video"):
        opened(tmp_path / "empty", tmp_path / "cache")
    with pytest.raises(DataError, match=r"there is no .*missing"):
        opened(tmp_path / "missing", tmp_path / "cache")
    with pytest.raises(DataError, match="one path with pictures or more"):
        opened([], tmp_path / "cache")
    (tmp_path / "empty" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"no picture of .*empty can be read: a\.png"):
        opened(tmp_path / "empty", tmp_path / "cache", skip_damaged=True)


def test_pictures_with_different_channels_in_one_folder_are_refused(folder, tmp_path):
    np.save(folder / "z.npy", np.zeros((48, 64, 5), np.float32))
    with pytest.raises(DataError, match=r"b\.png has 3 8-bit channels and z\.npy.*5 deeper"):
        opened(folder, tmp_path / "cache")


def test_numbers_beyond_the_value_range_stay_at_its_ends(tmp_path):
    np.save(save(tmp_path / "a" / "x.png", tissue()).with_name("y.npy"), np.zeros((48, 64, 3)))
    (tmp_path / "a" / "x.png").unlink()
    deep = opened(tmp_path / "a", tmp_path / "cache", value_range=(-1.0, 1.0))
    assert (deep.channels, float(deep.picture(0).max())) == (3, 0.0)
    assert channels_of(None, deep) == Channels(0, 3)


@pytest.mark.parametrize("channels", [1, 5])
def test_floats_of_any_channel_count_keep_half_a_per_mille(tmp_path, channels):
    values = np.random.default_rng(0).uniform(2, 6, (24, 30, channels)).astype(np.float32)
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "x.npy", values)
    domain = opened(tmp_path / "a", tmp_path / "cache", value_range=(2.0, 6.0))
    assert domain.channels == channels
    assert np.abs(domain.picture(0).transpose(1, 2, 0) - ((values - 2) / 2 - 1)).max() < 5e-4


# ---- videos --------------------------------------------------------------------------------------


def test_every_nth_frame_of_a_video_is_taken(tmp_path):
    video = write_video(tmp_path / "a.mp4", 10)
    domain = opened(video, tmp_path / "cache", every=4)
    assert domain.names == tuple(f"a.mp4#{k:06d}" for k in (0, 4, 8))
    assert len(set(domain.groups.tolist())) == 1


def test_a_cut_video_is_damaged(tmp_path):
    video = cut(write_video(tmp_path / "a.mp4", 60, movflags="faststart"), 0.6)
    with pytest.raises(DataError, match=r"a\.mp4 ends early"):
        opened(video, tmp_path / "cache")
    assert 5 < len(opened(video, tmp_path / "cache", skip_damaged=True)) < 60


# ---- what counts ---------------------------------------------------------------------------------


def test_surround_writing_and_rectangles_do_not_count(tmp_path):
    image, inside = shown_in("circle")
    save(tmp_path / "a" / "x.png", image)
    settings = {"height": 160, "crop": 64, "exclude": [(0.4, 0.4, 0.6, 0.6)]}
    counts = opened(tmp_path / "a", tmp_path / "cache", **settings).counts(0)[0]
    small = np.asarray(Image.fromarray(inside).resize((200, 160)))
    assert not counts[64:96, 80:120].any()
    assert (counts & ~small).mean() < 0.005
    assert (small & ~counts).sum() < 32 * 40 + 0.03 * small.sum()
    everything = opened(
        tmp_path / "a", tmp_path / "cache", find_content=False, find_text=False
    ).counts(0)
    assert everything.all()


def test_writing_over_a_folder_does_not_count(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        coarse = Image.fromarray(rng.integers(20, 235, (24, 32, 3)).astype(np.uint8))
        picture = np.array(coarse.resize((320, 240), Image.Resampling.BICUBIC))
        picture[20:24, 20:120:6] = picture[20:40, 20:120:12] = 255
        save(tmp_path / "a" / f"{number:02d}.png", picture)
    settings = {"height": 120, "crop": 64, "find_content": False}
    counts = opened(tmp_path / "a", tmp_path / "cache", **settings).counts(3)[0]
    assert not counts[11:19, 12:58].any()
    assert counts[40:].all()


# ---- data sets -----------------------------------------------------------------------------------


def test_planes_of_a_data_set_stand_in_the_order_asked_for(simulated, tmp_path):
    planes = ["labels", "image", "depth", "normals"]
    settings = {"height": 48, "crop": 48, "source_planes": planes}
    domain = opened(simulated, tmp_path / "cache", "source", **settings)
    with closing(Dataset.open(simulated)) as dataset:
        frame = dataset.frame(4)
    picture = domain.picture(4)
    assert domain.names[4] == "000001/000001"
    assert domain.channels == len(picture) == 4 + 3 + 1 + 3
    assert np.array_equal(picture[:4] > 0, frame.label == np.arange(4)[:, None, None])
    assert set(np.unique(picture[:4])) <= {-1.0, 1.0}
    shown = (picture[4:7] + 1) * 127.5
    assert np.abs(shown - frame.image.transpose(2, 0, 1)).max() < 0.1  # half floats
    depth = depth_from_channel(picture[7], (1.0, 300.0))
    assert np.allclose(depth[frame.valid], frame.depth_mm[frame.valid], rtol=2e-3)
    assert not picture[7][~frame.valid].any()
    normal = np.nan_to_num(frame.normal_camera).transpose(2, 0, 1)
    assert np.abs(picture[8:] - normal).max() < 1e-3
    assert domain.mirror_signs.tolist() == [1.0] * 8 + [-1.0, 1.0, 1.0]
    assert domain.counts(4)[0][frame.valid].all()


def test_a_picture_with_labels_alone_is_kept_in_bytes_without_loss(simulated, tmp_path):
    settings = {"height": 48, "crop": 48, "source_planes": ["image", "labels"]}
    domain = opened(simulated, tmp_path / "cache", "source", **settings)
    assert domain._values.dtype == np.uint8
    with closing(Dataset.open(simulated)) as dataset:
        frame = dataset.frame(0)
    assert np.array_equal(
        ((domain.picture(0)[:3] + 1) * 127.5).round(), frame.image.transpose(2, 0, 1)
    )


def test_planes_need_a_data_set(folder, tmp_path):
    with pytest.raises(SettingsError, match=r"source_planes asks for image, depth.*no data set"):
        opened(folder, tmp_path / "cache", "source", source_planes=["image", "depth"])


def test_depth_at_the_ends_of_its_range_is_minus_one_and_one():
    stack = PlaneStack(("depth",), (2.0, 200.0))
    depth = np.array([[2.0, 20.0, 200.0, np.nan, 900.0, 0.5]], np.float32)
    channel = stack.stacked({"depth_mm": depth, "valid": np.isfinite(depth)})
    assert np.allclose(channel[0, 0], [-1, 0, 1, 0, 1, -1], atol=1e-6)


def test_some_pictures_can_be_held_back(folder, tmp_path):
    domain = opened(folder, tmp_path / "cache")
    some = domain.chosen([2, 0])
    assert some.names == ("case 1/c.png", "b.png")
    assert np.array_equal(some.picture(0), domain.picture(2))
    assert some.fingerprint != domain.fingerprint
    with pytest.raises(DataError, match="got none"):
        domain.chosen([])


@pytest.mark.parametrize(
    "wrong",
    [{"exclude": [(0.5, 0, 0.4, 1)]}, {"exclude": [(0, 0, 2, 1)]}, {"value_range": (1, 1)},
     {"source_planes": ["image", "image"]}],
)  # fmt: skip
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        PictureSettings.model_validate(wrong)
