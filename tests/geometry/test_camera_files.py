# SPDX-License-Identifier: Apache-2.0
"""Camera files: written ones read back equal, foreign ones are refused by file, key and value."""

from pathlib import Path

import pytest

from endoforge.errors import CameraError
from endoforge.geometry.camera_files import read_camera, write_camera
from endoforge.geometry.cameras import Camera
from geometry.lenses import LENSES


@pytest.mark.parametrize("camera", LENSES.values(), ids=LENSES.keys())
def test_a_written_camera_reads_back_equal(camera: Camera, tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    write_camera(path, camera)
    write_camera(path, camera)
    assert read_camera(path) == camera
    assert [file.name for file in tmp_path.iterdir()] == ["camera.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b'{"model": "pinhole"', "is not valid JSON"),
        (b"\xff\xfe\x00", "is not valid JSON"),
        (b"[" * 50_000, "is not valid JSON"),
        (b"[1, 2]", r"must be a group of keys, got \[1, 2\]"),
        (b'{"model": "pinhole", "model": "fisheye"}', "a key occurs twice"),
        (b'{"model": "pinhole", "width": 4}', "'height' is missing"),
        (b'{"model": "fisheye", "lens": 4}', "unknown camera key 'lens'"),
        (b" " * 100_001, "over 100,000 bytes"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_in_one_sentence(
    content: bytes, message: str, tmp_path: Path, plain_shapes: None
) -> None:
    path = tmp_path / "camera.json"
    path.write_bytes(content)
    with pytest.raises(CameraError, match=message) as caught:
        read_camera(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        CameraError, match=r"cannot read the camera file .*none\.json: No such file"
    ):
        read_camera(tmp_path / "none.json")
    with pytest.raises(CameraError, match=r"cannot read the camera file .*: Is a directory"):
        read_camera(tmp_path)
    with pytest.raises(CameraError, match=r"cannot write the camera file .*: No such file"):
        write_camera(tmp_path / "no" / "camera.json", LENSES["pinhole"])
