# SPDX-License-Identifier: Apache-2.0
"""Labels of a volume against closed forms and against the slow twin; the same to the bit always."""

import math
from dataclasses import fields, replace

import drjit as dr
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq

from endoforge.errors import SceneError, SettingsError
from endoforge.geometry.cameras import FisheyeCamera
from endoforge.geometry.depth import depth_from_distance
from endoforge.geometry.flow import flow_from_depth
from endoforge.geometry.poses import relative_pose
from endoforge.optics.transfer import organ_tables
from endoforge.render.volume.label_pass import (
    LEAST_TRANSMITTANCE,
    LabelPass,
    LabelRequest,
)
from endoforge.render.volume.label_twin import interpolated, transmittance, twin_labels
from endoforge.scene.volume.records import CtVolume
from render.media import camera, curve, in_world, looking, transfer, turned_grid, world_rays

LENS = camera()
GRIDS = {
    "cubes": ((1.0, 1.0, 1.0), False),
    "slabs": ((0.6, 0.8, 2.5), False),
    "mirrored": ((1.3, 0.5, 0.9), True),
}
EVEN = transfer((-500, 0), (-400, 0.08), (3000, 0.08))
RULES = {"half": "distance_mm", "expected": "expected_mm", "first": "first_mm"}


@pytest.fixture(params=sorted(GRIDS))
def grid(request):
    """world_from_voxel of a grid at an angle."""
    spacing, mirrored = GRIDS[request.param]
    return turned_grid(np.random.default_rng(3), spacing, mirrored)


def block(world_from_voxel, shape=(30, 32, 34)):
    return CtVolume(np.zeros(shape, np.int16), world_from_voxel)


def spans(volume, pose, lens=LENS):
    """Where each ray enters and leaves the box between the outermost voxel centres, mm."""
    inverse = np.linalg.inv(volume.world_from_voxel)
    eye = inverse[:3, :3] @ np.linalg.inv(pose)[:3, 3] + inverse[:3, 3]
    step = world_rays(pose, lens) @ inverse[:3, :3].T
    with np.errstate(divide="ignore"):
        ends = np.stack([-eye / step, (np.array(volume.hu.shape) - 1 - eye) / step])
    enter = np.maximum(ends.min(0).max(1), 0)
    return enter, np.maximum(ends.max(0).min(1), enter)


def picture(flat, lens=LENS):
    return flat.reshape(lens.height, lens.width)


def close(found, expected, tolerance):
    assert (np.isnan(found) == np.isnan(expected)).all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


# ---- closed forms -------------------------------------------------------------------------------


@pytest.mark.parametrize("eye", [(-40, 12, 18), (70, 60, -30)])
def test_even_tissue_obeys_the_law_of_beer_and_lambert(grid, eye):
    volume, sigma = block(grid), 0.08
    pose = looking(volume, eye, (15, 16, 17))
    labels = LabelPass(volume, LENS, EVEN, "cpu").labels(pose, LabelRequest(first_opacity=0.2))
    enter, leave = spans(volume, pose)
    way = leave - enter
    clear = np.abs(np.exp(-sigma * way) - 0.5) > 1e-4  # else rounding decides
    lost = -np.expm1(-sigma * way)
    half = np.where(lost > 0.5, enter + math.log(2) / sigma, np.nan)
    first = np.where(lost > 0.2, enter - math.log(0.8) / sigma, np.nan)
    mean = 1 / sigma - way * np.exp(-sigma * way) / np.where(lost > 0, lost, 1)
    expected = np.where(lost > 0, enter + mean, np.nan)
    assert 0.05 < (lost > 0.5).mean() < 1
    close(labels.distance_mm.ravel()[clear], half[clear], 2e-3)
    close(labels.first_mm, picture(first), 2e-3)
    np.testing.assert_allclose(labels.opacity, picture(lost), atol=2e-4)
    sure = picture(lost > 0.02)
    close(labels.expected_mm[sure], picture(expected)[sure], 2e-2)


def test_a_camera_within_tissue_starts_to_count_there(grid):
    volume = block(grid)
    pose = looking(volume, (14, 15, 16), (29, 20, 20))
    labels = LabelPass(
        volume, LENS, replace(EVEN, curve=curve((-500, 0), (-400, 2))), "cpu"
    ).labels(pose)
    np.testing.assert_allclose(labels.distance_mm, math.log(2) / 2, atol=2e-3)
    np.testing.assert_allclose(labels.expected_mm, 0.5, atol=2e-3)


def test_depth_in_a_linear_gradient_is_the_root_of_its_integral(grid):
    """Extinction rises with depth x as a·x, so that its integral is a·x²/2 (and obliquely too)."""
    hu = np.broadcast_to(40 * np.arange(40, dtype=np.int16)[:, None, None] - 400, (40, 30, 30))
    volume = CtVolume(np.ascontiguousarray(hu), grid)
    rise = 0.04  # extinction per voxel along i, 1/mm
    pose = looking(volume, (-30, 10, 18), (20, 15, 15))
    labels = LabelPass(volume, LENS, transfer((-400, 0), (1200, 40 * rise)), "cpu").labels(pose)
    enter, leave = spans(volume, pose)
    inverse = np.linalg.inv(grid)
    per_mm = (world_rays(pose, LENS) @ inverse[:3, :3].T)[:, 0]
    first = (inverse[:3, :3] @ np.linalg.inv(pose)[:3, 3] + inverse[:3, 3])[0] + enter * per_mm
    # a (x0 t + s t²/2) = ln 2 with x0 voxels at the entry and s voxels per mm
    want = enter + (-first + np.sqrt(first**2 + 2 * per_mm * math.log(2) / rise)) / per_mm
    through = picture((leave > enter) & (want < leave - 1e-3))
    assert through.mean() > 0.2
    assert (labels.found == through).mean() > 0.99
    voxel = volume.spacing_mm.min()
    np.testing.assert_allclose(
        labels.distance_mm[through], picture(want)[through], atol=0.02 * voxel
    )
    assert np.median(np.abs(labels.distance_mm - picture(want))[through]) < 0.003 * voxel


def sphere(world_from_voxel, radius=11.0, per_voxel=40.0, shape=(32, 32, 32)):
    """HU fall linearly with the distance from the middle; 0 at the radius (in mm of the world)."""
    place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) - 15.5
    away = np.linalg.norm(place @ world_from_voxel[:3, :3].T, axis=-1)
    return np.rint(per_voxel * (radius - away)).clip(-1000, 1000).astype(np.int16)


@pytest.mark.parametrize("stiffness", [0.05, 4.0])
def test_depth_of_a_soft_sphere_is_within_a_tenth_of_a_voxel(stiffness):
    grid = turned_grid(np.random.default_rng(4), (1.0, 1.1, 0.9))
    radius = 11.0
    volume = CtVolume(sphere(grid, radius), grid)
    pose = looking(volume, (-20, 30, 25), (15.5, 15.5, 15.5))
    labels = LabelPass(volume, LENS, transfer((0, 0), (400, 10 * stiffness)), "cpu").labels(pose)
    middle = in_world(volume, (15.5, 15.5, 15.5))
    eye = np.linalg.inv(pose)[:3, 3]
    errors = []
    for ray, found in zip(world_rays(pose, LENS), labels.distance_mm.ravel(), strict=True):
        nearest = float((middle - eye) @ ray)
        beside = np.linalg.norm(eye + nearest * ray - middle)
        if beside > 0.8 * radius:
            continue
        enter = nearest - math.sqrt(radius**2 - beside**2)

        def depth(t, enter=enter, nearest=nearest, beside=beside):
            u = np.linspace(enter - nearest, t - nearest, 400)
            return stiffness * np.trapezoid(radius - np.hypot(beside, u), u)

        if depth(nearest) > math.log(2):
            errors.append(found - brentq(lambda t: depth(t) - math.log(2), enter, nearest))
    assert len(errors) > 40
    assert np.abs(errors).max() < 0.1 * 0.9
    assert np.median(np.abs(errors)) < 0.04  # a sphere between voxels is a little smaller


def test_normals_of_a_sphere_point_from_its_middle_to_the_camera():
    grid = turned_grid(np.random.default_rng(5), (1.0, 1.4, 0.7), mirrored=True)
    volume = CtVolume(sphere(grid, 9.0), grid)
    pose = looking(volume, (-20, 30, 25), (15.5, 15.5, 15.5))
    labels = LabelPass(volume, LENS, transfer((0, 0), (400, 40)), "cpu").labels(pose)
    points = labels.distance_mm[..., None] * LENS.rays()
    middle = pose[:3, :3] @ in_world(volume, (15.5, 15.5, 15.5)) + pose[:3, 3]
    out = points - middle
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    facing = labels.found & ((out * LENS.rays()).sum(-1) < -0.3)
    cosine = (labels.normal_camera * out).sum(-1)[facing]
    assert facing.sum() > 50
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 3
    assert np.isnan(labels.normal_camera[~labels.found]).all()


def test_even_tissue_faces_the_camera():
    volume = block(np.eye(4))
    pose = looking(volume, (-20, 30, 25), (15.5, 15.5, 15.5))
    labels = LabelPass(volume, LENS, EVEN, "cpu").labels(pose)
    deep = labels.found
    np.testing.assert_allclose(labels.normal_camera[deep], -LENS.rays()[deep], atol=1e-6)


def test_hu_and_organ_are_those_of_the_visible_point():
    rng = np.random.default_rng(6)
    hu = np.rint(900 * gaussian_filter(rng.normal(size=(24, 26, 28)), 2) * 4).astype(np.int16)
    organs = (np.indices(hu.shape).sum(axis=0) // 9 % 3).astype(np.uint8)
    grid = turned_grid(rng, (1.0, 0.8, 1.7))
    volume = CtVolume(hu, grid, organs, {1: "liver", 2: "spleen"})
    pose = looking(volume, (-25, 12, 10), (12, 12, 12))
    labels = LabelPass(volume, LENS, transfer((-200, 0), (200, 0.6)), "cpu").labels(pose)
    eye = np.linalg.inv(pose)[:3, 3]
    world = eye + labels.distance_mm.reshape(-1, 1) * world_rays(pose, LENS)
    inverse = np.linalg.inv(grid)
    place = (world @ inverse[:3, :3].T + inverse[:3, 3])[labels.found.ravel()]
    there = interpolated(hu.astype(float), place)
    assert np.abs(labels.hu[labels.found] - there).max() <= 1
    near = organs[tuple(np.rint(place).astype(int).T)]
    assert (labels.organ[labels.found] == near).mean() > 0.995  # rounding decides at a border
    assert set(np.unique(labels.organ[labels.found])) == {0, 1, 2}
    assert (labels.hu[~labels.found] == -1024).all() and (labels.organ[~labels.found] == 0).all()


def test_the_rule_says_whose_hu_normal_and_flow_are_given():
    volume = CtVolume(sphere(np.eye(4), 10.0), np.eye(4))
    pose = looking(volume, (-20, 30, 25), (15.5, 15.5, 15.5))
    looker = LabelPass(volume, LENS, transfer((0, 0), (400, 1)), "cpu")
    first, half = (looker.labels(pose, LabelRequest(rule=rule)) for rule in ("first", "half"))
    assert (first.hu[half.found] <= half.hu[half.found]).all()
    assert first.found.sum() > half.found.sum()
    assert (first.found == ~np.isnan(first.first_mm)).all()
    assert first.rule == "first"


# ---- the twin -----------------------------------------------------------------------------------


def cloud(rng, smooth):
    noise = gaussian_filter(rng.normal(size=(22, 24, 26)), smooth)
    return np.rint(500 * noise / noise.std()).clip(-1024, 3000).astype(np.int16)


@pytest.mark.parametrize("eye", [(-30, 5, 10), (11, 12, 13)])
@pytest.mark.parametrize("strength", [0.2, 4.0])
def test_random_tissue_agrees_with_the_slow_twin(eye, strength):
    grid = turned_grid(np.random.default_rng(1), (0.6, 0.8, 1.5), mirrored=True)
    volume = CtVolume(cloud(np.random.default_rng(7), 1.0), grid)
    tissue = transfer((-200, 0), (-50, 0.4 * strength), (300, 0.4 * strength), (900, strength))
    pose = looking(volume, eye, (13, 11, 12))
    labels = LabelPass(volume, LENS, tissue, "cpu").labels(pose, LabelRequest(first_opacity=0.1))
    twin = twin_labels(volume, tissue, np.linalg.inv(pose)[:3, 3], world_rays(pose, LENS), 0.1, 24)
    voxel = volume.spacing_mm.min()
    np.testing.assert_allclose(labels.opacity, picture(twin.opacity), atol=5e-3)
    for found, want in (
        (labels.distance_mm, picture(twin.half_mm)),
        (labels.first_mm, picture(twin.first_mm)),
        (labels.expected_mm, picture(twin.expected_mm)),
    ):
        off = np.abs(found - want)
        assert (np.isnan(found) != np.isnan(want)).mean() < 0.01
        assert np.nanpercentile(off, 99) < 0.1 * voxel
        assert np.nanmedian(off) < 0.03 * voxel


def test_organs_have_tables_of_their_own():
    rng = np.random.default_rng(8)
    organs = np.zeros((24, 24, 24), np.uint8)
    organs[10:15] = 3
    volume = CtVolume(
        cloud(rng, 1.5)[:, :, :24][:, :24], np.eye(4), organs[:22], {3: "Kidney_left"}
    )
    tissue = transfer((-900, 0), (-800, 0.02), kidney=curve((-900, 0), (-800, 3.0)))
    assert organ_tables(tissue, volume.organ_names).table_of_organ[3] == 1
    pose = looking(volume, (-30, 9, 14), (11, 11, 11))
    labels = LabelPass(volume, LENS, tissue, "cpu").labels(pose)
    twin = twin_labels(volume, tissue, np.linalg.inv(pose)[:3, 3], world_rays(pose, LENS), 0.1, 24)
    off = np.abs(labels.distance_mm - picture(twin.half_mm))
    assert (labels.organ == 3).mean() > 0.2
    assert np.nanpercentile(off, 98) < 0.15


# ---- flow ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", sorted(RULES))
def test_flow_is_that_of_the_visible_point(rule):
    volume = CtVolume(sphere(np.eye(4), 10.0), np.eye(4))
    here, there, back = (
        looking(volume, eye, (15.5, 15.5, 15.5))
        for eye in ((-20, 30, 25), (-19, 31, 24), (-21, 28, 25))
    )
    lens = FisheyeCamera.from_field_of_view(24, 24, diagonal_deg=70.0)
    labels = LabelPass(volume, lens, transfer((0, 0), (400, 2)), "cpu").labels(
        here, LabelRequest(rule, there, back)
    )
    depth = depth_from_distance(getattr(labels, RULES[rule]), lens.rays())
    for flow, pose in ((labels.next, there), (labels.previous, back)):
        want = flow_from_depth(depth, lens, relative_pose(pose, here))
        close(flow.flow_px, want.astype(np.float32), 2e-3)
        assert not flow.occluded[~labels.found].any()


def test_a_point_is_hidden_when_less_than_an_eighth_of_its_light_arrives():
    rng = np.random.default_rng(9)
    volume = CtVolume(cloud(rng, 2.0), turned_grid(rng, (1.0, 1.2, 0.8)))
    tissue = transfer((0, 0), (600, 0.4))
    here = looking(volume, (-25, 12, 12), (11, 12, 13))
    there = looking(volume, (-16, 30, 5), (11, 12, 13))
    labels = LabelPass(volume, LENS, tissue, "cpu").labels(
        here, LabelRequest(next_camera_from_world=there)
    )
    eye = np.linalg.inv(here)[:3, 3]
    points = eye + labels.distance_mm.reshape(-1, 1) * world_rays(here, LENS)
    seen = labels.found.ravel() & ~np.isnan(labels.next.flow_px.reshape(-1, 2)).any(1)
    light = transmittance(volume, tissue, np.linalg.inv(there)[:3, 3], points[seen])
    target = (
        labels.next.flow_px.reshape(-1, 2)[seen]
        + np.stack(np.meshgrid(*(2 * [np.arange(24) + 0.5])), -1).reshape(-1, 2)[seen]
    )
    inside = ((target >= 0) & (target <= 24)).all(1)
    clear = np.abs(np.log(light / LEAST_TRANSMITTANCE)) > 0.05
    hidden = labels.next.occluded.ravel()[seen]
    assert 0.05 < hidden[clear].mean() < 0.95
    assert (hidden == ((light < LEAST_TRANSMITTANCE) | ~inside))[clear].all()


def test_every_point_is_seen_by_the_eye_that_found_it():
    volume = CtVolume(cloud(np.random.default_rng(10), 1.5), np.eye(4))
    pose = looking(volume, (-25, 12, 12), (11, 12, 13))
    labels = LabelPass(volume, LENS, transfer((0, 0), (600, 0.4)), "cpu").labels(
        pose, LabelRequest(next_camera_from_world=pose, previous_camera_from_world=pose)
    )
    assert labels.found.any()
    for flow in (labels.next, labels.previous):
        assert not flow.occluded.any()
        assert np.abs(flow.flow_px[labels.found]).max() < 1e-3


# ---- determinism --------------------------------------------------------------------------------


def same(one, other):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("next", "previous"):
            same(a, b)
        else:
            np.testing.assert_array_equal(a, b)


def test_labels_are_the_same_to_the_bit_in_any_order_and_from_any_renderer():
    volume = CtVolume(cloud(np.random.default_rng(11), 1.0), np.eye(4))
    tissue, other = transfer((-200, 0), (300, 0.5)), transfer((0, 0), (300, 9.0))
    poses = [looking(volume, (-30 + k, 5, 10), (13, 11, 12)) for k in range(5)]
    asks = [LabelRequest("half", p, q) for p, q in zip(poses[1:], poses[:-1], strict=True)]
    looker = LabelPass(volume, LENS, tissue, "cpu")
    forward = [looker.labels(p, a) for p, a in zip(poses, asks, strict=False)]
    looker.set_transfer(other)
    between = looker.labels(poses[0], asks[0])
    looker.set_transfer(tissue)
    backward = [looker.labels(p, a) for p, a in zip(poses[3::-1], asks[::-1], strict=True)]
    again = LabelPass(volume, LENS, tissue, "cpu").labels(poses[2], asks[2])
    for one, two in zip(forward, backward[::-1], strict=True):
        same(one, two)
    same(forward[2], again)
    assert not np.array_equal(between.distance_mm, forward[0].distance_mm)


def test_a_new_pose_volume_or_transfer_function_compiles_nothing():
    with dr.scoped_set_flag(dr.JitFlag.KernelHistory, True):
        for k in range(2):
            volume = CtVolume(cloud(np.random.default_rng(k), 1.0)[:8, :9, : 10 + k], np.eye(4))
            looker = LabelPass(volume, LENS, transfer((-200 + k, 0), (300, 0.5 + k)), "cpu")
            pose = looking(volume, (-30 + k, 5, 10), (4, 4, 5))
            looker.labels(pose, LabelRequest("half", pose, pose))
            if k == 0:
                dr.kernel_history_clear()
        history = dr.kernel_history([dr.KernelType.JIT])
    assert history and all(entry["cache_hit"] for entry in history)


# ---- refusals -----------------------------------------------------------------------------------


def test_a_single_slice_is_refused():
    flat = CtVolume(np.zeros((20, 20, 1), np.int16), np.eye(4))
    with pytest.raises(SceneError, match=r"two voxels.*\(20, 20, 1\)"):
        LabelPass(flat, LENS, EVEN, "cpu")


def test_an_impossible_first_hit_is_refused():
    looker = LabelPass(block(np.eye(4)), LENS, EVEN, "cpu")
    with pytest.raises(SettingsError, match=r"above 0 and below 1, got 1\.0"):
        looker.labels(np.eye(4), LabelRequest(first_opacity=1.0))
