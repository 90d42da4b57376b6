# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.errors import DataError, SceneError
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.mesh import lumen_from_surface, read_mesh
from endoforge.scene.anatomy.surfaces import open_edges
from scene.tubes import cylinder, obj_text, ply_bytes, stl_bytes

POINTS, FACES = cylinder()


@pytest.fixture
def stl(tmp_path):
    def write(points, faces=FACES, name="a.stl"):
        path = tmp_path / name
        path.write_bytes(stl_bytes(points, faces))
        return path

    return write


@pytest.mark.parametrize("turned", [False, True])
def test_a_cylinder_faces_inwards_and_has_its_axis_as_centre_line(stl, turned):
    surface, line = read_mesh(stl(POINTS, FACES[:, ::-1] if turned else FACES), "mm")
    assert open_edges(surface.faces) == 0
    assert signed_volume(surface.vertices_mm, surface.faces) < 0
    middle = line.points_mm[15:-15]
    np.testing.assert_allclose(middle[:, :2], 0.0, atol=0.8)
    np.testing.assert_allclose(line.radius_mm[15:-15], 15.0, atol=0.9)
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=1), 1.0, atol=1e-5)
    assert set(surface.face_label.tolist()) <= {1, 2}


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1.0), ("cm", 0.1), ("m", 0.001)])
def test_units_are_turned_into_millimetres(stl, unit, scale):
    surface, _ = read_mesh(stl(POINTS * scale), unit)
    np.testing.assert_allclose(np.ptp(surface.vertices_mm, axis=0), [30, 30, 120], rtol=1e-5)


def test_stl_obj_and_ply_give_the_same_line(tmp_path, stl):
    (tmp_path / "a.obj").write_text(obj_text(POINTS, FACES))
    (tmp_path / "a.ply").write_bytes(ply_bytes(POINTS, FACES))
    lines = [read_mesh(p, "mm")[1] for p in (stl(POINTS), tmp_path / "a.obj", tmp_path / "a.ply")]
    for line in lines[1:]:
        np.testing.assert_allclose(line.points_mm, lines[0].points_mm, atol=0.05)


@pytest.mark.parametrize(("unit", "size"), [("m", "1.273e"), ("mm", "0.127")])
def test_a_size_that_fits_no_colon_asks_for_the_unit(stl, unit, size):
    points = POINTS if unit == "m" else POINTS * 0.001
    with pytest.raises(SceneError, match=rf"{size}.*anatomy\.unit"):
        read_mesh(stl(points), unit)


def test_a_tube_that_runs_through_itself_is_refused(stl):
    points, faces = cylinder(120.0, 8.0, 161, 24)
    turn = np.concatenate([np.repeat(np.linspace(-2.8, 2.8, 161), 24), [-2.8, 2.8]])
    centre = np.stack([60 * np.sin(turn), 60 * np.sin(2 * turn), 0 * turn], axis=1)
    way = np.stack([np.cos(turn), 2 * np.cos(2 * turn), 0 * turn], axis=1)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    side = np.cross(way, [0.0, 0.0, 1.0])
    eight = centre + points[:, :1] * side + points[:, 1:2] * np.array([0, 0, 1.0])
    with pytest.raises(SceneError, match=r"\d+ triangles that others run through.*mend"):
        read_mesh(stl(eight, faces), "mm")


def test_a_hole_is_refused_with_the_number_of_open_edges(stl):
    with pytest.raises(SceneError, match=r"3 edges.*close its holes"):
        read_mesh(stl(POINTS, FACES[:-1]), "mm")


def test_triangles_that_disagree_about_the_side_are_refused(stl):
    faces = FACES.copy()
    faces[10] = faces[10, ::-1]
    with pytest.raises(SceneError, match="normals agree"):
        read_mesh(stl(POINTS, faces), "mm")


def test_two_lumens_are_refused(stl):
    points = np.concatenate([POINTS, POINTS + np.array([60.0, 0, 0])])
    with pytest.raises(SceneError, match=r"two surfaces.*100 %"):
        read_mesh(stl(points, np.concatenate([FACES, FACES + len(POINTS)])), "mm")


def test_crumbs_are_left_out(stl):
    small, faces = cylinder(length_mm=5.0, radius_mm=2.0, rings=3, around=8)
    points = np.concatenate([POINTS, small + np.array([60.0, 0, 0])])
    surface, _ = read_mesh(stl(points, np.concatenate([FACES, faces + len(POINTS)])), "mm")
    assert len(surface.faces) == len(FACES)


def test_a_flat_mesh_is_refused(stl):
    with pytest.raises(SceneError, match="no area"):
        read_mesh(stl(POINTS * [0, 0, 1]), "mm")


def test_a_damaged_file_is_named(stl):
    path = stl(POINTS)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"a\.stl claims \d+ triangles"):
        read_mesh(path, "mm")


def test_other_endings_are_refused(tmp_path):
    (tmp_path / "a.fbx").write_bytes(b"Kaydara")
    with pytest.raises(DataError, match=r"\.stl"):
        read_mesh(tmp_path / "a.fbx", "mm")


def test_a_filled_cylinder_holds_its_volume():
    lumen = lumen_from_surface(POINTS, FACES, 1.0)
    volume = np.pi * 14.5**2 * 119  # half a cell is lost at the wall
    assert lumen.inside.sum() * lumen.step_mm**3 == pytest.approx(volume, rel=0.03)
    first = lumen.to_world(np.argwhere(lumen.inside).min(axis=0)[None].astype(float))
    np.testing.assert_allclose(first, [[-14.5, -14.5, 0.5]], atol=1.01)


@pytest.mark.real
@pytest.mark.slow
def test_a_real_surface_is_read(shared_data):
    path = shared_data / "colon_ctc_segmentations" / "new_seg_surface_derived.ply"
    surface, line = read_mesh(path, "mm")
    assert 190_000 < len(surface.faces) <= 195_432  # less its crumbs
    assert 1200 < line.length_mm < 1600
    assert line.radius_mm.min() > 3.0
