# SPDX-License-Identifier: Apache-2.0
"""Scenes for nerfstudio, read with its documented conventions written out once more.

Nerfstudio itself is too large to install for a test; the rays of its pixels are built here from
its documentation (OpenGL axes, pixel centres at halves, OpenCV's lens models by OpenCV).
"""

import json

import cv2
import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.frames.dataset import Dataset
from endoforge.frames.exports.export import export_dataset
from endoforge.frames.exports.nerfstudio import intrinsics
from endoforge.geometry.cameras import OmnidirectionalCamera, PinholeCamera
from endoforge.geometry.depth import points_from_depth
from endoforge.geometry.poses import invert_pose, transform_points
from frames.analytic import write_analytic_dataset


def world_points(scene: dict, place, number: int) -> np.ndarray:
    """World points (metres) of a frame as a reader of the documentation would build them."""
    frame = scene["frames"][number]
    depth = cv2.imread(str(place / frame["depth_file_path"]), cv2.IMREAD_UNCHANGED)
    depth = depth * scene["depth_unit_scale_factor"]
    u, v = np.meshgrid(np.arange(scene["w"]) + 0.5, np.arange(scene["h"]) + 0.5)
    pixels = np.stack([u.ravel(), v.ravel()], -1)[:, None]
    matrix = np.array([[scene["fl_x"], 0, scene["cx"]], [0, scene["fl_y"], scene["cy"]], [0, 0, 1]])
    if scene["camera_model"] == "OPENCV_FISHEYE":
        lens = np.array([scene[k] for k in ("k1", "k2", "k3", "k4")])
        flat = cv2.fisheye.undistortPoints(pixels, matrix, lens)[:, 0]
    else:
        lens = np.array([scene[k] for k in ("k1", "k2", "p1", "p2", "k3")])
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
        flat = cv2.undistortPoints(pixels, matrix, lens, None, None, None, criteria)[:, 0]
    opencv = np.column_stack([flat, np.ones(len(flat))]) * depth.reshape(-1, 1)
    opengl = opencv * [1, -1, -1]
    pose = np.array(frame["transform_matrix"])
    return (opengl @ pose[:3, :3].T + pose[:3, 3]).reshape(scene["h"], scene["w"], 3)


@pytest.mark.parametrize("lens", ["fisheye", "pinhole"])
def test_pixels_and_depth_lead_to_the_same_places(tmp_path, monkeypatch, lens):
    if lens == "pinhole":
        camera = PinholeCamera.from_field_of_view(64, 48, 70.0, (-0.1, 0.02, 0.001, -0.001, 0.0))
        monkeypatch.setattr("frames.analytic.analytic_camera", lambda *_: camera)
    folder = write_analytic_dataset(tmp_path / "set", 1, 2)
    out = export_dataset(folder, "nerfstudio", tmp_path / "out").out
    scene = json.loads((out / "000000" / "transforms.json").read_text())
    assert scene["camera_model"] == ("OPENCV" if lens == "pinhole" else "OPENCV_FISHEYE")
    frame = Dataset.open(folder).frame(1)
    mask = cv2.imread(str(out / "000000" / scene["frames"][1]["mask_path"]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask > 0, frame.valid)
    points = points_from_depth(frame.depth_mm.astype(np.float64), frame.camera.rays())
    ours = transform_points(invert_pose(frame.camera_from_world), points)[frame.valid]
    theirs = world_points(scene, out / "000000", 1)[frame.valid]
    np.testing.assert_allclose(theirs * 1000, ours, atol=1e-3)


def test_the_camera_looks_along_its_minus_z(folder, dataset, tmp_path):
    out = export_dataset(folder, "nerfstudio", tmp_path / "out").out
    scene = json.loads((out / "000001" / "transforms.json").read_text())
    pose = np.array(scene["frames"][0]["transform_matrix"])
    forward = invert_pose(dataset.frame(3).camera_from_world)[:3, 2]
    np.testing.assert_allclose(-pose[:3, 2], forward, atol=1e-12)


def test_a_lens_that_nerfstudio_lacks_is_refused():
    lens = OmnidirectionalCamera(64, 48, 32.0, 24.0, (30.0, 0.0, -0.005, 0.0, 0.0))
    with pytest.raises(DataError, match="no omnidirectional lens"):
        intrinsics(lens)
