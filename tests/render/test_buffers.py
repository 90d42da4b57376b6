# SPDX-License-Identifier: Apache-2.0
"""What is uploaded lies on borders that keep the kernel the same, and pixels go tile by tile."""

import numpy as np
import pytest

from endoforge.render.engine import start
from render import worlds

start("cpu")

from endoforge.render import arrays, buffers  # noqa: E402
from endoforge.render.partition import partition  # noqa: E402


@pytest.mark.parametrize("shift", [0, 1, 3, 7])
def test_rows_start_on_a_border_whatever_they_were_copied_from(shift):
    source = np.arange(100, dtype=np.float32)[shift:]
    row = arrays.aligned(source)
    assert row.ctypes.data % 64 == 0
    np.testing.assert_array_equal(row, source)


def test_several_axes_become_one_row():
    source = np.arange(12, dtype=np.uint32).reshape(3, 4).T
    np.testing.assert_array_equal(arrays.aligned(source), source.ravel())


@pytest.mark.parametrize(("width", "height"), [(8, 8), (9, 7), (3, 2)])
def test_every_pixel_is_taken_once(width, height):
    order = buffers.tile_order(width, height)
    np.testing.assert_array_equal(np.sort(order), np.arange(width * height))


def test_a_packet_of_lanes_is_one_tile():
    order = buffers.tile_order(12, 8)[:16]
    row, column = np.divmod(order, 12)
    assert row.max() == 3
    assert column.max() == 3


def test_faces_carry_label_and_instance():
    scene = worlds.scene_of(
        np.eye(3),
        np.array([[0, 1, 2]]),
        np.eye(3),
        face_label=np.array([3], np.uint8),
        face_instance=np.array([65535], np.uint16),
    )
    mesh = buffers.upload_mesh(scene.surface, partition(scene))
    assert np.array(mesh.faces).tolist() == [0, 1, 2, 3 + 256 * 65535]


def test_rays_outside_the_field_are_masked_and_finite():
    camera = worlds.lenses(20, 16)["off-centre"]
    lens = buffers.upload_lens(camera)
    order = buffers.tile_order(20, 16)
    field = np.array(lens.field)
    np.testing.assert_array_equal(field, camera.valid().ravel()[order])
    assert not field.all()
    assert np.isfinite(np.array(lens.rays)).all()
