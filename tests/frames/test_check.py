# SPDX-License-Identifier: Apache-2.0
"""Every planted fault must be found, and a clean data set must pass.

Faults in the labels are planted with matching hashes, so that only the labels can give them away.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.frames.check import check_dataset
from endoforge.frames.frame import Frame
from endoforge.frames.manifest import MANIFEST, settings_sha256
from endoforge.frames.planes import encode_depth
from endoforge.frames.png import decode_png, encode_png
from endoforge.frames.shards import read_shard, shard_name, write_shard
from endoforge.geometry.cameras import FisheyeCamera, PinholeCamera
from endoforge.geometry.depth import distance_from_depth
from frames.analytic import analytic_camera, write_analytic_dataset
from frames.planting import (
    change_journal,
    change_manifest,
    edit,
    kinds,
    relist,
    replace_file,
    rewrite,
    swap_labels,
)


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_analytic_dataset(tmp_path_factory.mktemp("clean") / "set", 2, 3)


@pytest.fixture
def folder(clean, tmp_path) -> Path:
    return shutil.copytree(clean, tmp_path / "set")


# ---- no false alarms -----------------------------------------------------------------------------


def test_a_clean_data_set_has_no_problems(clean):
    seen = []
    report = check_dataset(clean, lambda done, total: seen.append((done, total)))
    assert report.problems == []
    assert (report.sequences, report.frames) == (2, 6)
    assert seen[-1] == (6, 6)


@pytest.mark.parametrize(("width", "height"), [(24, 18), (40, 40), (160, 120)])
def test_the_size_of_the_pictures_raises_no_alarm(tmp_path, width, height):
    folder = write_analytic_dataset(tmp_path / "set", 3, 3, width, height)
    assert check_dataset(folder).problems == []


@pytest.mark.parametrize(
    "camera",
    [
        PinholeCamera.from_field_of_view(64, 48, 90.0),
        PinholeCamera.from_field_of_view(64, 48, 70.0, (-0.2, 0.05, 0.001, -0.001, 0.0)),
        FisheyeCamera.from_field_of_view(64, 48, 170.0),
    ],
    ids=["pinhole", "distorted", "wide fisheye"],
)
def test_no_lens_raises_an_alarm(tmp_path, monkeypatch, camera):
    monkeypatch.setattr("frames.analytic.analytic_camera", lambda *_: camera)
    folder = write_analytic_dataset(tmp_path / "set", 2, 3)
    assert check_dataset(folder).problems == []


def test_another_depth_scale_that_is_stated_raises_no_alarm(folder):
    rewrite(folder, lambda frame: frame, every=True, depth_scale_mm=0.02)
    change_manifest(folder, depth_scale_mm=0.02)
    assert check_dataset(folder).problems == []


# ---- faults in files and lists -------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-700])


def flip(path: Path, at: int = 3000) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


def other_hash(lines: list[str]) -> list[str]:
    values = json.loads(lines[1])
    return [lines[0], json.dumps(values | {"sha256": "0" * 64})]


FILE_FAULTS: Mapping[str, tuple[str, Callable[[Path], object]]] = {
    "a shard is missing": ("missing", lambda f: (f / shard_name(1)).unlink()),
    "a shard is cut": ("size", lambda f: cut(f / shard_name(1))),
    "a byte in a shard has changed": ("hash", lambda f: flip(f / shard_name(1))),
    "a byte in the padding has changed": ("hash", lambda f: flip(f / shard_name(1), -1030)),
    "a shard is not listed": ("unlisted", lambda f: change_journal(f, lambda lines: lines[:1])),
    "a sequence is missing": ("incomplete", lambda f: change_journal(f, lambda lines: lines[:1])),
    "a journal line is cut": (
        "journal",
        lambda f: change_journal(f, lambda lines: [lines[0], lines[1][:70]]),
    ),
    "a journal line lies about the hash": ("hash", lambda f: change_journal(f, other_hash)),
    "a journal line leads outside": (
        "journal",
        lambda f: change_journal(f, lambda x: [x[0], x[1].replace("shard-", "../shard-")]),
    ),
    "two journal lines differ": (
        "journal",
        lambda f: change_journal(f, lambda lines: lines + other_hash(lines)[1:]),
    ),
    "an unfinished file is left": ("unfinished", lambda f: (f / ".x.tar.tmp-1-a").write_text("")),
    "the manifest is cut": ("manifest", lambda f: cut(f / MANIFEST)),
    "the manifest has other settings": (
        "manifest",
        lambda f: change_manifest(f, settings={"a": 1}),
    ),
    "the manifest is of a newer version": (
        "manifest",
        lambda f: change_manifest(f, schema_version=2),
    ),
    "the manifest has another unit": (
        "manifest",
        lambda f: change_manifest(f, conventions={"length": "m"}),
    ),
    "the manifest promises more frames": ("count", lambda f: change_manifest(f, frames=7)),
    "the manifest knows fewer sequences": ("surplus", lambda f: change_manifest(f, sequences=1)),
    "two shards are swapped": ("order", lambda f: swap_shards(f)),
}


def swap_shards(folder: Path) -> None:
    """With a journal that agrees."""
    first, second = (folder / shard_name(s) for s in (0, 1))
    content = first.read_bytes(), second.read_bytes()
    first.write_bytes(content[1])
    second.write_bytes(content[0])
    relist(folder)


@pytest.mark.parametrize("name", FILE_FAULTS)
def test_a_fault_in_files_and_lists_is_found(folder, name):
    kind, plant = FILE_FAULTS[name]
    plant(folder)
    report = check_dataset(folder)
    assert kind in kinds(report), report.problems
    assert all(len(str(problem).splitlines()) == 1 for problem in report.problems)


def test_no_data_set_at_all_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no data set"):
        check_dataset(tmp_path)


# ---- faults in the labels ------------------------------------------------------------------------


def as_distance(depth, frame):
    return distance_from_depth(depth.astype(np.float64), frame.camera.rays()).astype(np.float32)


def moved(pose, frame, mm=1.0):
    pose[:3, 3] += mm
    return pose


def put_label(label, frame, value=7):
    label[20:24, 30:34] = value
    return label


def smaller(frame: Frame) -> Frame:
    arrays = {
        name: getattr(frame, name)[::2, ::2]
        for name in (
            "image", "depth_mm", "valid", "normal_camera", "label", "instance", "flow_px",
            "occluded",
        )
    }  # fmt: skip
    return replace(frame, camera=analytic_camera(32, 24), **arrays)


def renote(**notes):
    def change(data: bytes) -> bytes:
        png = decode_png(data, "x")
        return encode_png(png.pixels, {**png.notes, **notes})

    return change


def scaled_steps(data: bytes) -> bytes:
    """Depth written with another scale than the one it states."""
    png = decode_png(data, "x")
    return encode_png((png.pixels * 1.2).astype(np.uint16), png.notes)


def fact(**changes):
    return lambda data: json.dumps(json.loads(data) | changes).encode()


def turned(rows: list[list[float]]) -> list[list[float]]:
    return [rows[1], rows[0], rows[2], rows[3]]


LABEL_FAULTS: Mapping[str, tuple[str, Callable[[Path], object]]] = {
    "class not in the map": ("label", lambda f: rewrite(f, edit(label=put_label))),
    "label map without the class": (
        "label",
        lambda f: change_manifest(f, labels={"0": "outside", "1": "wall"}),
    ),
    "object with two classes": (
        "instance",
        lambda f: rewrite(f, edit(instance=lambda a, _: (a + 1).astype(np.uint16))),
    ),
    "normals too long": (
        "normal",
        lambda f: rewrite(f, edit(normal_camera=lambda a, _: (a * 0.9).astype(np.float32))),
    ),
    "normals turned away": (
        "normal",
        lambda f: rewrite(f, edit(normal_camera=lambda a, _: -a)),
    ),
    "normals in another frame's axes": (
        "normal-depth",
        lambda f: rewrite(f, edit(normal_camera=lambda a, _: a * np.float32([1, -1, 1]))),
    ),
    "normals swapped between frames": (
        "normal-depth",
        lambda f: swap_labels(f, "normal_camera"),
    ),
    "normals in world axes": (
        "normal-depth|normal",
        lambda f: rewrite(
            f,
            edit(normal_camera=lambda a, x: (a @ x.camera_from_world[:3, :3]).astype(np.float32)),
        ),
    ),
    "depth swapped between frames": ("flow", lambda f: swap_labels(f, "depth_mm")),
    "depth is distance": ("flow", lambda f: rewrite(f, edit(depth_mm=as_distance))),
    "depth 5 % too large": (
        "flow",
        lambda f: rewrite(f, edit(depth_mm=lambda a, _: a * np.float32(1.05))),
    ),
    "depth mirrored": (
        "flow",
        lambda f: rewrite(
            f,
            edit(
                depth_mm=lambda a, _: a[:, ::-1],
                valid=lambda a, _: a[:, ::-1],
                normal_camera=lambda a, _: a[:, ::-1],
            ),
        ),
    ),
    "depth file states another scale": (
        "scale",
        lambda f: replace_file(f, "depth.png", renote(scale="0.01")),
    ),
    "depth file states metres": (
        "frame",
        lambda f: replace_file(f, "depth.png", renote(unit="m")),
    ),
    "depth written with a secret scale": (
        "flow",
        lambda f: replace_file(f, "depth.png", scaled_steps),
    ),
    "all depths in a secret scale": (
        "flow",
        lambda f: rewrite(f, edit(depth_mm=lambda a, _: a * np.float32(0.5)), every=True),
    ),
    "no depth at all": (
        "depth",
        lambda f: rewrite(f, edit(valid=lambda a, _: a & False, depth_mm=lambda a, _: a * np.nan)),
    ),
    "flow backwards": ("flow", lambda f: rewrite(f, edit(flow_px=lambda a, _: -a))),
    "flow in half pixels": (
        "flow",
        lambda f: rewrite(f, edit(flow_px=lambda a, _: a * np.float32(2))),
    ),
    "flow with du and dv exchanged": (
        "flow",
        lambda f: rewrite(f, edit(flow_px=lambda a, _: np.ascontiguousarray(a[..., ::-1]))),
    ),
    "flow missing": ("flow", lambda f: rewrite(f, edit(flow_px=lambda a, _: a * np.nan))),
    "nothing occluded": ("occlusion", lambda f: rewrite(f, edit(occluded=lambda a, _: a & False))),
    "everything occluded": (
        "occlusion",
        lambda f: rewrite(f, edit(occluded=lambda a, _: a | True)),
    ),
    "pose moved": ("flow", lambda f: rewrite(f, edit(camera_from_world=moved))),
    "next pose moved": ("pose", lambda f: rewrite(f, edit(next_camera_from_world=moved))),
    "pose not rigid": (
        "frame",
        lambda f: replace_file(
            f, "json", lambda d: fact(camera_from_world=np.diag([2.0, 2, 2, 1]).tolist())(d)
        ),
    ),
    "pose mirrored": (
        "frame",
        lambda f: replace_file(
            f,
            "json",
            lambda d: fact(camera_from_world=turned(json.loads(d)["camera_from_world"]))(d),
        ),
    ),
    "poses inverted": (
        "flow",
        lambda f: rewrite(
            f,
            edit(
                camera_from_world=lambda a, _: np.linalg.inv(a),
                next_camera_from_world=lambda a, _: np.linalg.inv(a),
            ),
            every=True,
        ),
    ),
    "frames in another order": (
        "order",
        lambda f: replace_file(f, "json", fact(index=2)),
    ),
    "camera of another size": (
        "frame",
        lambda f: replace_file(f, "json", fact(camera=analytic_camera(32, 24).to_dict())),
    ),
    "a whole frame of another size": ("camera", lambda f: rewrite(f, smaller)),
    "camera with another focal length": (
        "camera",
        lambda f: rewrite(f, lambda x: replace(x, camera=replace(x.camera, fx=x.camera.fx * 1.1))),
    ),
    "all cameras with another focal length": ("flow", lambda f: other_lens(f)),
    "image black": ("image", lambda f: rewrite(f, edit(image=lambda a, _: a * np.uint8(0)))),
    "a frame twice": ("repeated", lambda f: repeat(f)),
    "a picture of another frame's file": (
        "frame",
        lambda f: replace_file(f, "label.png", lambda _: encode_depth(np.ones((48, 64), "f4"))),
    ),
}


def other_lens(folder: Path) -> None:
    camera = analytic_camera()
    camera = replace(camera, fx=camera.fx * 0.9, fy=camera.fy * 0.9)
    rewrite(folder, lambda frame: replace(frame, camera=camera), every=True)
    change_manifest(folder, camera=camera.to_dict())


def repeat(folder: Path) -> None:
    path = folder / shard_name(1)
    a, b, _ = read_shard(path)
    write_shard(path, [a, b, replace(a, index=2)])
    relist(folder)


@pytest.mark.parametrize("name", LABEL_FAULTS)
def test_a_fault_in_the_labels_is_found(folder, name):
    kind, plant = LABEL_FAULTS[name]
    plant(folder)
    report = check_dataset(folder)
    found = kinds(report)
    assert found & set(kind.split("|")), report.problems
    assert not found & {"hash", "size", "missing", "journal", "shard"}, report.problems
    assert all(len(str(problem).splitlines()) == 1 for problem in report.problems)


def test_thirty_faults_are_planted():
    assert len(FILE_FAULTS) + len(LABEL_FAULTS) >= 30


def test_many_frames_with_one_fault_are_one_problem_that_counts_them(folder):
    rewrite(folder, edit(label=put_label), every=True)
    problems = [p for p in check_dataset(folder).problems if p.kind == "label"]
    assert [(p.place, p.kind, p.frames) for p in problems] == [
        (shard_name(0), "label", 3),
        (shard_name(1), "label", 3),
    ]
    assert "(and 2 more frames)" in str(problems[0])


def test_settings_and_their_hash_can_be_changed_together(folder):
    """What the check cannot know: who changes both has made another data set."""
    change_manifest(folder, settings={"a": 1}, settings_sha256=settings_sha256({"a": 1}))
    assert check_dataset(folder).problems == []
