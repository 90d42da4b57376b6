# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest

from endoforge.errors import CameraError
from endoforge.geometry.camera_files import write_camera
from endoforge.geometry.cameras import FisheyeCamera, PinholeCamera
from endoforge.settings import validate
from endoforge.simulation.cameras import build_camera
from endoforge.simulation.sequence import prepare_shot, render_sequence
from endoforge.simulation.settings import ColonSimulation
from simulation.small import small_simulation


def camera_of(**camera) -> FisheyeCamera | PinholeCamera:
    return build_camera(validate(ColonSimulation, {"camera": camera}).camera)


def test_the_settings_choose_the_lens(tmp_path):
    assert camera_of(width=64, height=48) == FisheyeCamera.from_field_of_view(64, 48, 140.0)
    pinhole = camera_of(model="pinhole", width=64, height=48, horizontal_deg=80)
    assert pinhole == PinholeCamera.from_field_of_view(64, 48, 80.0)
    write_camera(tmp_path / "scope.json", pinhole)
    assert camera_of(file=str(tmp_path / "scope.json")) == pinhole


def test_a_damaged_camera_file_is_named(tmp_path):
    (tmp_path / "scope.json").write_text("{")
    with pytest.raises((CameraError, ValueError), match=r"scope\.json"):
        camera_of(file=str(tmp_path / "scope.json"))


def test_a_sequence_does_not_depend_on_the_ones_before_it():
    settings = small_simulation()
    alone = [frame.image for frame in render_sequence(settings, 1)]
    list(render_sequence(settings, 0))
    again = [frame.image for frame in render_sequence(settings, 1)]
    assert all(np.array_equal(a, b) for a, b in zip(alone, again, strict=True))


def test_each_part_has_its_own_stream():
    """Changing one part's settings leaves what the other parts draw alone."""
    before = prepare_shot(small_simulation(), 0)
    after = prepare_shot(small_simulation("light.mu=[2.9,3.0]"), 0)
    assert before.lights != after.lights
    assert before.scene.tissues[0] == after.scene.tissues[0]
    assert before.sensor == after.sensor
    assert np.array_equal(before.scene.surface.vertices_mm, after.scene.surface.vertices_mm)


def test_the_flow_of_a_frame_leads_to_the_pose_of_the_next():
    frames = list(render_sequence(small_simulation(), 0))
    for frame, following in pairwise(frames):
        assert np.array_equal(frame.next_camera_from_world, following.camera_from_world)
