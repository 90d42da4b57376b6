# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
import trimesh

from endoforge.errors import ShapeError
from endoforge.geometry.cameras import FisheyeCamera, PinholeCamera
from endoforge.serving.clouds import point_cloud
from frames.media.samples import tissue


def read_ply(content: bytes) -> trimesh.PointCloud:
    return trimesh.load(io.BytesIO(content), file_type="ply")


@pytest.mark.parametrize(
    "camera",
    [
        FisheyeCamera.from_field_of_view(96, 72, 140.0),
        PinholeCamera.from_field_of_view(96, 72, 80.0),
    ],
)
def test_a_cloud_reads_back_and_projects_onto_its_own_pixels(camera):
    depth = np.full((72, 96), 30.0, np.float32)
    depth[:10] = np.nan
    cloud = read_ply(point_cloud(tissue(), depth, camera, 100_000))
    assert len(cloud.vertices) == 62 * 96
    assert np.allclose(cloud.vertices[:, 2], 30.0, atol=1e-4)
    u, v = np.meshgrid(np.arange(96) + 0.5, np.arange(10, 72) + 0.5)
    pixels = camera.project(np.asarray(cloud.vertices, np.float64))
    assert np.allclose(pixels, np.stack([u.ravel(), v.ravel()], -1), atol=1e-3)
    assert np.array_equal(cloud.colors[:, :3], tissue()[10:].reshape(-1, 3))


def test_a_cloud_keeps_to_the_most_points_that_are_asked_for():
    camera = FisheyeCamera.from_field_of_view(96, 72, 140.0)
    cloud = read_ply(point_cloud(tissue(), np.full((72, 96), 30.0, np.float32), camera, 500))
    assert 200 < len(cloud.vertices) <= 500


def test_a_picture_without_depth_gives_an_empty_cloud():
    camera = FisheyeCamera.from_field_of_view(96, 72, 140.0)
    content = point_cloud(tissue(), np.full((72, 96), np.nan, np.float32), camera, 500)
    assert b"element vertex 0" in content


@pytest.mark.usefixtures("plain_shapes")
def test_a_camera_of_another_size_is_refused():
    camera = FisheyeCamera.from_field_of_view(64, 48, 140.0)
    with pytest.raises(ShapeError, match=r"\(48, 64\)"):
        point_cloud(tissue(), np.ones((72, 96), np.float32), camera, 500)
