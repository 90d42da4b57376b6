# SPDX-License-Identifier: Apache-2.0
import os
import sys

import pytest

from endoforge.errors import DataError, MissingDependency, SettingsError
from endoforge.frames.exports.export import FORMATS, export_dataset
from frames.analytic import write_analytic_dataset
from frames.faults import dies_at


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_writes_a_folder_and_reports_it(folder, tmp_path, form):
    seen = []
    out = tmp_path / "deep" / "out"
    report = export_dataset(folder, form, out, lambda done, total: seen.append((done, total)))
    assert seen == [(k, 6) for k in range(1, 7)]
    assert (report.frames, report.format, report.out) == (6, form, out)
    assert report.files == sum(path.is_file() for path in out.rglob("*")) > 0
    assert report.bytes == sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_data_set_without_optional_labels_is_enough(tmp_path, form):
    few = write_analytic_dataset(tmp_path / "few", 1, 2, 32, 24)
    assert export_dataset(few, form, tmp_path / "out").frames == 2


def test_an_unknown_format_is_refused_with_the_known_ones(folder, tmp_path):
    with pytest.raises(SettingsError, match="no format 'avi'; known: png, exr, coco"):
        export_dataset(folder, "avi", tmp_path / "out")


def test_a_folder_with_something_in_it_is_left_alone(folder, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(DataError, match="must be a new or an empty folder"):
        export_dataset(folder, "png", tmp_path)
    assert names(tmp_path) == ["mine"]
    (tmp_path / "empty").mkdir()
    assert export_dataset(folder, "tum", tmp_path / "empty").files == 2


def test_a_damaged_data_set_leaves_nothing(folder, tmp_path):
    damaged = write_analytic_dataset(tmp_path / "set", 1, 2)
    shard = damaged / "shard-000000.tar"
    shard.write_bytes(shard.read_bytes()[:-600])
    with pytest.raises(DataError, match=r"shard-000000\.tar"):
        export_dataset(damaged, "coco", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_a_killed_export_left_is_removed_by_the_next(folder, tmp_path):
    out = tmp_path / "out"
    assert dies_at(1, lambda: export_dataset(folder, "tum", out))
    assert not out.exists()
    assert len(list(tmp_path.iterdir())) == 1
    export_dataset(folder, "tum", out)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(("form", "package"), [("exr", "OpenEXR"), ("hdf5", "h5py")])
def test_a_missing_package_is_named_with_the_command(folder, tmp_path, monkeypatch, form, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=rf"{package}.*pip install 'endoforge\[export\]'"):
        export_dataset(folder, form, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
