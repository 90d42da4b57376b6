# SPDX-License-Identifier: Apache-2.0
"""What a mesh file may not do."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endoforge.errors import DataError, EndoforgeError
from endoforge.scene.anatomy.meshfile import parse_mesh, parse_obj, parse_ply, parse_stl
from scene.tubes import cylinder, obj_text, ply_bytes, stl_bytes

POINTS, FACES = cylinder(rings=5, around=8)


def area(content):
    a, b, c = (content["vertices"][content["faces"][:, k]] for k in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def stl_text(points, faces):
    corners = points[faces]
    body = "".join(
        "facet normal 0 0 0\nouter loop\n"
        + "".join(f"vertex {x} {y} {z}\n" for x, y, z in triangle)
        + "endloop\nendfacet\n"
        for triangle in corners
    )
    return f"solid a\n{body}endsolid a\n"


ALL = {
    "binary.stl": stl_bytes(POINTS, FACES),
    "text.stl": stl_text(POINTS, FACES),
    "a.obj": obj_text(POINTS, FACES),
    "little.ply": ply_bytes(POINTS, FACES),
    "big.ply": ply_bytes(POINTS, FACES, "binary_big_endian"),
    "text.ply": ply_bytes(POINTS, FACES, "ascii"),
}


@pytest.mark.parametrize("name", ALL)
def test_every_form_gives_the_same_surface(tmp_path, name):
    content = parse_mesh(write(tmp_path, name, ALL[name]))
    assert content["faces"].shape == FACES.shape
    assert len(content["vertices"]) == len(POINTS)
    assert area(content) == pytest.approx(area({"vertices": POINTS, "faces": FACES}), rel=1e-5)


def test_a_binary_stl_may_begin_with_the_word_solid(tmp_path):
    data = b"solid" + stl_bytes(POINTS, FACES)[5:]
    assert len(parse_stl(write(tmp_path, "a.stl", data))["faces"]) == len(FACES)


@pytest.mark.parametrize("claimed", [0, 1, len(FACES) + 1, 4_000_000_000])
def test_a_false_number_of_faces_is_refused_with_both_sizes(tmp_path, claimed):
    data = bytearray(stl_bytes(POINTS, FACES))
    data[80:84] = np.uint32(claimed).tobytes()
    with pytest.raises(DataError, match=rf"claims {claimed} triangles.*{len(data)}"):
        parse_stl(write(tmp_path, "a.stl", bytes(data)))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_cut_file_is_refused(tmp_path, name, share):
    content = ALL[name] if isinstance(ALL[name], bytes) else ALL[name].encode()
    path = write(tmp_path, name, content[: int(len(content) * share)])
    with pytest.raises(DataError, match=name):
        parse_mesh(path)


@pytest.mark.parametrize("name", ["binary.stl", "text.stl", "a.obj", "little.ply", "text.ply"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_coordinates_that_are_no_numbers_are_refused(tmp_path, name, value):
    points = POINTS.copy()
    points[3, 1] = value
    content = {
        "binary.stl": stl_bytes, "text.stl": stl_text, "a.obj": obj_text,
        "little.ply": ply_bytes, "text.ply": lambda p, f: ply_bytes(p, f, "ascii"),
    }[name](points, FACES)  # fmt: skip
    with pytest.raises(DataError, match="no numbers"):
        parse_mesh(write(tmp_path, name, content))


@pytest.mark.parametrize("wrong", [-1, len(POINTS), 2_000_000])
def test_an_index_out_of_range_is_refused_with_the_index(tmp_path, wrong):
    faces = FACES.copy()
    faces[2, 1] = wrong
    with pytest.raises(DataError, match=f"{wrong}|0"):
        parse_obj(write(tmp_path, "a.obj", obj_text(POINTS, faces)))
    with pytest.raises(DataError, match=f"names vertex {wrong}"):
        parse_ply(write(tmp_path, "a.ply", ply_bytes(POINTS, faces)))


def test_an_obj_cut_between_lines_has_a_hole_that_is_found_later(tmp_path):
    lines = ALL["a.obj"].splitlines(keepends=True)
    path = write(tmp_path, "a.obj", "".join(lines[:-4]))
    assert len(parse_obj(path)["faces"]) == len(FACES) - 4  # read_mesh refuses open surfaces


def test_negative_obj_indices_count_back_from_the_last_vertex(tmp_path):
    content = parse_obj(write(tmp_path, "a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3/1/1 -2 -1\n"))
    np.testing.assert_array_equal(content["faces"], [[0, 1, 2]])


def test_obj_polygons_are_cut_into_fans(tmp_path):
    square = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1//1 2//1 3//1 4//1\n"
    assert area(parse_obj(write(tmp_path, "a.obj", square))) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.stl", bytes(84), "0 triangles"),
        ("a.stl", b"solid a\nendsolid a\n", "cut or damaged"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "0 triangles"),
        ("a.obj", "v 0 0\nf 1 1 1\n", "three coordinates"),
        ("a.obj", "v 0 0 zero\nf 1 1 1\n", "no number"),
        ("a.obj", "v 0 0 0\nf 1 x 1\n", "line 2"),
        ("a.obj", "v 0 0 0\nf 1 1\n", "3 vertices"),
        ("a.ply", "ply\nformat ascii 1.0\n", "end of header"),
        ("a.ply", "ply\nformat runes 1.0\nend_header\n", "cannot be read"),
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex -3\nend_header\n", "cannot be read"),
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex 3\nend_header\n", "then faces"),
    ],
)
def test_files_without_a_usable_surface_are_refused(tmp_path, name, content, says):
    with pytest.raises(DataError, match=says):
        parse_mesh(write(tmp_path, name, content))


def test_ply_polygons_are_refused(tmp_path):
    header = ply_bytes(POINTS[:4], FACES[:1], "ascii").split(b"end_header")[0]
    body = b"end_header\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n"
    with pytest.raises(DataError, match="triangulate"):
        parse_ply(write(tmp_path, "a.ply", header + body))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(sorted(ALL)), data=st.data())
def test_any_byte_may_change_and_only_our_errors_come(tmp_path, name, data):
    content = bytearray(ALL[name] if isinstance(ALL[name], bytes) else ALL[name].encode())
    at = data.draw(st.integers(0, min(len(content), 600) - 1))
    content[at] = data.draw(st.integers(0, 255))
    try:
        result = parse_mesh(write(tmp_path, name, bytes(content)))
    except EndoforgeError:
        return
    assert np.isfinite(result["vertices"]).all()
    assert result["faces"].min() >= 0 and result["faces"].max() < len(result["vertices"])


def test_a_ply_may_tell_more_about_its_faces(tmp_path):
    extra = "property list uchar float texcoord\nproperty uchar red\n"
    head = ply_bytes(POINTS, FACES).split(b"end_header\n")[0].decode() + extra + "end_header\n"
    record = np.zeros(
        len(FACES), [("n", "u1"), ("i", "<i4", 3), ("m", "u1"), ("t", "<f4", 6), ("r", "u1")]
    )
    record["n"], record["i"], record["m"] = 3, FACES, 6
    body = np.asarray(POINTS, "<f4").tobytes() + record.tobytes()
    content = parse_ply(write(tmp_path, "a.ply", head.encode() + body))
    assert np.array_equal(content["faces"], FACES)
    record["m"][5] = 2
    body = np.asarray(POINTS, "<f4").tobytes() + record.tobytes()
    with pytest.raises(DataError, match="lists of different lengths"):
        parse_ply(write(tmp_path, "b.ply", head.encode() + body))
