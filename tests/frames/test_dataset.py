# SPDX-License-Identifier: Apache-2.0
import json
import pickle
import shutil

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.frames import dataset as dataset_module
from endoforge.frames.dataset import Dataset, Place
from endoforge.frames.journal import JOURNAL
from endoforge.frames.manifest import CONVENTIONS, MANIFEST, OPTIONAL_CONVENTIONS
from endoforge.frames.shards import shard_name
from frames.analytic import analytic_frame, write_analytic_dataset
from frames.planting import change_manifest


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_analytic_dataset(tmp_path_factory.mktemp("data") / "set", 3, 2)


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "set")


def test_frames_are_numbered_through_all_sequences(made):
    dataset = Dataset.open(made)
    assert (len(dataset), dataset.missing, len(dataset.sequences)) == (6, 0, 3)
    assert [(f.sequence, f.index) for f in dataset.iter_frames()] == [
        (s, i) for s in range(3) for i in range(2)
    ]
    assert dataset.place(3) == Place(1, 1)
    np.testing.assert_array_equal(dataset.frame(3).image, analytic_frame(1, 1).image)
    np.testing.assert_array_equal(
        dataset.fields(3, ("label",))["label"], analytic_frame(1, 1).label
    )
    dataset.close()


def test_a_frame_that_is_not_there_is_an_index_error(made):
    for index in (-1, 6):
        with pytest.raises(IndexError, match=f"frames 0 to 5, got {index}"):
            Dataset.open(made).frame(index)


def test_an_incomplete_data_set_opens_and_says_so(folder, caplog):
    journal = folder / JOURNAL
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:2]))
    assert Dataset.open(folder).missing == 2
    assert "lacks 2 of its frames" in caplog.text


def test_an_empty_data_set_is_refused(folder):
    (folder / JOURNAL).unlink()
    with pytest.raises(DataError, match="no finished sequence yet"):
        Dataset.open(folder)


def test_no_data_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="is no data set"):
        Dataset.open(tmp_path)


def test_a_missing_shard_is_named_when_it_is_needed(folder):
    (folder / shard_name(1)).unlink()
    dataset = Dataset.open(folder)
    dataset.frame(0)
    with pytest.raises(DataError, match=r"shard-000001\.tar is missing"):
        dataset.frame(2)


def test_a_cut_shard_is_named(folder):
    path = folder / shard_name(1)
    path.write_bytes(path.read_bytes()[:-512])
    with pytest.raises(DataError, match=r"shard-000001\.tar must have \d+ bytes, got \d+"):
        Dataset.open(folder).frame(2)


@pytest.mark.parametrize("seed", range(8))
def test_any_changed_byte_in_a_shard_is_found_before_a_frame_is_given_out(folder, seed):
    path = folder / shard_name(1)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    dataset = Dataset.open(folder)
    dataset.frame(0)
    with pytest.raises(DataError, match=r"shard-000001\.tar has changed: its SHA-256"):
        dataset.frame(2)


def test_a_shard_is_hashed_once(folder, monkeypatch):
    hashed = []
    real = dataset_module.sha256_of
    monkeypatch.setattr(dataset_module, "sha256_of", lambda p: hashed.append(p.name) or real(p))
    monkeypatch.setattr(dataset_module, "_OPEN_SHARDS", 1)
    dataset = Dataset.open(folder)
    for _ in range(2):
        list(dataset.iter_frames())
    assert hashed == [shard_name(0), shard_name(1), shard_name(2)]
    hashed.clear()
    list(Dataset.open(folder, verify=False).iter_frames())
    assert hashed == []


def test_a_copy_for_another_process_opens_the_files_anew(made):
    dataset = Dataset.open(made)
    dataset.frame(0)
    copy = pickle.loads(pickle.dumps(dataset))
    dataset.close()
    assert copy.frame(5).index == 1


# ---- optional labels -----------------------------------------------------------------------------


def test_a_data_set_without_a_word_about_optional_labels_reads_as_ever(tmp_path):
    folder = write_analytic_dataset(tmp_path / "old", 1, 2)
    values = json.loads((folder / MANIFEST).read_text())
    del values["optional_labels"]
    (folder / MANIFEST).write_text(json.dumps(values))
    assert Dataset.open(folder).labels == ()
    assert Dataset.open(folder).frame(1).albedo is None


def test_a_shard_with_other_labels_than_promised_is_refused(tmp_path):
    few, many = (
        write_analytic_dataset(tmp_path / name, 1, 2, full=name == "many")
        for name in ("few", "many")
    )
    change_manifest(many, optional_labels=["albedo"])
    with pytest.raises(DataError, match=r"has the labels back_flow_px, .*does not list"):
        Dataset.open(many).frame(0)
    words = {**CONVENTIONS, **OPTIONAL_CONVENTIONS}
    change_manifest(few, optional_labels=["albedo", "facts"], conventions=words)
    with pytest.raises(DataError, match="lacks the labels albedo"):
        Dataset.open(few).frame(0)


@pytest.mark.parametrize(
    ("labels", "said"),
    [(["depth"], "no optional label 'depth'"), (["back_flow_px"], "shares a file"), (7, "list")],
)
def test_impossible_promises_are_refused(tmp_path, labels, said):
    folder = write_analytic_dataset(tmp_path / "set", 1, 2)
    change_manifest(folder, optional_labels=labels)
    with pytest.raises(DataError, match=said):
        Dataset.open(folder)
