# SPDX-License-Identifier: Apache-2.0
"""Frames of a volume: what is valid, which rule their depth follows, and that they pass a check."""

from dataclasses import replace

import numpy as np
import pytest

from endoforge.frames.check import check_dataset
from endoforge.frames.journal import append_record
from endoforge.frames.manifest import DatasetManifest, write_manifest
from endoforge.frames.shards import shard_name, write_shard
from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.depth import depth_from_distance
from endoforge.optics.sensor import sample_sensor
from endoforge.optics.settings import SensorSettings
from endoforge.render.volume.frames import VolumeShot, volume_frame
from endoforge.render.volume.label_pass import LabelPass, LabelRequest
from endoforge.scene.records import volume_labels
from endoforge.scene.volume.records import CtVolume
from render.media import looking, transfer, turned_grid

LENS = PinholeCamera.from_field_of_view(64, 48, horizontal_deg=60.0)
FIELDS = frozenset(
    {"clean", "back_flow_px", "back_occluded", "opacity", "expected_depth_mm", "first_depth_mm",
     "hu"}
)  # fmt: skip
NAMES = {1: "liver", 2: "spleen"}


def bag(world_from_voxel) -> CtVolume:
    """Gas in a wall of tissue, with a bump on it."""
    place = np.stack(np.meshgrid(*3 * [np.arange(36)], indexing="ij"), -1).astype(float)
    inside = 14.0 - np.linalg.norm(place - 17.5, axis=-1)
    bump = np.linalg.norm(place - [28.0, 18.0, 17.0], axis=-1) - 5.0
    hu = np.clip(-450 - 300 * np.minimum(inside, bump), -1000, 50)
    organs = np.where(bump < 2, 2, 1).astype(np.uint8)
    return CtVolume(np.rint(hu).astype(np.int16), world_from_voxel, organs, NAMES)


def poses(volume):
    return [looking(volume, (10 + 0.4 * k, 17 + 0.3 * k, 19), (26, 17, 17)) for k in range(6)]


def shot(index, around, **changes):
    sensor = sample_sensor(SensorSettings(), np.random.default_rng(0))
    taken = VolumeShot(0, index, LENS, around[index + 1], around[index + 2], sensor, 0, FIELDS)
    return replace(taken, **changes)


def frames(rule="half", count=3, **changes):
    volume = bag(turned_grid(np.random.default_rng(2), (0.9, 1.1, 1.0)))
    looker = LabelPass(volume, LENS, transfer((-700, 0), (-300, 4.0)), "cpu")
    around = poses(volume)
    for k in range(count):
        labels = looker.labels(around[k + 1], LabelRequest(rule, around[k + 2], around[k]))
        shade = np.nan_to_num(0.2 + 0.5 * np.abs(labels.normal_camera))
        frame = volume_frame(shot(k, around, **changes), shade.astype(np.float32), labels)
        facts = {"previous_camera_from_world": around[k].tolist()}
        yield replace(frame, facts=facts), labels


@pytest.mark.parametrize("rule", ["half", "expected", "first"])
def test_a_data_set_of_volume_frames_passes_the_check(tmp_path, rule):
    manifest = DatasetManifest(
        name="bag",
        labels=volume_labels(NAMES),
        camera=LENS.to_dict(),
        sequences=1,
        frames=3,
        optional_labels=[*FIELDS, "facts"],
        depth_rule=rule,
    )
    write_manifest(tmp_path, manifest)
    shots = (frame for frame, _ in frames(rule))
    append_record(tmp_path, write_shard(tmp_path / shard_name(0), shots))
    assert check_dataset(tmp_path).problems == []


def test_depth_is_z_of_the_rule_where_valid_and_missing_elsewhere():
    for rule, name in (("half", "distance_mm"), ("first", "first_mm")):
        frame, labels = next(frames(rule, 1))
        want = depth_from_distance(getattr(labels, name), LENS.rays()).astype(np.float32)
        np.testing.assert_array_equal(frame.depth_mm[frame.valid], want[frame.valid])
        assert np.isnan(frame.depth_mm[~frame.valid]).all()
        assert frame.valid.mean() > 0.8
    assert set(np.unique(frame.label)) <= {0, 2, 3}
    assert (frame.label[frame.valid] == labels.organ[frame.valid] + 1).all()


def test_what_shines_through_or_is_a_veil_is_not_valid():
    volume = bag(np.eye(4))
    pose = looking(volume, (-30, 17, 19), (18, 18, 17))
    around = [pose, pose, pose]
    shade = np.full((48, 64, 3), 0.3, np.float32)
    for tissue, seen in (((-700, 0), (-300, 4.0)), True), (((-700, 0), (-300, 0.1)), False):
        labels = LabelPass(volume, LENS, transfer(*tissue), "cpu").labels(
            pose, LabelRequest("half", pose, pose)
        )
        frame = volume_frame(shot(0, around), shade, labels)
        assert labels.found.mean() > 0.3
        assert (frame.valid.sum() > 0.9 * labels.found.sum()) == seen
        assert (frame.opacity[frame.valid] >= 0.95).all()
        generous = shot(0, around, least_opacity=0.5, most_spread_mm=1e6)
        assert (volume_frame(generous, shade, labels).valid == labels.found).all()
