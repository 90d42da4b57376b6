# SPDX-License-Identifier: Apache-2.0
"""Every kind of camera path in the gas of a CT and around its body: never in tissue."""

from functools import lru_cache

import numpy as np
import pytest

from endoforge.errors import SceneError, SettingsError
from endoforge.geometry.poses import invert_pose
from endoforge.scene.paths.aim import centres_of
from endoforge.scene.paths.plan import camera_path
from endoforge.scene.paths.settings import InspectionSettings, OrbitSettings, RecordedSettings
from endoforge.scene.settings import TrajectorySettings
from endoforge.scene.volume.air import label_gas
from endoforge.scene.volume.coarse import hu_at
from endoforge.scene.volume.lumen import lumen_lines
from endoforge.scene.volume.lumen_settings import LumenSettings
from endoforge.scene.volume.room import lumen_room, outside_room
from endoforge.settings import validate
from scene.volume.gas_volumes import around, ct, named

AXIS = [(-12, -16, -36), (12, 16, 36)]


@lru_cache(maxsize=1)
def tube():
    volume = named(ct(around(AXIS, 12.0)), "colon")
    gas = label_gas(volume)
    return volume, lumen_room(lumen_lines(volume, gas, LumenSettings()), gas), outside_room(gas)


def drawn(settings, room, seed=0, frames=40):
    path = camera_path(settings, room, np.random.default_rng(seed), frames)
    return centres_of(path.moments.reshape(-1, 4, 4)), path


INSIDE = [
    TrajectorySettings(clearance_mm=4.0),
    TrajectorySettings(clearance_mm=4.0, wall_hits=(8.0, 8.0)),
    InspectionSettings(target="wall", distance_mm=(8.0, 14.0), clearance_mm=2.0),
    OrbitSettings(
        side="inside",
        target="wall-8",
        distance_mm=(6.0, 12.0),
        azimuth_deg=(0.0, 0.0),
        elevation_deg=(0.0, 0.0),
        turn_deg=(0.1, 0.3),
        clearance_mm=2.0,
    ),
]


@pytest.mark.parametrize("settings", INSIDE, ids=["tube", "hits", "inspection", "orbit"])
@pytest.mark.parametrize("seed", range(3))
def test_cameras_in_a_lumen_are_in_gas_and_keep_their_clearance(settings, seed):
    volume, room, _ = tube()
    centres, _ = drawn(settings, room, seed)
    assert hu_at(volume, centres).max() < -500
    least = 0.9 if isinstance(settings, TrajectorySettings) and settings.wall_hits[1] else None
    expected = least if least is not None else settings.clearance_mm - 0.1
    # the closed form of the tube, not the field that the path was made with
    assert (-around(AXIS, 12.0)(centres)).min() > expected - 0.3


@pytest.mark.parametrize("seed", range(3))
def test_an_orbit_stays_outside_upright_and_looks_at_the_body(seed):
    volume, _, room = tube()
    still = OrbitSettings(off_centre_deg=(0.0, 0.0), roll_deg=(0.0, 0.0))
    centres, path = drawn(still, room, seed)
    half = 0.92 * (np.array(volume.hu.shape[:2]) - 1) / 2 * volume.spacing_mm[:2]
    assert np.linalg.norm(centres[:, :2] / half, axis=1).min() > 1 or abs(centres[:, 2]).min() > 60
    target = room.any_target("body", np.random.default_rng(0)).point_mm
    for pose in path.camera_from_world:
        seen = pose[:3, :3] @ target + pose[:3, 3]
        assert np.linalg.norm(seen[:2]) < 1e-6 * seen[2]
        assert pose[1, 2] <= 0 and abs(pose[0, 2]) < 1e-9  # the head is up in the picture


def test_an_orbit_that_is_wanted_within_the_body_draws_back_before_the_skin():
    _, _, room = tube()
    centres, _ = drawn(OrbitSettings(distance_mm=(5.0, 5.0), elevation_deg=(0.0, 0.0)), room)
    assert room.tissue.distance(centres).min() >= 4.9
    assert np.linalg.norm(centres[:, :2], axis=1).max() < 75  # and no further than needed


def test_angles_and_distance_of_an_orbit_are_those_asked_for():
    _, _, room = tube()
    settings = OrbitSettings(
        distance_mm=(400.0, 400.0),
        nearer=(1.0, 1.0),
        azimuth_deg=(90.0, 90.0),
        elevation_deg=(30.0, 30.0),
        turn_deg=(0.0, 0.0),
        rise_deg=(0.0, 0.0),
    )
    centres, _ = drawn(settings, room)
    way = centres - room.any_target("body", np.random.default_rng(0)).point_mm
    expected = 400.0 * np.array([np.cos(np.pi / 6), 0.0, np.sin(np.pi / 6)])  # at the right side
    np.testing.assert_allclose(way, np.broadcast_to(expected, way.shape), atol=1e-6)


def test_a_recorded_camera_in_tissue_is_refused_in_one_sentence(tmp_path):
    _, room, _ = tube()
    file = tmp_path / "path.txt"
    poses = np.tile(np.eye(4), (12, 1, 1))
    poses[:, 2, 3] = np.linspace(0.0, 60.0, 12)  # leaves the slanting tube through its wall
    rows = [" ".join(map(str, pose[:3].ravel())) for pose in poses]
    file.write_text("\n".join(rows))
    settings = RecordedSettings(file=file, format="kitti", unit="mm")
    with pytest.raises(SceneError, match=r"recorded camera .* in frame \d+, .* in tissue"):
        drawn(settings, room, frames=10)
    inside = RecordedSettings(file=file, format="kitti", unit="mm", scale=(0.2, 0.2))
    centres, path = drawn(inside, room, frames=10)
    np.testing.assert_allclose(invert_pose(path.camera_from_world)[:, :3, 3], centres[1::3])


def test_settings_of_an_orbit_are_checked():
    with pytest.raises(SettingsError, match="elevation_deg"):
        validate(OrbitSettings, {"elevation_deg": [0, 100]})
