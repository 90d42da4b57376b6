# SPDX-License-Identifier: Apache-2.0
"""The surface renderer compiles once, keeps its memory, repeats itself, and labels what it sees."""

import dataclasses
import gc
from pathlib import Path

import drjit
import numpy as np
import pytest

from endoforge.errors import SceneError, SettingsError, ShapeError
from endoforge.frames.frame import IGNORE, Frame
from endoforge.render.engine import set_render_threads
from endoforge.render.surface import SurfaceRenderer
from render import worlds
from render.worlds import walk

CAMERA = worlds.lenses(48, 36)["kannala-brandt"]


def fingerprint(frame: Frame) -> list[bytes]:
    values = [getattr(frame, field.name) for field in dataclasses.fields(frame)]
    return [value.tobytes() for value in values if isinstance(value, np.ndarray)]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_memory_stays_flat_over_frames_and_scenes():
    scenes = [worlds.tube(seed=k) for k in range(4)]
    camera = worlds.lenses(160, 128)["equidistant"]

    def work(rounds: int) -> None:
        for k in range(rounds):
            renderer = SurfaceRenderer(scenes[k % 4], camera, "cpu")
            for j in range(8):
                renderer.render(walk(j))

    work(12)
    gc.collect()
    before = resident_bytes()
    work(30)
    gc.collect()
    assert resident_bytes() < 1.05 * before


def test_bytes_do_not_depend_on_the_number_of_threads():
    def pictures(threads: int) -> list[bytes]:
        set_render_threads(threads)
        renderer = SurfaceRenderer(worlds.tube(), worlds.lenses(161, 127)["equidistant"], "cpu")
        return [part for k in (0, 50) for part in fingerprint(renderer.render(walk(k)))]

    before = drjit.thread_count()
    try:
        alone = pictures(1)
        assert alone == pictures(2) == pictures(3) == pictures(1)
    finally:
        set_render_threads(before)


def test_a_frame_does_not_depend_on_the_frames_before_it():
    scene = worlds.tube()
    renderer = SurfaceRenderer(scene, CAMERA, "cpu")
    after_others = [renderer.render(walk(k)) for k in range(5)][4]
    alone = SurfaceRenderer(scene, CAMERA, "cpu").render(walk(4))
    assert fingerprint(after_others) == fingerprint(alone)


def test_what_the_lens_cannot_see_is_ignored_and_what_it_misses_is_outside():
    camera = worlds.lenses(64, 48)["off-centre"]
    frame = SurfaceRenderer(worlds.plane(30.0, half_mm=20.0), camera, "cpu").render(worlds.view())
    blind = ~camera.valid()
    assert blind.any()
    assert (frame.label[blind] == IGNORE).all()
    missed = ~blind & ~frame.valid
    assert missed.any()
    assert (frame.label[missed] == 0).all()
    assert (frame.image[~frame.valid] == 0).all()
    for name in ("depth_mm", "normal_camera", "flow_px"):
        values = getattr(frame, name).reshape(48, 64, -1)
        np.testing.assert_array_equal(np.isfinite(values).all(axis=-1), frame.valid)
    assert not frame.occluded[~frame.valid].any()
    assert not frame.instance[~frame.valid].any()


def test_a_camera_at_rest_sees_no_flow_and_hides_nothing():
    frame = SurfaceRenderer(worlds.tube(), CAMERA, "cpu").render(
        worlds.view(worlds.turned(np.array([0.0, 2, 10]), 0.1))
    )
    assert np.nanmax(np.abs(frame.flow_px)) < 2e-3
    assert frame.occluded[frame.valid].mean() < 0.002


def test_a_point_that_leaves_the_image_is_occluded_but_keeps_its_flow():
    camera = worlds.lenses(64, 48)["pinhole"]
    renderer = SurfaceRenderer(worlds.plane(50.0), camera, "cpu")
    step = worlds.turned(np.array([10.0, 0.0, 0.0]))
    frame = renderer.render(worlds.view(None, step))
    shift = -10 / 50 * camera.fx
    np.testing.assert_allclose(frame.flow_px[..., 0], shift, atol=1e-3)
    leaves = np.arange(64) + 0.5 + shift < 0
    np.testing.assert_array_equal(frame.occluded, np.tile(leaves, (48, 1)))


def test_normals_face_the_camera_even_where_interpolation_turns_them_away():
    frame = SurfaceRenderer(worlds.tube(), CAMERA, "cpu").render(walk(0))
    facing = np.sum(frame.normal_camera * CAMERA.rays(), axis=-1)
    assert np.nanmax(facing) < 1e-5
    lengths = np.linalg.norm(frame.normal_camera, axis=-1)
    np.testing.assert_allclose(lengths[frame.valid], 1, atol=1e-5)


def test_a_view_without_light_is_refused_with_the_count():
    renderer = SurfaceRenderer(worlds.plane(30.0), CAMERA, "cpu")
    with pytest.raises(ShapeError, match="got 0"):
        renderer.render(worlds.view(lights=()))


def test_a_scene_without_triangles_is_refused():
    scene = worlds.scene_of(np.zeros((3, 3)), np.zeros((0, 3)), np.zeros((3, 3)))
    with pytest.raises(SceneError, match="0 triangles"):
        SurfaceRenderer(scene, CAMERA, "cpu")


def test_an_unknown_label_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match=r"'depht'.*albedo.*texture_mm"):
        SurfaceRenderer(worlds.plane(30.0), CAMERA, "cpu", frozenset({"depht"}))


@pytest.mark.parametrize(
    ("label", "missing"), [("back_flow_px", "previous_camera_from_world"), ("right", "second eye")]
)
def test_a_label_without_what_it_needs_is_refused(label, missing):
    renderer = SurfaceRenderer(worlds.plane(30.0), CAMERA, "cpu", frozenset({label}))
    with pytest.raises(ShapeError, match=missing):
        renderer.render(worlds.view())


def test_a_face_of_a_tissue_that_is_not_there_is_refused():
    scene = worlds.plane(30.0)
    material = np.array([0, 1], np.uint8)
    surface = dataclasses.replace(scene.surface, face_material=material)
    with pytest.raises(SceneError, match="tissue 1 and it has 1 tissues"):
        SurfaceRenderer(dataclasses.replace(scene, surface=surface), CAMERA, "cpu")


@pytest.mark.parametrize("stain", [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_blood_is_dark_red_and_bile_below_it_is_yellow(stain):
    scene = worlds.plane(30.0)
    covered = dataclasses.replace(scene.surface, stain=np.full((4, 2), stain, np.float32))
    renderer = SurfaceRenderer(
        dataclasses.replace(scene, surface=covered), CAMERA, "cpu", frozenset({"albedo"})
    )
    red, green, blue = np.nanmean(renderer.render(worlds.view()).albedo, axis=(0, 1))
    assert red > green > blue
    assert (green / red > 0.5) == (stain[0] == 0)
