# SPDX-License-Identifier: Apache-2.0
import gc
import hashlib
import io
import os
import shutil
import stat
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import webdataset

from endoforge.errors import DataError, StorageError
from endoforge.frames.encoding import frame_to_members
from endoforge.frames.journal import read_journal
from endoforge.frames.members import MEMBERS, OPTIONAL_LABELS, members_of
from endoforge.frames.shards import (
    ShardReader,
    read_shard,
    shard_name,
    write_members,
    write_shard,
)
from frames.analytic import analytic_frame, analytic_frames, write_analytic_dataset
from frames.faults import fill, small_disk


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    path = tmp_path_factory.mktemp("shard") / shard_name(3)
    write_shard(path, analytic_frames(3, 3))
    return path


@pytest.fixture
def copy(shard, tmp_path):
    return shutil.copy(shard, tmp_path / shard.name)


# ---- writing and reading -------------------------------------------------------------------------


def test_frames_come_back_in_order_and_alone(shard):
    assert [(f.sequence, f.index) for f in read_shard(shard)] == [(3, 0), (3, 1), (3, 2)]
    with ShardReader(shard) as reader:
        assert len(reader) == 3
        np.testing.assert_array_equal(reader.frame(1).image, analytic_frame(3, 1).image)
        assert list(reader.fields(2, ("label", "image"))) == ["label", "image"]
        np.testing.assert_array_equal(
            reader.facts(2)["camera_from_world"], analytic_frame(3, 2).camera_from_world
        )
        with pytest.raises(DataError, match="frames 0 to 2, got 3"):
            reader.members(3)


def test_the_record_describes_the_file(tmp_path):
    path = tmp_path / shard_name(3)
    record = write_shard(path, analytic_frames(3, 3))
    assert (record.sequence, record.shard, record.frames) == (3, "shard-000003.tar", 3)
    assert record.bytes == path.stat().st_size
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_bytes_depend_on_the_frames_alone(shard, tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1e9)
    monkeypatch.setenv("USER", "somebody")
    again = tmp_path / shard.name
    write_shard(again, analytic_frames(3, 3))
    assert again.read_bytes() == shard.read_bytes()


@pytest.mark.filterwarnings("ignore:unclosed file")
def test_webdataset_reads_the_same(shard):
    samples = list(webdataset.WebDataset(str(shard), shardshuffle=False))
    gc.collect()  # it leaves its file open
    assert [s["__key__"] for s in samples] == ["000000", "000001", "000002"]
    for index, sample in enumerate(samples):
        files = {k: v for k, v in sample.items() if not k.startswith("__")}
        expected = frame_to_members(analytic_frame(3, index), index)
        assert {f"{index:06d}.{name}": data for name, data in files.items()} == expected


def test_tar_lists_plain_files_without_time_and_owner(shard):
    with tarfile.open(shard) as archive:
        members = archive.getmembers()
    assert [m.name for m in members] == [f"{i:06d}.{name}" for i in range(3) for name in MEMBERS]
    assert {
        (m.mtime, m.uid, m.gid, m.uname, stat.S_ISREG(m.mode) or m.isreg()) for m in members
    } == {(0, 0, 0, "", True)}


def test_forked_readers_do_not_disturb_each_other(shard):
    with ShardReader(shard) as reader:
        expected = reader.members(0)["image.png"]
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                same = all(reader.members(0)["image.png"] == expected for _ in range(200))
                os._exit(0 if same else 1)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


# ---- refusals when writing -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "would hold 0 frames"),
        ([analytic_frame(3, 1)], "expects frame 0 of sequence 3, got frame 1 of sequence 3"),
        ([analytic_frame(4, 0)], "got frame 0 of sequence 4"),
        ([analytic_frame(3, 0)] * 2, "expects frame 1 of sequence 3, got frame 0"),
    ],
    ids=["none", "late", "other", "twice"],
)
def test_frames_that_do_not_belong_are_refused_and_nothing_is_left(tmp_path, frames, said):
    with pytest.raises(DataError, match=said):
        write_shard(tmp_path / shard_name(3), frames)
    assert list(tmp_path.iterdir()) == []


def test_a_strange_name_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"called like shard-000017\.tar, got 'a\.tar'"):
        write_shard(tmp_path / "a.tar", analytic_frames(3, 1))


def test_a_full_disk_leaves_no_shard_and_works_again_when_freed(tmp_path):
    with small_disk(tmp_path / "disk", 256) as disk:
        ballast = fill(disk)
        with pytest.raises(StorageError, match="No space left"):
            write_shard(disk / shard_name(3), analytic_frames(3, 3))
        assert [p.name for p in disk.iterdir()] == ["ballast"]
        ballast.unlink()
        write_shard(disk / shard_name(3), analytic_frames(3, 3))
        assert len(list(read_shard(disk / shard_name(3)))) == 3


# ---- damage --------------------------------------------------------------------------------------


def edges(path) -> list[int]:
    """Where members begin and end."""
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    return [m.offset for m in members] + [members[-1].offset_data + members[-1].size]


def test_a_shard_cut_at_any_member_edge_is_refused(copy):
    content = copy.read_bytes()
    for edge in edges(copy):
        copy.write_bytes(content[:edge])
        with pytest.raises(DataError, match=r"shard-000003\.tar.*restore the shard|anew"):
            list(read_shard(copy))


def test_a_shard_cut_anywhere_is_refused(copy):
    content = copy.read_bytes()
    rng = np.random.default_rng(0)
    for length in [0, 1, 511, 512, len(content) - 1, *rng.integers(0, len(content), 100)]:
        copy.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"shard-000003\.tar"):
            list(read_shard(copy))


def test_a_changed_byte_in_a_header_is_refused(copy):
    content = copy.read_bytes()
    rng = np.random.default_rng(1)
    for at in rng.choice(512, 150, replace=False).tolist():
        changed = bytearray(content)
        changed[at] ^= int(rng.integers(1, 256))
        copy.write_bytes(changed)
        with pytest.raises(DataError, match=r"shard-000003\.tar"):
            list(read_shard(copy))


def test_a_changed_byte_in_a_picture_is_refused_and_names_frame_and_file(copy):
    content = bytearray(copy.read_bytes())
    with tarfile.open(copy) as archive:
        member = archive.getmember("000001.depth.png")
    content[member.offset_data + member.size // 2] ^= 64
    copy.write_bytes(content)
    with pytest.raises(DataError, match=r"shard-000003\.tar frame 000001: depth\.png"):
        list(read_shard(copy))


def test_bytes_after_the_end_are_refused(copy):
    copy.write_bytes(copy.read_bytes() + bytes(512))
    with pytest.raises(DataError, match="no proper end"):
        list(read_shard(copy))


def test_a_renamed_shard_is_refused(copy):
    other = copy.rename(copy.with_name(shard_name(4)))
    with pytest.raises(DataError, match="says it is frame 0 of sequence 3"):
        list(read_shard(other))


def test_a_missing_shard_is_named(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        list(read_shard(tmp_path / shard_name(0)))


# ---- hostile archives ----------------------------------------------------------------------------


def hostile(kind: str) -> bytes:
    """A tar that holds something which a careless reader would follow."""
    data = b"x"
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("000000.image.png")
        info.size = len(data)
        match kind:
            case "parent" | "absolute" | "drive" | "case" | "device_name":
                names = {
                    "parent": "../000000.image.png",
                    "absolute": "/etc/passwd",
                    "drive": "C:\\x",
                    "case": "000000.IMAGE.png",
                    "device_name": "CON",
                }
                info.name = names[kind]
            case "symlink" | "hardlink" | "device" | "fifo" | "folder":
                kinds = {
                    "symlink": tarfile.SYMTYPE,
                    "hardlink": tarfile.LNKTYPE,
                    "device": tarfile.CHRTYPE,
                    "fifo": tarfile.FIFOTYPE,
                    "folder": tarfile.DIRTYPE,
                }
                info.type, info.linkname, info.size = kinds[kind], "/etc/passwd", 0
        archive.addfile(info, io.BytesIO(data[: info.size]))
        if kind == "twice":
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


HOSTILE = "parent absolute drive case device_name symlink hardlink device fifo folder twice"


@pytest.mark.parametrize("kind", HOSTILE.split(" "))
def test_hostile_archives_are_refused_and_nothing_is_written(tmp_path, kind):
    path = tmp_path / shard_name(0)
    path.write_bytes(hostile(kind))
    with pytest.raises(DataError, match="must have the file 00000"):
        list(read_shard(path))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_header_that_claims_terabytes_is_refused_without_memory(tmp_path):
    info = tarfile.TarInfo("000000.image.png")
    info.size = 8**11 - 1
    path = tmp_path / shard_name(0)
    path.write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(5000))
    with pytest.raises(DataError, match=r"cut inside 000000\.image\.png"):
        list(read_shard(path))


def test_no_bytes_whatever_raise_anything_else(tmp_path):
    rng = np.random.default_rng(2)
    path = tmp_path / shard_name(0)
    for length in (0, 1, 512, 1024, 3000):
        for _ in range(20):
            path.write_bytes(rng.bytes(length))
            with pytest.raises(DataError):
                list(read_shard(path))


# ---- optional labels -----------------------------------------------------------------------------


def test_a_shard_says_which_optional_labels_it_holds(tmp_path):
    shots = [analytic_frame(3, index, full=True) for index in range(2)]
    path = tmp_path / shard_name(3)
    write_shard(path, shots)
    with ShardReader(path) as shard:
        assert set(shard.labels) == set(OPTIONAL_LABELS) - {"facts"}
        assert list(shard.fields(1, ("albedo", "right_image"))) == ["albedo", "right_image"]
    with tarfile.open(path) as archive:
        assert archive.getnames()[: len(members_of(OPTIONAL_LABELS))] == [
            f"000000.{name}" for name in members_of(OPTIONAL_LABELS)
        ]


def test_frames_of_one_shard_have_the_same_labels(tmp_path):
    shots = [analytic_frame(3, 0, full=True), replace(analytic_frame(3, 1, full=True), albedo=None)]
    with pytest.raises(DataError, match=r"frame 1 must have the optional labels clean, albedo"):
        write_shard(tmp_path / shard_name(3), shots)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_whose_later_frame_lacks_a_file_is_refused(tmp_path):
    path = tmp_path / shard_name(3)
    write_shard(path, [analytic_frame(3, 0, full=True), analytic_frame(3, 1, full=True)])
    content = path.read_bytes()
    with tarfile.open(path) as archive:
        gone, after = (archive.getmember(f"000001.{n}.png") for n in ("albedo", "shading"))
    path.write_bytes(content[: gone.offset] + content[after.offset :])
    with pytest.raises(DataError, match=r"must have the file 000001\.albedo\.png"):
        ShardReader(path)


def test_a_shard_with_half_of_a_right_eye_is_refused(tmp_path):
    path = tmp_path / shard_name(3)
    write_shard(path, [analytic_frame(3, 0, full=True)])
    content = path.read_bytes()
    with tarfile.open(path) as archive:
        gone, after = (archive.getmember(f"000000.right.{n}.png") for n in ("depth", "flow"))
    path.write_bytes(content[: gone.offset] + content[after.offset :])
    with pytest.raises(DataError, match=r"shard-000003.tar: a frame must have the files"):
        ShardReader(path)


def test_a_file_that_is_not_there_is_named(copy):
    with ShardReader(copy) as shard, pytest.raises(DataError, match=r"has no albedo\.png, only"):
        shard.fields(0, ("albedo",))


def test_packed_frames_can_be_written_again_and_keep_every_byte(tmp_path):
    data = write_analytic_dataset(tmp_path / "data", sequences=1, frames=3, full=True)
    with ShardReader(data / shard_name(0)) as shard:
        members = [shard.members(position) for position in range(3)]
    record = write_members(tmp_path / shard_name(0), iter(members))
    assert (tmp_path / shard_name(0)).read_bytes() == (data / shard_name(0)).read_bytes()
    assert record == read_journal(data)[0]


def test_packed_frames_must_all_have_the_same_files(tmp_path):
    data = write_analytic_dataset(tmp_path / "data", sequences=1, frames=2, full=True)
    with ShardReader(data / shard_name(0)) as shard:
        members = [shard.members(position) for position in range(2)]
    del members[1]["clean.png"]
    with pytest.raises(DataError, match=r"frame 1 must have the files"):
        write_members(tmp_path / shard_name(0), members)
    with pytest.raises(DataError, match="would hold 0 frames"):
        write_members(tmp_path / shard_name(0), [])
    assert not (tmp_path / shard_name(0)).exists()
