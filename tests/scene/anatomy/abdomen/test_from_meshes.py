# SPDX-License-Identifier: Apache-2.0
"""A user's meshes become organs; what bounds no body is refused, or rebuilt when asked."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from endoforge.errors import DataError, EndoforgeError, SceneError
from endoforge.scene.anatomy.abdomen.build import build_abdomen
from endoforge.scene.anatomy.abdomen.from_meshes import organs_from_meshes, read_shape
from endoforge.scene.anatomy.abdomen.glb import parse_glb
from endoforge.scene.anatomy.abdomen.mesh_checks import crossing_triangles, tidied
from endoforge.scene.anatomy.abdomen.settings import (
    AbdomenSettings,
    CtAbdomen,
    MeshAbdomen,
    OrganMesh,
)
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.surfaces import open_edges
from scene.patients import glb_bytes, mesh_of, organs, write_labels
from scene.tubes import obj_text, ply_bytes, stl_bytes

MESHES = {name: mesh_of(mask) for name, mask in organs().items()}
LIVER = MESHES["liver"]
COARSE = AbdomenSettings(resolution_mm=3.0)


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def liver_file(folder, vertices=None, faces=None, name="liver.stl"):
    vertices = LIVER[0] if vertices is None else vertices
    faces = LIVER[1] if faces is None else faces
    kinds = {".stl": stl_bytes, ".obj": obj_text, ".ply": ply_bytes, ".glb": glb_bytes}
    return write(folder, name, kinds[name[-4:]](vertices, faces))


def mesh(path, **more):
    return OrganMesh(file=path, organ="liver", **{"unit": "mm", **more})


def ml(vertices, faces):
    return signed_volume(vertices, faces) / 1000.0


@pytest.mark.parametrize("name", ["liver.stl", "liver.obj", "liver.ply", "liver.glb"])
def test_every_kind_of_file_gives_the_same_body(tmp_path, name):
    shape = read_shape(mesh(liver_file(tmp_path, name=name)))
    assert open_edges(shape.faces) == 0
    assert shape.notes == ()
    assert ml(shape.vertices_mm, shape.faces) == pytest.approx(ml(*LIVER), rel=1e-4)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("cm", 0.1), ("m", 0.001)])
def test_units_are_converted(tmp_path, unit, factor):
    path = liver_file(tmp_path, LIVER[0] * factor)
    shape = read_shape(mesh(path, unit=unit))
    assert np.ptp(shape.vertices_mm, axis=0) == pytest.approx(np.ptp(LIVER[0], axis=0), rel=1e-4)


def test_axes_are_turned_to_the_patient_s(tmp_path):
    turned = np.column_stack([-LIVER[0][:, 0], LIVER[0][:, 2], LIVER[0][:, 1]])
    path = liver_file(tmp_path, turned, name="liver.glb")
    shape = read_shape(mesh(path, axes=("left", "head", "front")))
    assert np.sort(shape.vertices_mm, axis=0) == pytest.approx(np.sort(LIVER[0], axis=0), abs=1e-3)
    assert ml(shape.vertices_mm, shape.faces) > 0


def test_a_mirrored_frame_does_not_turn_the_body_inside_out(tmp_path):
    shape = read_shape(mesh(liver_file(tmp_path), axes=("left", "front", "head")))
    assert ml(shape.vertices_mm, shape.faces) > 0
    assert shape.notes == () or "inside out" in shape.notes[0]


def test_a_node_s_place_in_a_glb_counts(tmp_path):
    node = {"translation": [10, 0, 0], "rotation": [0, 0, 1, 0], "scale": [1, 1, 2]}
    content = parse_glb(write(tmp_path, "a.glb", glb_bytes(*LIVER, node)))
    true = LIVER[0] * (-1, -1, 2) + (10, 0, 0)
    assert content["vertices"] == pytest.approx(true, abs=1e-3)


def test_the_rest_is_drawn_around_a_mesh(tmp_path):
    path = liver_file(tmp_path)
    anatomy = build_abdomen(
        MeshAbdomen(meshes=(mesh(path),), drawn=COARSE), np.random.default_rng(0)
    )
    assert {"gallbladder", "stomach", "omentum"} <= set(anatomy.instances)
    kept = anatomy.surface.face_instance == anatomy.instances["liver"]
    assert kept.sum() == len(LIVER[1])
    assert anatomy.provenance["sha256"]


def test_a_mesh_takes_a_ct_s_organ_s_place(tmp_path):
    path = write_labels(tmp_path / "seg.nii", {"liver": 5, "gallbladder": 4, "spleen": 1})
    spleen = write(tmp_path, "spleen.stl", stl_bytes(*MESHES["spleen"]))
    replaced = OrganMesh(file=spleen, organ="spleen", unit="mm")
    ct = CtAbdomen(masks=path, meshes=(replaced,), drawn=COARSE, complete=False)
    anatomy = build_abdomen(ct, np.random.default_rng(0))
    spleen_faces = anatomy.surface.face_instance == anatomy.instances["spleen"]
    assert spleen_faces.sum() == len(MESHES["spleen"][1])
    assert "spleen.stl" in anatomy.provenance["source"]


# ---- refusals and repairs -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["liver.stl", "liver.obj", "liver.ply"])
def test_a_mesh_without_a_unit_is_refused(name):
    with pytest.raises(ValidationError, match="state unit: mm, cm or m"):
        OrganMesh(file=name, organ="liver")
    assert OrganMesh(file="liver.glb", organ="liver").unit is None  # metres by definition


def test_a_size_that_fits_no_liver_is_refused(tmp_path):
    with pytest.raises(SceneError, match=r"mm across when its unit is cm.*another unit"):
        read_shape(mesh(liver_file(tmp_path), unit="cm"))


def test_an_open_surface_is_refused_with_the_number_of_its_edges(tmp_path):
    path = liver_file(tmp_path, faces=LIVER[1][:-1])
    with pytest.raises(SceneError, match=r"3 edges do not join two triangles.*open.*repair"):
        read_shape(mesh(path))


def test_an_inverted_surface_is_turned_and_the_record_says_so(tmp_path):
    shape = read_shape(mesh(liver_file(tmp_path, faces=LIVER[1][:, ::-1])))
    assert ml(shape.vertices_mm, shape.faces) == pytest.approx(ml(*LIVER), rel=1e-4)
    assert "faced inwards" in shape.notes[0]


def test_a_surface_that_runs_through_itself_is_refused(tmp_path):
    vertices = LIVER[0].copy()
    at = np.argmax(vertices[:, 0])
    near = np.linalg.norm(vertices - vertices[at], axis=1) < 12
    vertices[near, 0] -= 260.0  # the right end sticks out of the left side
    path = liver_file(tmp_path, vertices)
    with pytest.raises(SceneError, match=r"triangles are run through by others"):
        read_shape(mesh(path))


def test_a_broken_surface_is_rebuilt_when_asked(tmp_path):
    path = liver_file(tmp_path, faces=LIVER[1][:-40])
    organs, _, record = organs_from_meshes((mesh(path, repair=True),), 3.0, None)
    assert open_edges(organs["liver"].faces) == 0
    found = ml(organs["liver"].vertices_mm, organs["liver"].faces)
    assert found == pytest.approx(ml(*LIVER), rel=0.06)
    assert "rebuilt" in record["repairs"]


def test_a_surface_with_too_wide_a_gap_is_refused_even_then(tmp_path):
    half = LIVER[1][LIVER[0][LIVER[1]][:, :, 0].mean(axis=1) < LIVER[0][:, 0].mean()]
    path = liver_file(tmp_path, faces=half)
    with pytest.raises(SceneError, match="gaps wider than"):
        organs_from_meshes((mesh(path, repair=True),), 3.0, None)


def test_a_list_without_a_liver_and_one_with_two_are_refused(tmp_path):
    path = liver_file(tmp_path)
    with pytest.raises(SceneError, match="has no liver"):
        organs_from_meshes((OrganMesh(file=path, organ="spleen", unit="mm"),), 3.0, None)
    with pytest.raises(SceneError, match="give each once"):
        organs_from_meshes((mesh(path), mesh(path)), 3.0, None)


def test_an_unknown_organ_is_refused_with_the_known(tmp_path):
    with pytest.raises(SceneError, match="'lever' that is not known; did you mean 'liver'"):
        organs_from_meshes((OrganMesh(file="a.stl", organ="lever", unit="mm"),), 3.0, None)


def test_axes_that_cannot_be_are_refused():
    with pytest.raises(ValidationError, match="three different lines"):
        OrganMesh(file="a.stl", organ="liver", unit="mm", axes=("left", "right", "head"))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 20_000), value=st.integers(0, 255), cut=st.integers(0, 3000))
def test_a_damaged_glb_never_surprises(tmp_path, at, value, cut):
    content = bytearray(glb_bytes(LIVER[0][:200], LIVER[1][:50] % 200))
    content[at % len(content)] = value
    path = write(tmp_path, "a.glb", bytes(content[: len(content) - cut % len(content)]))
    with suppress(EndoforgeError):
        found = parse_glb(path)
        assert found["faces"].max() < len(found["vertices"])


def test_a_glb_that_needs_another_file_is_refused(tmp_path):
    content = glb_bytes(*LIVER).replace(b'"byteLength": ', b'"uri":"b","x": ', 1)
    with pytest.raises(DataError, match=r"a\.glb"):
        parse_glb(write(tmp_path, "a.glb", content))


# ---- checks of meshes ---------------------------------------------------------------------------


def test_a_plain_body_has_no_crossings():
    assert crossing_triangles(*tidied(*LIVER)) == 0


def test_two_bodies_that_overlap_cross():
    vertices = np.concatenate([LIVER[0], LIVER[0] + (60.0, 10.0, 5.0)])
    faces = np.concatenate([LIVER[1], LIVER[1] + len(LIVER[0])])
    assert crossing_triangles(vertices, faces) > 20


def test_a_tetrahedron_pierced_by_a_needle_is_found():
    base = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10.0]])
    sides = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    needle = np.array([[2.0, 2, -5], [2.2, 2, -5], [2, 2.2, -5], [2, 2, 20]])
    vertices = np.concatenate([base, needle])
    assert crossing_triangles(vertices, np.concatenate([sides, sides + 4])) >= 2
    assert crossing_triangles(base, sides) == 0


def test_tidying_joins_corners_and_drops_what_has_no_area():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]])
    faces = np.array([[0, 1, 2], [3, 5, 4], [1, 3, 2], [2, 0, 1]])
    points, kept = tidied(vertices, faces)
    assert len(points) == 4
    assert len(kept) == 2


# ---- real meshes --------------------------------------------------------------------------------


@pytest.mark.real
def test_a_real_liver_in_ply_is_read_as_it_is(shared_data):
    path = shared_data / "mesh_scikit_surgery_liver" / "models" / "liver.ply"
    shape = read_shape(mesh(path, repair=True))
    assert sorted(np.ptp(shape.vertices_mm, axis=0)) == pytest.approx([154, 168, 232], abs=3)


@pytest.mark.real
def test_a_real_liver_of_many_pieces_is_refused_and_can_be_rebuilt(shared_data):
    path = shared_data / "mesh_hubmap_ccf_organs" / "VH_M_Liver.glb"
    liver = OrganMesh(file=path, organ="liver", axes=("left", "head", "front"))
    with pytest.raises(SceneError, match="repair: true"):
        read_shape(liver)
    whole = liver.model_copy(update={"repair": True})
    organs, _, _ = organs_from_meshes((whole,), 3.0, None)
    found = organs["liver"]
    assert open_edges(found.faces) == 0
    assert 900 < ml(found.vertices_mm, found.faces) < 2500


@pytest.mark.real
def test_the_sofa_liver_is_too_small_until_it_is_scaled(shared_data):
    path = shared_data / "mesh_sofa_liver_tools" / "mesh" / "liver-smooth.obj"
    with pytest.raises(SceneError, match="another unit or scale"):
        read_shape(mesh(path, unit="cm"))
    shape = read_shape(mesh(path, unit="cm", scale=3.5, repair=True))
    assert 150 < np.ptp(shape.vertices_mm, axis=0).max() < 320
