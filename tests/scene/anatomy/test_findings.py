# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.distributions import drawn
from endoforge.errors import SettingsError
from endoforge.scene.anatomy.build import build_anatomy
from endoforge.scene.anatomy.findings import COLON_MATERIALS, up_of
from endoforge.scene.anatomy.settings import ColonSettings, MaskAnatomy, MeshAnatomy
from endoforge.scene.anatomy.surfaces import open_edges, wall_distance
from endoforge.settings import validate
from endoforge.streams import stream
from scene.tubes import cylinder, stl_bytes, straight, tube_mask, write_nifti

RICH = {
    "polyps": {"count": 3, "diameter_mm": [4, 9]},
    "diverticula": {"count": 3},
    "fluid": {"pools": 2},
    "stool": {"clumps": 3, "specks": 12},
    "stains": {"blood": 2, "mucus": 2},
}


@pytest.fixture(scope="module")
def rich():
    values = {"length_mm": 240, "segment": "descending", "around_spacing_mm": 1.3, **RICH}
    return build_anatomy(validate(ColonSettings, values), stream(5, "anatomy"))


def test_everything_asked_for_is_there_as_instances_of_its_class(rich):
    surface = rich.surface
    assert open_edges(surface.faces) == 0

    def found(label):
        return len(np.unique(surface.face_instance[surface.face_label == label]))

    assert found(3) == 3 and 1 <= found(4) <= 3 and 1 <= found(7) <= 2 and 8 <= found(8) <= 15
    numbers = np.unique(surface.face_instance)
    np.testing.assert_array_equal(numbers, np.arange(len(numbers)))  # none left out
    for number in numbers[1:]:
        assert len(np.unique(surface.face_label[surface.face_instance == number])) == 1


def test_materials_are_named_and_fit_their_classes(rich):
    surface = rich.surface
    assert rich.materials == COLON_MATERIALS
    name = np.array(rich.materials)[surface.face_material]
    assert set(name[np.isin(surface.face_label, (1, 2, 4))]) == {"mucosa"}
    assert set(name[surface.face_label == 7]) == {"fluid"}
    assert set(name[surface.face_label == 8]) == {"stool"}
    assert all(n == "mucosa" or n.startswith("polyp-") for n in name[surface.face_label == 3])


def test_targets_are_the_polyps(rich):
    surface = rich.surface
    assert len(rich.targets) == 3
    for target in rich.targets:
        number = int(target.name.removeprefix("polyp-"))
        body = surface.vertices_mm[np.unique(surface.faces[surface.face_instance == number])]
        away = np.linalg.norm(body - target.point_mm, axis=1)
        assert away.max() <= target.radius_mm + 1e-3
        nearest = np.linalg.norm(rich.centreline.points_mm - target.point_mm, axis=1).argmin()
        assert target.normal @ (rich.centreline.points_mm[nearest] - target.point_mm) > 0


def test_stains_are_shares_and_lie_on_few_vertices(rich):
    stain = rich.surface.stain
    assert stain.shape == (len(rich.surface.vertices_mm), 2)
    assert stain.min() >= 0 and stain.max() <= 1
    assert ((stain > 0.2).mean(axis=0) > 0).all() and ((stain > 0.2).mean(axis=0) < 0.1).all()


def test_the_centre_line_knows_of_what_was_added(rich):
    room = wall_distance(rich.surface.vertices_mm, rich.surface.faces, rich.centreline.points_mm)
    np.testing.assert_allclose(rich.centreline.radius_mm, room, atol=0.1)


def test_what_lies_in_the_lumen_lies_low(rich):
    surface, up = rich.surface, up_of("left-lateral")
    line = rich.centreline.points_mm

    def above_axis(number):
        body = surface.vertices_mm[np.unique(surface.faces[surface.face_instance == number])]
        middle = body.mean(axis=0)
        return (middle - line[np.linalg.norm(line - middle, axis=1).argmin()]) @ up

    clumps = np.unique(surface.face_instance[surface.face_label == 8])[:3]
    assert np.mean([above_axis(n) for n in clumps]) < 0
    for pool in np.unique(surface.face_instance[surface.face_label == 7]):
        assert above_axis(pool) < -6


def test_gravity_follows_the_position_and_the_frame():
    assert up_of("supine").tolist() == [0, -1, 0]
    assert up_of("supine", scanner=True).tolist() == [0, 1, 0]
    assert up_of("left-lateral").tolist() == [-1, 0, 0]
    np.testing.assert_array_equal(up_of("prone"), -up_of("supine"))
    np.testing.assert_array_equal(up_of("right-lateral"), -up_of("left-lateral"))


def test_the_same_stream_gives_the_same_findings():
    values = {"length_mm": 160, "around_spacing_mm": 1.6, **RICH}
    one, two = (
        build_anatomy(validate(ColonSettings, values), stream(2, "anatomy")) for _ in range(2)
    )
    for name in ("vertices_mm", "faces", "tint", "face_label", "face_instance", "stain"):
        assert getattr(one.surface, name).tobytes() == getattr(two.surface, name).tobytes()


def test_a_fixed_record_draws_the_same_again():
    settings = drawn(validate(ColonSettings, {"length_mm": 160, **RICH}), 3, "anatomy", 0)
    again = validate(ColonSettings, settings.model_dump(mode="json"))
    one, two = (build_anatomy(s, stream(3, "anatomy", 0)) for s in (settings, again))
    assert one.surface.vertices_mm.tobytes() == two.surface.vertices_mm.tobytes()


def test_findings_are_added_to_a_mask(tmp_path):
    file = write_nifti(tmp_path / "colon.nii.gz", tube_mask(straight(160.0), 14.0, (44, 44, 190)))
    plain = build_anatomy(MaskAnatomy(mask=file), stream(1, "anatomy"))
    values = {"mask": str(file), "additions": RICH}
    rich = build_anatomy(validate(MaskAnatomy, values), stream(1, "anatomy"))
    assert plain.materials == ("mucosa",) and plain.surface.face_material is None
    assert {3, 4, 8} <= set(rich.surface.face_label.tolist())
    assert open_edges(rich.surface.faces) == 0
    assert len(rich.targets) == 3 and rich.materials == COLON_MATERIALS
    assert (rich.centreline.radius_mm <= plain.centreline.radius_mm).all()
    assert rich.centreline.radius_mm.min() > 4
    assert "additions" in rich.provenance


def test_findings_are_added_to_a_mesh_and_stand_on_its_wall(tmp_path):
    file = tmp_path / "colon.stl"
    file.write_bytes(stl_bytes(*cylinder(160.0, 16.0, 161, 96)))
    values = {"mesh": str(file), "unit": "mm", "additions": {"polyps": RICH["polyps"]}}
    anatomy = build_anatomy(validate(MeshAnatomy, values), stream(1, "anatomy"))
    surface = anatomy.surface
    for target in anatomy.targets:
        body = surface.vertices_mm[
            np.unique(surface.faces[surface.face_instance == int(target.name[6:])])
        ]
        away = np.linalg.norm(body[:, :2], axis=1)
        assert 16.0 < away.max() < 18.5 and away.min() < 16.0
        assert target.normal[:2] @ target.point_mm[:2] < 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"diverticula": {"opening_mm": [1, 5]}}, "within 2.5 to 10.0"),
        ({"fluid": {"pools": [5, 2]}}, "lower end 5"),
        ({"stool": {"specks": 900}}, "0 to 500"),
        ({"stains": {"blod": 1}}, "did you mean 'blood'"),
        ({"polyps": {"paris": {"choice": ["Iq"]}}}, "Iq|Ip"),
        ({"segment": "ileum"}, "sigmoid"),
        ({"position": "standing"}, "supine"),
        ({"houston_valves": [3, 9]}, "0 to 6"),
    ],
)
def test_wrong_findings_are_refused_in_one_line(values, says):
    with pytest.raises(SettingsError, match=says) as error:
        validate(ColonSettings, values)
    assert "\n" not in str(error.value)
