# SPDX-License-Identifier: Apache-2.0
"""PNG folders re-read by OpenCV and PIL, EXR files by OpenEXR."""

import json

import cv2
import numpy as np
import OpenEXR
from PIL import Image

from endoforge.frames.exports.export import export_dataset
from endoforge.frames.exports.folder import linear_from_srgb


def test_png_files_are_read_by_others_and_say_their_scale(folder, dataset, tmp_path):
    out = export_dataset(folder, "png", tmp_path / "out").out
    frame = dataset.frame(4)
    place = out / "000001"
    image = cv2.imread(str(place / "image" / "000001.png"))[..., ::-1]
    np.testing.assert_array_equal(image, frame.image)
    depth = Image.open(place / "depth" / "000001.png")
    steps = np.array(depth).astype(np.float32) * float(depth.text["scale"])
    np.testing.assert_allclose(steps[frame.valid], frame.depth_mm[frame.valid], atol=1e-5)
    texture = cv2.imread(str(place / "texture" / "000001.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    notes = read_notes(place / "texture" / "000001.png")
    offset = np.array([float(value) for value in notes["offset"].split()])
    there = texture * float(notes["scale"]) + offset
    np.testing.assert_allclose(there[frame.valid], frame.texture_mm[frame.valid], atol=1e-4)
    facts = json.loads((place / "json" / "000001.json").read_text())
    np.testing.assert_array_equal(facts["camera_from_world"], frame.camera_from_world)
    assert sorted(path.name for path in place.iterdir()) == [
        "albedo", "back_flow", "clean", "depth", "expected_depth", "first_depth", "flow", "hu",
        "image", "instance", "json", "label", "material", "moving", "normal", "opacity",
        "right_depth", "right_flow", "right_image", "shading", "specular", "texture",
    ]  # fmt: skip


def read_notes(path) -> dict[str, str]:
    """tEXt chunks without our own reader."""
    content, at, notes = path.read_bytes(), 8, {}
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == b"tEXt":
            name, _, text = content[at + 8 : at + 8 + length].partition(b"\0")
            notes[name.decode()] = text.decode()
        at += length + 12
    return notes


def test_exr_files_hold_all_labels_as_numbers(folder, dataset, tmp_path):
    out = export_dataset(folder, "exr", tmp_path / "out").out
    frame = dataset.frame(4)
    with OpenEXR.File(str(out / "000001" / "000001.exr"), separate_channels=True) as file:
        planes = {name: channel.pixels for name, channel in file.channels().items()}
    np.testing.assert_array_equal(planes["Z"], frame.depth_mm)
    for plane, values in {
        "normal": frame.normal_camera,
        "texture": frame.texture_mm,
    }.items():
        for axis, name in enumerate("XYZ"):
            np.testing.assert_array_equal(planes[f"{plane}.{name}"], values[..., axis])
    for channel, name in enumerate("RGB"):
        np.testing.assert_array_equal(planes[f"albedo.{name}"], frame.albedo[..., channel])
        light = linear_from_srgb(frame.image)[..., channel]
        np.testing.assert_allclose(planes[name], light, atol=3e-4)
    np.testing.assert_array_equal(planes["flow.U"], frame.flow_px[..., 0])
    for name in ("label", "instance", "material", "specular", "moving"):
        np.testing.assert_array_equal(planes[name], getattr(frame, name).astype(np.uint32))
    np.testing.assert_array_equal(planes["hu"], frame.hu.astype(np.float32))
    np.testing.assert_array_equal(planes["expected.Z"], frame.expected_depth_mm)
    with OpenEXR.File(str(out / "000001" / "000001.right.exr"), separate_channels=True) as file:
        right = {name: channel.pixels for name, channel in file.channels().items()}
    np.testing.assert_array_equal(right["Z"], frame.right.depth_mm)
    np.testing.assert_array_equal(right["from_left.U"], frame.right.from_left_px[..., 0])


def test_srgb_becomes_linear_light():
    light = linear_from_srgb(np.array([0, 10, 188, 255], np.uint8))
    np.testing.assert_allclose(light, [0.0, 10 / 255 / 12.92, 0.5029, 1.0], atol=1e-4)
