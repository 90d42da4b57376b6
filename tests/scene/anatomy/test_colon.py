# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial import cKDTree

from endoforge.errors import SceneError
from endoforge.scene.anatomy import route
from endoforge.scene.anatomy.colon import colon, sample_colon, shape_colon
from endoforge.scene.anatomy.curves import curvature
from endoforge.scene.anatomy.findings_settings import PolypSettings
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.anatomy.surfaces import face_normals, open_edges, wall_distance
from endoforge.streams import stream
from scene.tubes import SMALL

SEEDS = (1, 2, 3)
WALL = (1, 2, 6)  # wall, folds and the appendix's opening are one closed mesh


def drawn(settings, seed):
    return colon(settings, stream(seed, "anatomy"))


@pytest.fixture(scope="module", params=SEEDS)
def made(request):
    return drawn(SMALL, request.param)


@pytest.fixture(scope="module")
def full():
    return drawn(ColonSettings(), 7)


def winding(points, vertices, faces):
    """How often a closed surface goes round each point (van Oosterom, Strackee 1983)."""
    result = []
    for point in points:
        a, b, c = (vertices[faces[:, k]].astype(np.float64) - point for k in range(3))
        la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
        top = (a * np.cross(b, c)).sum(1)
        low = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        result.append(np.arctan2(top, low).sum() / (2 * np.pi))
    return np.array(result)


def test_the_same_stream_gives_the_same_bytes():
    first, again, other = (drawn(SMALL, s) for s in (5, 5, 6))
    for name in ("vertices_mm", "faces", "normals", "tint", "face_label", "face_instance"):
        assert getattr(first[0], name).tobytes() == getattr(again[0], name).tobytes()
    assert first[1].points_mm.tobytes() == again[1].points_mm.tobytes()
    assert first[0].vertices_mm.tobytes() != other[0].vertices_mm.tobytes()


def test_a_drawn_colon_is_shaped_without_randomness():
    draw = sample_colon(SMALL, stream(5, "anatomy"))
    one, two = (shape_colon(draw, SMALL)[0].surface.vertices_mm.tobytes() for _ in range(2))
    assert one == two


def test_the_surface_is_closed_and_indices_are_in_range(made):
    surface, _ = made
    assert open_edges(surface.faces) == 0
    assert surface.faces.min() == 0 and surface.faces.max() == len(surface.vertices_mm) - 1
    assert np.isfinite(surface.vertices_mm).all()


def test_normals_are_unit_and_point_into_the_lumen(made):
    surface, centreline = made
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=1), 1.0, atol=1e-5)
    wall = surface.faces[surface.face_label == 1]
    corner = wall[:, 0]
    to_axis = centreline.points_mm[cKDTree(centreline.points_mm).query(
        surface.vertices_mm[corner])[1]] - surface.vertices_mm[corner]  # fmt: skip
    assert ((surface.normals[corner] * to_axis).sum(1) > 0).mean() > 0.99


def test_triangles_turn_the_way_of_their_normals(made):
    surface, _ = made
    flat = face_normals(surface.vertices_mm, surface.faces)
    smooth = surface.normals[surface.faces].mean(axis=1)
    assert ((flat * smooth).sum(axis=1) > 0).mean() > 0.995
    wall = surface.faces[np.isin(surface.face_label, WALL)]
    assert signed_volume(surface.vertices_mm, wall) < 0
    polyps = np.unique(surface.face_instance[surface.face_label == 3])
    assert len(polyps) == 3
    for instance in polyps:
        body = surface.faces[surface.face_instance == instance]
        assert open_edges(body) == 0
        assert signed_volume(surface.vertices_mm, body) > 0


def test_the_centre_line_is_inside_and_its_radius_is_the_distance_to_the_wall(made):
    surface, centreline = made
    some = centreline.points_mm[::15]
    wall = surface.faces[np.isin(surface.face_label, WALL)]
    np.testing.assert_allclose(winding(some, surface.vertices_mm, wall), -1.0, atol=1e-3)
    polyps = surface.faces[surface.face_label == 3]
    np.testing.assert_allclose(winding(some, surface.vertices_mm, polyps), 0.0, atol=1e-3)
    distance = wall_distance(surface.vertices_mm, surface.faces, centreline.points_mm, 600)
    np.testing.assert_allclose(centreline.radius_mm, distance, atol=0.1)
    assert centreline.radius_mm.min() > 4.0


def test_the_centre_line_is_equally_spaced_and_as_long_as_the_piece_without_its_ends(made):
    _, centreline = made
    steps = np.linalg.norm(np.diff(centreline.points_mm, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.02)
    assert SMALL.length_mm - 60 < centreline.length_mm < SMALL.length_mm


@pytest.mark.parametrize("count", [0, 1, 5])
def test_there_are_as_many_polyps_as_drawn(count):
    settings = SMALL.model_copy(update={"polyps": PolypSettings(count=(count, count))})
    found, _ = shape_colon(sample_colon(settings, stream(2, "anatomy")), settings)
    surface = found.surface
    assert len(set(surface.face_instance[surface.face_label == 3].tolist())) == count
    assert len(found.targets) == count
    np.testing.assert_array_equal(np.isin(surface.face_label, (1, 2)), surface.face_instance == 0)


def test_wall_folds_and_polyps_are_labelled(made):
    surface, _ = made
    shares = np.bincount(surface.face_label, minlength=4) / len(surface.faces)
    assert shares[0] == 0
    assert 0.03 < shares[2] < 0.5 < shares[1]


def test_folds_stand_into_the_lumen_and_pouches_lie_outside(full):
    surface, centreline = full
    tree = cKDTree(centreline.points_mm)
    centres = surface.vertices_mm[surface.faces].mean(axis=1)
    away = tree.query(centres)[0]
    assert np.median(away[surface.face_label == 2]) < 0.87 * np.median(
        away[surface.face_label == 1]
    )


def test_the_mesh_is_fine_enough_along_the_axis_and_not_too_large(full):
    surface = full[0]
    assert 100_000 <= len(surface.faces) <= 250_000
    around = int(2 * np.pi * 20.0 / ColonSettings().around_spacing_mm / 2) * 2 + 2
    rows = surface.vertices_mm[: surface.faces[np.isin(surface.face_label, WALL)].max() - 1]
    rows = rows[: len(rows) // around * around].reshape(-1, around, 3).mean(axis=1)
    middle = rows[len(rows) // 4 : 3 * len(rows) // 4]
    assert np.linalg.norm(np.diff(middle, axis=0), axis=1).mean() <= 0.7


def test_the_tint_varies_around_one(made):
    tint = made[0].tint
    assert 0.9 < tint.mean() < 1.1
    assert 0.6 <= tint.min() < 0.98 and 1.02 < tint.max() <= 1.4


@pytest.mark.parametrize("seed", range(4))
def test_the_far_end_disappears_behind_bends(seed):
    axis = sample_colon(ColonSettings(), stream(seed, "anatomy")).route
    assert (curvature(axis.points_mm[::20]) * 1.3 * axis.radius_mm[::20]).max() < 1.0
    ahead = axis.points_mm[400:] - axis.points_mm[:-400]  # 200 mm on
    assert np.linalg.norm(ahead, axis=1).min() < 190


def test_bends_that_cannot_be_eased_are_refused(monkeypatch):
    monkeypatch.setattr(route, "_ROUNDS", 1)
    with pytest.raises(SceneError, match=r"160\.0 mm.*tortuosity \(2\.0, 2\.0\)"):
        colon(SMALL.model_copy(update={"tortuosity": (2.0, 2.0)}), stream(1, "anatomy"))


def test_a_whole_colon_keeps_its_loops_apart():
    settings = ColonSettings(length_mm=1500, total_length_mm=(1500, 1500))
    axis = sample_colon(settings, stream(1, "anatomy")).route
    points, radius = axis.points_mm[::8], axis.radius_mm[::8]
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    room = 1.2 * (radius[:, None] + radius[None])
    way = np.arange(len(points)) * 8 * axis.step_mm
    other_loop = np.abs(way[:, None] - way[None]) > 4 * room
    assert (apart > room)[other_loop].all()
