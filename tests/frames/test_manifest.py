# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from endoforge.errors import DataError, SettingsError, StorageError
from endoforge.frames.manifest import (
    MANIFEST,
    DatasetManifest,
    open_manifest,
    read_manifest,
    settings_sha256,
    write_manifest,
)
from frames.analytic import LABELS, analytic_camera


def manifest(width: int = 64, **changes) -> DatasetManifest:
    values = {
        "name": "test",
        "labels": LABELS,
        "camera": analytic_camera(width, 48).to_dict(),
        "seed": 7,
        "settings": {"camera": {"width": width}, "light": [1, 2]},
        "sequences": 2,
        "frames": 8,
    }
    return DatasetManifest(**values | changes)


def test_a_manifest_survives_the_disk(tmp_path):
    write_manifest(tmp_path, manifest())
    assert read_manifest(tmp_path) == manifest()
    assert manifest().lens() == analytic_camera()
    assert manifest().label_map().name(3) == "polyp"


def test_it_says_units_versions_and_the_hash_of_its_settings(tmp_path):
    write_manifest(tmp_path, manifest())
    values = json.loads((tmp_path / MANIFEST).read_text())
    assert values["schema_version"] == 1
    assert values["conventions"]["depth"].startswith("z in the camera frame, mm")
    assert values["depth_scale_mm"] == 0.005
    assert {"python", "numpy"} < set(values["versions"])
    assert values["settings_sha256"] == settings_sha256(values["settings"])


def test_the_hash_of_settings_does_not_depend_on_the_order():
    assert settings_sha256({"a": 1, "b": 2}) == settings_sha256({"b": 2, "a": 1})


def test_a_second_run_with_the_same_settings_goes_on(tmp_path):
    open_manifest(tmp_path, manifest())
    before = (tmp_path / MANIFEST).stat().st_mtime_ns
    assert open_manifest(tmp_path, manifest()) == manifest()
    assert (tmp_path / MANIFEST).stat().st_mtime_ns == before


def test_another_version_of_a_library_does_not_stop_a_resumed_run(tmp_path):
    old = manifest(versions={"numpy": "1.0"})
    write_manifest(tmp_path, old)
    assert open_manifest(tmp_path, manifest()).versions == {"numpy": "1.0"}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (manifest(width=96), r"camera\.width = 64 instead of 96"),
        (manifest(seed=8), "seed = 7 instead of 8"),
        (manifest(frames=9), "frames = 8 instead of 9"),
        (manifest(settings={}), "camera = .*instead of None"),
    ],
)
def test_other_settings_are_refused_with_the_first_difference(tmp_path, other, said):
    open_manifest(tmp_path, manifest())
    with pytest.raises(SettingsError, match=said):
        open_manifest(tmp_path, other)


def damaged(**changes):
    def change(values):
        for path, value in changes.items():
            values[path] = value
        return values

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (damaged(schema_version=2), "schema_version 1, got 2; update"),
        (damaged(labels={"255": "x"}), "class index must be 0 to 254"),
        (damaged(labels={"x": "wall"}), "labels"),
        (damaged(frames=0), r"frames.*got 0"),
        (damaged(frames=1), "2 sequences cannot have 1 frames"),
        (damaged(depth_scale_mm=-1), r"depth_scale_mm.*got -1"),
        (damaged(camera={"model": "cube"}), "cube"),
        (damaged(settings={"changed": 1}), "settings_sha256 does not belong"),
        (damaged(conventions={"length": "m"}), "length must mean 'mm', got 'm'"),
        (damaged(surprise=1), "surprise"),
        (lambda values: [], "schema_version 1, got None"),
        (lambda values: {}, "got None"),
    ],
)
def test_a_damaged_manifest_is_one_sentence(tmp_path, change, said):
    write_manifest(tmp_path, manifest())
    path = tmp_path / MANIFEST
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=said) as caught:
        read_manifest(tmp_path)
    assert "dataset.json" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_without_a_manifest_is_no_data_set(tmp_path):
    with pytest.raises(DataError, match=r"is no data set: it has no dataset\.json"):
        read_manifest(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_manifest(tmp_path / "file" / "data", manifest())
