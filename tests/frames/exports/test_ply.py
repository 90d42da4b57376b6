# SPDX-License-Identifier: Apache-2.0
"""Fused clouds re-read by trimesh."""

from dataclasses import replace

import numpy as np
import trimesh

from endoforge.frames.exports.export import export_dataset
from endoforge.frames.exports.ply import CELL_MM, Cells
from frames.analytic import WALL_RADIUS_MM, analytic_frame, sample_ball


def test_trimesh_reads_points_on_the_wall_with_colours_and_normals(folder, tmp_path):
    out = export_dataset(folder, "ply", tmp_path / "out").out
    cloud = trimesh.load(out / "000001.ply")
    radius = np.linalg.norm(cloud.vertices, axis=1)
    np.testing.assert_allclose(radius, WALL_RADIUS_MM, atol=0.05)  # the polyp moves and is left out
    assert len(cloud.vertices) > 2000
    data = cloud.metadata["_ply_raw"]["vertex"]["data"]
    normals = np.column_stack([data[name] for name in ("nx", "ny", "nz")])
    inwards = -cloud.vertices / radius[:, None]
    assert np.degrees(np.arccos(np.clip((normals * inwards).sum(1), -1, 1))).max() < 3
    assert cloud.colors[:, :3].max() > 50
    assert set(np.unique(data["label"]).tolist()) == {1}


def test_a_still_polyp_is_in_the_cloud_with_its_class():
    cells, ball = Cells(), sample_ball(1)
    for index in range(3):
        cells.add(analytic_frame(1, index, full=True))
    points = cells.points()
    place = np.column_stack([points[name] for name in "xyz"])
    of_polyp = points["label"] == 3
    apart = np.linalg.norm(place[of_polyp] - ball.polyp_centre_mm, axis=1)
    assert of_polyp.sum() > 50
    assert np.median(np.abs(apart - ball.polyp_radius_mm)) < 0.05


def test_a_cell_has_one_point_at_the_mean_of_what_was_seen():
    once, twice = Cells(), Cells()
    frame = analytic_frame(0, 0)
    once.add(frame)
    twice.add(frame)
    twice.add(replace(frame, image=frame.image // 2))
    a, b = once.points(), twice.points()
    np.testing.assert_array_equal(a["x"], b["x"])
    np.testing.assert_allclose(b["red"], 0.75 * a["red"], atol=1.3)
    cells = np.floor(np.column_stack([a[name] for name in "xyz"]) / CELL_MM)
    assert len(np.unique(cells, axis=0)) > 0.99 * len(a)
