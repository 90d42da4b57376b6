# SPDX-License-Identifier: Apache-2.0
"""Faults in the optional labels are found, one by one; clean sets raise no alarm, moving or not."""

import copy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from endoforge.frames.check import check_dataset
from endoforge.frames.frame import Frame
from endoforge.frames.png import decode_png, encode_png
from endoforge.frames.shards import shard_name, write_shard
from endoforge.geometry.cameras import FisheyeCamera, PinholeCamera
from frames.analytic import analytic_frame, sample_ball, write_analytic_dataset
from frames.planting import change_manifest, edit, kinds, relist, replace_file, rewrite, swap_labels


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "set"
    return write_analytic_dataset(folder, 2, 3, full=True, sway_mm=1.5)


@pytest.fixture
def folder(clean, tmp_path) -> Path:
    return shutil.copytree(clean, tmp_path / "set")


# ---- no false alarms -----------------------------------------------------------------------------


@pytest.mark.parametrize("sway_mm", [0.0, 1.5])
@pytest.mark.parametrize(("width", "height"), [(24, 18), (64, 48), (120, 90)])
def test_a_clean_set_with_all_labels_raises_no_alarm(tmp_path, width, height, sway_mm):
    folder = write_analytic_dataset(
        tmp_path / "set", 2, 3, width, height, full=True, sway_mm=sway_mm
    )
    assert check_dataset(folder).problems == []


@pytest.mark.parametrize(
    "camera",
    [
        PinholeCamera.from_field_of_view(64, 48, 70.0, (-0.2, 0.05, 0.001, -0.001, 0.0)),
        FisheyeCamera.from_field_of_view(64, 48, 170.0),
    ],
    ids=["distorted", "wide fisheye"],
)
def test_no_lens_raises_an_alarm(tmp_path, monkeypatch, camera):
    monkeypatch.setattr("frames.analytic.analytic_camera", lambda *_: camera)
    folder = write_analytic_dataset(tmp_path / "set", 2, 3, full=True, sway_mm=1.5)
    assert check_dataset(folder).problems == []


def test_some_of_the_labels_are_enough(tmp_path):
    folder = write_analytic_dataset(tmp_path / "set", 2, 3, full=True)
    rewrite(folder, lambda f: replace(f, shading=None, right=None, texture_mm=None), every=True)
    left = [name for name in ALL_LABELS if name not in ("shading", "right", "texture_mm")]
    change_manifest(folder, optional_labels=left)
    assert check_dataset(folder).problems == []


def test_unordered_views_are_not_compared_with_each_other(tmp_path):
    folder = write_analytic_dataset(tmp_path / "set", 1, 3, full=True, sway_mm=1.5)
    ball = replace(sample_ball(0), sway_mm=1.5)
    views = [
        replace(analytic_frame(0, moment, ball=ball, full=True), index=index)
        for index, moment in enumerate((7, 0, 4))
    ]
    write_shard(folder / shard_name(0), views)
    relist(folder)
    assert "pose" in kinds(check_dataset(folder))
    views = [replace(view, facts={**view.facts, "continuous": False}) for view in views]
    write_shard(folder / shard_name(0), views)
    relist(folder)
    assert check_dataset(folder).problems == []


def test_parts_of_a_tool_are_one_object(tmp_path):
    folder = write_analytic_dataset(tmp_path / "set", 1, 2)
    change_manifest(folder, labels={"1": "tool shaft", "3": "tool tip"})
    rewrite(folder, lambda f: replace(f, instance=f.valid.astype(np.uint16)), every=True)
    assert check_dataset(folder).problems == []
    change_manifest(folder, labels={"1": "liver", "3": "tool tip"})
    assert kinds(check_dataset(folder)) == {"instance"}


# ---- planted -------------------------------------------------------------------------------------


def right(**changes) -> Callable[[Frame], Frame]:
    """Change arrays of the right eye."""

    def change(frame: Frame) -> Frame:
        eye = frame.right
        new = {name: function(getattr(eye, name).copy()) for name, function in changes.items()}
        return replace(frame, right=replace(eye, **new))

    return change


def fact(kind: str, entry: int | None, **changes) -> Callable[[Frame], Frame]:
    """Change one entry of a list of facts, or drop the first one."""

    def change(frame: Frame) -> Frame:
        facts = copy.deepcopy(dict(frame.facts))
        if entry is None:
            facts[kind] = facts[kind][1:]
        else:
            at = entry if entry >= 0 else [e["visible"] for e in facts[kind]].index(entry == -1)
            facts[kind][at] |= changes
        return replace(frame, facts=facts)

    return change


def swap_right(folder: Path) -> None:
    """Give two frames each other's right eye, pose and all."""
    swap_labels(folder, "right")


def moved(pose: np.ndarray, mm: float = 0.5) -> np.ndarray:
    pose[0, 3] += mm
    return pose


def before_moved(frame: Frame) -> Frame:
    pose = np.array(frame.facts["previous_camera_from_world"])
    return replace(frame, facts={**frame.facts, "previous_camera_from_world": moved(pose).tolist()})


def before_flat(frame: Frame) -> Frame:
    return replace(frame, facts={**frame.facts, "previous_camera_from_world": [[1.0, 2.0]]})


def all_tracks_moved(frame: Frame) -> Frame:
    facts = copy.deepcopy(dict(frame.facts))
    for track in facts["tracks"]:
        track["texture_mm"][0] += 3.0
    return replace(frame, facts=facts)


def all_tracks_seen(frame: Frame) -> Frame:
    facts = copy.deepcopy(dict(frame.facts))
    for track in facts["tracks"]:
        track["visible"] = track["pixel_px"] is not None
    return replace(frame, facts=facts)


def still_polyp(folder: Path) -> None:
    """The polyp moves, but no pixel says so."""
    rewrite(folder, edit(moving=lambda a, _: a & False), every=True)


def without_labels(folder: Path) -> None:
    rewrite(folder, lambda f: replace(f, albedo=None) if f.sequence == 1 else f, every=True)


def other_scene(frame: Frame) -> np.ndarray:
    return analytic_frame(frame.sequence + 5, frame.index + 7).image


def one(change: Callable[[Frame], Frame]) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, change)


FAULTS: Mapping[str, tuple[str, Callable[[Path], object]]] = {
    "another scene's clean picture": (
        "clean",
        one(edit(clean=lambda a, f: other_scene(f)[:, ::-1].copy())),
    ),
    "albedo missing in places": ("albedo", lambda f: replace_file(f, "albedo.png", with_hole)),
    "shading upside down": ("radiance", one(edit(shading=lambda a, _: 1 / (a + 0.01)))),
    "albedo of another place": ("radiance", one(edit(albedo=lambda a, _: stripes(a)))),
    "no light": ("shading", one(edit(shading=lambda a, _: a * np.float32(0)))),
    "specular outside": ("specular", one(edit(specular=lambda a, _: a | True))),
    "moving outside": ("moving", one(edit(moving=lambda a, _: a | True))),
    "moving tissue not marked": ("flow|back-flow", still_polyp),
    "back flow is the flow": ("back-flow", one(edit(back_flow_px=lambda a, f: f.flow_px))),
    "back flow turned round": ("back-flow", one(edit(back_flow_px=lambda a, _: -a))),
    "the pose before is another": ("back-flow", lambda f: rewrite(f, before_moved)),
    "the pose before is no pose": ("facts", lambda f: rewrite(f, before_flat)),
    "back flow missing": ("back-flow", one(edit(back_flow_px=lambda a, _: a * np.nan))),
    "all occluded on the way back": (
        "back-flow-occlusion",
        one(edit(back_occluded=lambda a, _: a | True)),
    ),
    "flow of the moving polyp as if it stood": ("texture|flow-return", lambda f: rigid_flow(f)),
    "texture moves with the tissue": ("texture", lambda f: texture_in_world(f)),
    "texture 1 mm off": ("texture", one(edit(texture_mm=lambda a, _: a + np.float32(1)))),
    "texture in another unit": (
        "texture",
        lambda f: rewrite(f, edit(texture_mm=lambda a, x: a * np.float32(1 + 0.1 * x.index)), True),
    ),
    "texture missing in places": ("texture", lambda f: replace_file(f, "texture.png", with_hole)),
    "another material": ("material", one(edit(material=lambda a, _: a + np.uint8(1)))),
    "right eye swapped between frames": ("disparity|rig|right-depth", swap_right),
    "disparity turned round": ("disparity", one(right(from_left_px=lambda a: -a))),
    "rig wider than it says": ("disparity", one(right(camera_from_world=moved))),
    "right depth 5 % off": ("right-depth", one(right(depth_mm=lambda a: a * np.float32(1.05)))),
    "right depth is the left one": ("right-depth", lambda f: left_depth(f)),
    "right occlusion everywhere": ("disparity-occlusion", one(right(occluded=lambda a: a | True))),
    "right occlusion forgotten": ("disparity-occlusion", one(right(occluded=lambda a: a & False))),
    "right image upside down": ("right-image", one(right(image=lambda a: a[::-1].copy()))),
    "right image black": ("right-image", one(right(image=lambda a: a * np.uint8(0)))),
    "eyes a metre apart": ("rig", one(right(camera_from_world=lambda a: moved(a, 1000.0)))),
    "an object not listed": ("objects", one(fact("objects", None))),
    "a box in corner form": ("objects", one(fact("objects", 0, box_px=[20, 20, 44, 40]))),
    "a box of another class": ("objects", one(fact("objects", 0, label=1))),
    "a key point elsewhere": ("keypoints", one(fact("keypoints", 0, pixel_px=[3.0, 4.0]))),
    "a key point deeper": ("keypoints", one(fact("keypoints", 0, depth_mm=3.0))),
    "a key point of another object": ("keypoints", one(fact("keypoints", 0, instance=7))),
    "a key point's pose inverted": (
        "facts",
        one(fact("keypoints", 0, camera_from_part=[[1.0, 2.0], [3.0, 4.0]])),
    ),
    "a track jumps": ("tracks", one(fact("tracks", 0, texture_mm=[1.0, 2.0, 3.0]))),
    "all tracks elsewhere": ("tracks", one(all_tracks_moved)),
    "hidden tracks said to be seen": ("tracks", one(all_tracks_seen)),
    "a track without a number": ("facts", one(fact("tracks", 0, id="a"))),
    "two tracks of one number": ("facts", one(fact("tracks", 0, id=1))),
    "a box with three numbers": ("facts", one(fact("objects", 0, box_px=[1, 2, 3]))),
    "facts that nobody promised": (
        "facts",
        lambda f: change_manifest(
            f, optional_labels=[x for x in ALL_LABELS if x != "facts"]
        ),
    ),
    "a label that nobody promised": (
        "labels",
        lambda f: change_manifest(f, optional_labels=[x for x in ALL_LABELS if x != "clean"]),
    ),
    "a promised label is missing": ("labels", without_labels),
}  # fmt: skip

ALL_LABELS = (
    "albedo", "back_flow_px", "back_occluded", "clean", "expected_depth_mm", "facts",
    "first_depth_mm", "hu", "material", "moving", "opacity", "right", "shading", "specular",
    "texture_mm",
)  # fmt: skip


def with_hole(content: bytes) -> bytes:
    png = decode_png(content, "x")
    pixels = png.pixels.copy()
    pixels[20:24, 30:34] = 0
    return encode_png(pixels, png.notes)


def stripes(albedo: np.ndarray) -> np.ndarray:
    """As bright as before on average, in another place."""
    albedo[:, ::4] *= np.float32(0.1)
    albedo[:, 1::4] *= np.float32(0.3)
    return albedo


def rigid_flow(folder: Path) -> None:
    """Flow of every pixel from depth and pose alone, in a scene where the polyp moves."""

    def change(frame: Frame) -> Frame:
        return replace(
            frame, flow_px=analytic_frame(frame.sequence, frame.index, ball=None).flow_px
        )

    rewrite(folder, change, every=True)


def texture_in_world(folder: Path) -> None:
    """The place in the world instead of the rest frame, in a camera's own frame for all pixels."""

    def change(frame: Frame) -> Frame:
        turn = frame.camera_from_world
        there = frame.texture_mm @ turn[:3, :3].T + turn[:3, 3]
        return replace(frame, texture_mm=there.astype(np.float32))

    rewrite(folder, change, every=True)


def left_depth(folder: Path) -> None:
    rewrite(folder, lambda f: replace(f, right=replace(f.right, depth_mm=f.depth_mm)), every=True)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_optional_labels_is_found(folder, name):
    kind, plant = FAULTS[name]
    plant(folder)
    report = check_dataset(folder)
    found = kinds(report)
    assert found & set(kind.split("|")), report.problems
    assert not found & {"hash", "size", "missing", "journal", "shard"}, report.problems
    assert all(len(str(problem).splitlines()) == 1 for problem in report.problems)
