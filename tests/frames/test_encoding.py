# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from endoforge.errors import DataError, ShapeError
from endoforge.frames.encoding import (
    decode_fields,
    frame_from_members,
    frame_to_members,
    key_of,
    labels_of,
)
from endoforge.frames.light_planes import albedo_of, encode_albedo, encode_shading, shading_of
from endoforge.frames.members import FIELDS, MEMBERS
from endoforge.frames.planes import decode_depth, encode_depth, encode_texture, texture_of
from endoforge.frames.png import decode_png, encode_png
from endoforge.frames.storage import parse_json, to_json
from frames.analytic import analytic_camera, analytic_frame, sample_ball

FRAME = analytic_frame(1, 2)
FILES = {name.partition(".")[2]: data for name, data in frame_to_members(FRAME, 2).items()}


def with_changes(frame=FRAME, **changes):
    return replace(frame, **{k: v(getattr(frame, k).copy()) for k, v in changes.items()})


def put(where, value):
    def change(array):
        array[where] = value
        return array

    return change


# ---- round trip ----------------------------------------------------------------------------------


def test_a_frame_survives_within_the_precision_of_the_files():
    back = frame_from_members(frame_to_members(FRAME, 2))
    for name in ("sequence", "index", "camera"):
        assert getattr(back, name) == getattr(FRAME, name)
    for name in (
        "image", "valid", "label", "instance", "occluded", "camera_from_world",
        "next_camera_from_world",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(back, name), getattr(FRAME, name))
    np.testing.assert_allclose(back.depth_mm, FRAME.depth_mm, atol=0.0026)
    np.testing.assert_allclose(back.flow_px, FRAME.flow_px, atol=1 / 128 + 1e-5)
    sine = np.linalg.norm(np.cross(back.normal_camera, FRAME.normal_camera), axis=-1)
    assert np.degrees(np.arcsin(sine[FRAME.valid])).max() < 0.05
    assert np.isnan(back.normal_camera[~FRAME.valid]).all()


def test_packing_a_second_time_changes_nothing():
    once = frame_to_members(FRAME, 2)
    assert frame_to_members(frame_from_members(once), 2) == once


def test_names_are_those_of_webdataset():
    assert list(frame_to_members(FRAME, 17)) == [f"000017.{name}" for name in MEMBERS]
    assert key_of(17) == "000017"


def test_a_depth_file_says_how_to_read_it():
    png = decode_png(FILES["depth.png"], "x")
    assert (png.notes["unit"], png.notes["meaning"], png.notes["scale"]) == ("mm", "z", "0.005")
    pixels = cv2.imdecode(np.frombuffer(FILES["depth.png"], np.uint8), cv2.IMREAD_UNCHANGED)
    depth = pixels * float(png.notes["scale"])
    np.testing.assert_allclose(depth[FRAME.valid], FRAME.depth_mm[FRAME.valid], atol=0.0026)
    assert (pixels[~FRAME.valid] == 0).all()


@given(
    depth=arrays.arrays(
        np.float32, (3, 4), elements=st.floats(2**-10, 300, width=32) | st.just(float("nan"))
    ),
    scale=st.floats(0.0047, 10),
)
def test_depth_survives_to_half_a_step_and_never_becomes_invalid(depth, scale):
    back = decode_depth(encode_depth(depth, scale))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(depth))
    known = ~np.isnan(depth)
    off = np.abs(back - depth)[known & (depth > scale)]
    assert off.max(initial=0) <= 0.5 * scale + 1e-4


@given(
    flow=arrays.arrays(np.float32, (3, 4, 2), elements=st.floats(-511, 511, width=32)),
    occluded=arrays.arrays(np.bool_, (3, 4)),
    unknown=arrays.arrays(np.bool_, (3, 4)),
)
def test_flow_and_occlusion_survive_in_all_combinations(flow, occluded, unknown):
    flow[unknown] = np.nan
    small = analytic_frame(0, 0, analytic_camera(4, 3))
    frame = replace(small, flow_px=flow, occluded=occluded)
    back = frame_from_members(frame_to_members(frame, 0))
    np.testing.assert_array_equal(back.occluded, occluded)
    np.testing.assert_allclose(back.flow_px, flow, atol=1 / 128 + 1e-4)


@given(vector=arrays.arrays(np.float64, 3, elements=st.floats(-1, 1)))
def test_any_unit_normal_survives_and_none_reads_as_unknown(vector):
    length = np.linalg.norm(vector)
    if length < 0.1:
        return
    small = analytic_frame(0, 0, analytic_camera(4, 3))
    normal = np.broadcast_to((vector / length).astype(np.float32), (3, 4, 3)).copy()
    normal[~small.valid] = np.nan
    back = frame_from_members(frame_to_members(replace(small, normal_camera=normal), 0))
    np.testing.assert_allclose(back.normal_camera, normal, atol=5e-4)


def test_occluded_flow_that_is_too_large_is_kept_as_unknown():
    frame = with_changes(flow_px=put((3, 4), 4000.0), occluded=put((3, 4), True))
    back = frame_from_members(frame_to_members(frame, 0))
    assert back.occluded[3, 4]
    assert np.isnan(back.flow_px[3, 4]).all()


def test_fields_can_be_read_alone():
    alone = decode_fields({"depth.png": FILES["depth.png"]}, ("valid",), "x")
    assert list(alone) == ["valid"]
    np.testing.assert_array_equal(alone["valid"], FRAME.valid)


# ---- what does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (with_changes(depth_mm=put((5, 6), 400.0)), r"400\.0 mm.*ends at 327\.7.*larger scale"),
        (with_changes(depth_mm=put((5, 6), -1.0)), "above 0 mm"),
        (with_changes(depth_mm=put((5, 6), np.nan)), "above 0 mm"),
        (with_changes(normal_camera=put((5, 6), np.nan)), "unit normal"),
        (with_changes(normal_camera=put((5, 6), 3.0)), "unit normal"),
        (with_changes(flow_px=put((5, 6), 600.0), occluded=put((5, 6), False)), "600 px"),
    ],
    ids=["far", "negative", "no depth", "no normal", "long normal", "fast"],
)
def test_values_that_do_not_fit_are_refused_with_the_frame(frame, said):
    with pytest.raises(DataError, match=f"frame 2 of sequence 1.*{said}"):
        frame_to_members(frame, 0)


def test_a_larger_scale_holds_a_larger_depth():
    frame = with_changes(depth_mm=put((5, 6), 400.0))
    back = frame_from_members(frame_to_members(frame, 0, depth_scale_mm=0.01))
    assert back.depth_mm[5, 6] == pytest.approx(400, abs=0.005)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(DataError, match="scale must be above 0"):
        encode_depth(FRAME.depth_mm, scale)


def test_arrays_of_another_size_than_the_camera_are_refused():
    frame = replace(FRAME, camera=analytic_camera(32, 24))
    with pytest.raises(ShapeError, match=r"\(48, 64\).*\(24, 32\)"):
        frame_to_members(frame, 0)


# ---- files that contradict -----------------------------------------------------------------------


def facts(**changes) -> bytes:
    return to_json(parse_json(FILES["json"], "x") | changes).encode()


def depth_with(**notes) -> bytes:
    png = decode_png(FILES["depth.png"], "x")
    return encode_png(png.pixels, {k: v for k, v in ({**png.notes, **notes}).items() if v})


def scaled_pose() -> list:
    return (2 * FRAME.camera_from_world).tolist()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("depth.png", FILES["depth.png"][:-9], "depth.png.* cut"),
        ("depth.png", FILES["label.png"], "must say that it holds z in mm, got 'class"),
        ("depth.png", depth_with(unit="m"), "in 'm'"),
        ("depth.png", depth_with(meaning="distance"), "got 'distance'"),
        ("depth.png", depth_with(scale=""), "scale above 0 mm, got None"),
        ("depth.png", depth_with(scale="-1"), "got '-1'"),
        ("depth.png", depth_with(scale="nan"), "got 'nan'"),
        ("label.png", FILES["instance.png"], "must be uint8 with 1 channel"),
        ("image.png", FILES["label.png"], "must be uint8 with 3 channel"),
        ("flow.png", encode_png(np.full((48, 64, 3), 9, np.uint16)), "third channel.*got 9"),
        ("normal.png", encode_png(np.ones((4, 4, 3), np.uint16)), r"\(4, 4\).*\(48, 64\)"),
        ("json", b"{", "not valid JSON"),
        ("json", b"[]", "json is wrong"),
        ("json", b"{}", "json has no 'sequence'"),
        ("json", facts(index=-1), "whole number from 0, got -1"),
        ("json", facts(index=True), "got True"),
        ("json", facts(camera={"model": "cube"}), "'cube'"),
        ("json", facts(camera=analytic_camera(32, 24).to_dict()), r"\(48, 64\).*\(24, 32\)"),
        ("json", facts(camera_from_world=scaled_pose()), "camera_from_world must be a rigid"),
        ("json", facts(next_camera_from_world=[[1, 2], [3]]), "wrong"),
    ],
)
def test_a_wrong_file_is_refused_with_the_frame_and_the_reason(name, content, said):
    with pytest.raises(DataError, match=f"frame seven.*{said}") as caught:
        frame_from_members(FILES | {name: content}, "frame seven")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", MEMBERS)
def test_a_missing_file_is_refused(name):
    with pytest.raises(DataError, match=r"must have the files image\.png"):
        frame_from_members({k: v for k, v in FILES.items() if k != name})


def test_files_of_two_frames_are_refused():
    mixed = frame_to_members(FRAME, 2)
    mixed["000003.json"] = mixed.pop("000002.json")
    with pytest.raises(DataError, match="must have the files"):
        frame_from_members(mixed)


def test_an_unknown_field_is_refused_with_the_valid_ones():
    with pytest.raises(DataError, match=r"no field 'depth'; valid: image, depth_mm"):
        decode_fields(FILES, ("depth",), "x")
    assert set(FIELDS.values()) == set(MEMBERS) - {"json"}


# ---- optional labels -----------------------------------------------------------------------------

FULL = analytic_frame(1, 2, full=True, ball=replace(sample_ball(1), sway_mm=1.5))
FULL_FILES = {name.partition(".")[2]: data for name, data in frame_to_members(FULL, 2).items()}


def test_all_optional_labels_survive_within_the_precision_of_the_files():
    back = frame_from_members(frame_to_members(FULL, 2))
    for name in ("clean", "specular", "back_occluded", "material", "moving"):
        np.testing.assert_array_equal(getattr(back, name), getattr(FULL, name))
    np.testing.assert_allclose(back.albedo, FULL.albedo, rtol=0.0055)
    np.testing.assert_allclose(back.shading, FULL.shading, rtol=0.0028)
    np.testing.assert_allclose(back.texture_mm, FULL.texture_mm, atol=0.011)
    np.testing.assert_allclose(back.opacity, FULL.opacity, atol=0.002)
    np.testing.assert_allclose(back.expected_depth_mm, FULL.expected_depth_mm, atol=0.0026)
    np.testing.assert_allclose(back.first_depth_mm, FULL.first_depth_mm, atol=0.0026)
    np.testing.assert_array_equal(back.hu, FULL.hu)
    np.testing.assert_allclose(back.back_flow_px, FULL.back_flow_px, atol=1 / 128 + 1e-4)
    assert back.facts == FULL.facts


def test_the_right_eye_survives():
    back, there = frame_from_members(frame_to_members(FULL, 2)).right, FULL.right
    assert back.camera == there.camera
    for name in ("image", "camera_from_world", "occluded"):
        np.testing.assert_array_equal(getattr(back, name), getattr(there, name))
    np.testing.assert_allclose(back.depth_mm, there.depth_mm, atol=0.0026)
    np.testing.assert_allclose(back.from_left_px, there.from_left_px, atol=1 / 128 + 1e-4)


def test_packing_all_labels_a_second_time_changes_nothing():
    once = frame_to_members(FULL, 2)
    assert frame_to_members(frame_from_members(once), 2) == once


def test_the_usual_labels_have_the_same_bytes_with_and_without_the_others():
    few = replace(FULL, **(dict.fromkeys(labels_of(FULL)) | {"facts": {}}))
    for name, content in frame_to_members(few, 2).items():
        if not name.endswith("json"):
            assert frame_to_members(FULL, 2)[name] == content
    assert labels_of(few) == ()


@given(
    texture=arrays.arrays(np.float32, (3, 4, 3), elements=st.floats(-300, 300, width=32)),
    far=st.sampled_from([0.0, 5000.0]),
)
def test_places_on_the_texture_survive_to_a_hundredth_of_a_millimetre(texture, far):
    png = decode_png(encode_texture(texture + np.float32(far), np.ones((3, 4), bool), "x"), "x")
    np.testing.assert_allclose(texture_of(png, "x"), texture + np.float32(far), atol=0.0115)


def test_equal_places_are_stored_as_equal_millimetres_whatever_else_a_frame_shows():
    place = np.float32([12.345, -7.01, 300.2])
    near, far = np.full((2, 2, 3), place), np.full((2, 2, 3), place)
    far[0, 0] = (-90, 40, 10)
    both = [
        texture_of(decode_png(encode_texture(t, np.ones((2, 2), bool), "x"), "x"), "x")[1, 1]
        for t in (near, far)
    ]
    np.testing.assert_allclose(both[0], both[1], atol=1e-4)


@given(values=arrays.arrays(np.float32, (3, 4, 3), elements=st.floats(2**-20, 2**20, width=32)))
def test_shading_survives_to_a_quarter_of_a_percent_over_twelve_decades(values):
    png = decode_png(encode_shading(values, np.ones((3, 4), bool), "x"), "x")
    np.testing.assert_allclose(shading_of(png, "x"), values, rtol=0.0028)


def test_black_and_unlit_are_not_invalid():
    dark = np.zeros((2, 2, 3), np.float32)
    valid = np.array([[True, False], [True, True]])
    for encode, decode in ((encode_albedo, albedo_of), (encode_shading, shading_of)):
        back = decode(decode_png(encode(dark, valid, "x"), "x"), "x")
        assert (back[valid] == 0).all()
        assert np.isnan(back[~valid]).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"albedo": put((5, 6), 1.1)}, r"albedo must be 0 to 1 where valid, got 1\.1"),
        ({"albedo": put((5, 6), np.nan)}, "albedo must be 0 to 1"),
        ({"shading": put((5, 6), -1.0)}, r"not below 0, got -1\.0"),
        ({"shading": put((5, 6), np.inf)}, "finite"),
        ({"texture_mm": put((5, 6), np.nan)}, "place on the texture"),
        ({"opacity": put((5, 6), 1.1)}, r"opacity must be 0 to 1 in every pixel, got 1\.1"),
        ({"opacity": put((5, 6), np.nan)}, "opacity must be 0 to 1"),
        ({"expected_depth_mm": put((24, 32), 400.0)}, r"expected depth: depth reaches 400\.0 mm"),
        ({"hu": put((5, 6), -1025)}, "HU must be -1024 or more, got -1025"),
    ],
    ids=[
        "bright",
        "no albedo",
        "negative light",
        "endless light",
        "no place",
        "too opaque",
        "no opacity",
        "too far",
        "denser than nothing",
    ],
)
def test_optional_values_that_do_not_fit_are_refused_with_the_frame(change, said):
    with pytest.raises(DataError, match=f"frame 2 of sequence 1.*{said}"):
        frame_to_members(with_changes(FULL, **change), 0)


def test_facts_that_are_not_plain_are_refused():
    with pytest.raises(DataError, match="facts must be plain and finite"):
        frame_to_members(replace(FULL, facts={"a": float("nan")}), 0)
    with pytest.raises(DataError, match="facts must be plain and finite"):
        frame_to_members(replace(FULL, facts={"a": np.zeros(3)}), 0)


def test_half_of_a_pair_is_refused():
    with pytest.raises(DataError, match="back_flow_px shares a file with back_occluded"):
        frame_to_members(replace(FULL, back_occluded=None), 0)


def test_a_right_eye_of_another_size_than_its_camera_is_refused():
    small = replace(FULL.right, camera=analytic_camera(32, 24))
    with pytest.raises(ShapeError, match=r"right\.image is \(48, 64\).*\(24, 32\)"):
        frame_to_members(replace(FULL, right=small), 0)


def renoted(name: str, **notes) -> bytes:
    png = decode_png(FULL_FILES[name], "x")
    return encode_png(png.pixels, {**png.notes, **notes})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("clean.png", FULL_FILES["label.png"], "must be uint8 with 3 channel"),
        ("albedo.png", renoted("albedo.png", value="v/65535"), "got 'v/65535'"),
        ("shading.png", FULL_FILES["albedo.png"], r"must say that a value means 2\^"),
        ("texture.png", renoted("texture.png", unit="m"), "must hold mm, got 'm'"),
        ("texture.png", renoted("texture.png", scale="0"), "state a scale above 0 mm, got '0'"),
        ("texture.png", renoted("texture.png", offset="1 2"), "three numbers in mm, got '1 2'"),
        ("specular.png", encode_png(np.full((48, 64), 7, np.uint8)), "0 and 255 only, got 7"),
        ("right.depth.png", FULL_FILES["label.png"], "must say that it holds z in mm"),
        ("json", FULL_FILES["json"].replace(b'"right"', b'"left"'), "pictures or its lens"),
        ("json", FULL_FILES["json"].replace(b'"facts"', b'"fact"'), ""),
    ],
)
def test_a_wrong_optional_file_is_refused_with_the_reason(name, content, said):
    if not said:  # an unknown key of the JSON is passed over
        assert frame_from_members(FULL_FILES | {name: content}).facts == {}
        return
    with pytest.raises(DataError, match=f"frame seven.*{said}"):
        frame_from_members(FULL_FILES | {name: content}, "frame seven")


def test_an_incomplete_right_eye_is_refused():
    files = {k: v for k, v in FULL_FILES.items() if k != "right.depth.png"}
    with pytest.raises(DataError, match=r"must have the files image\.png"):
        frame_from_members(files)
