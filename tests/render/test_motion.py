# SPDX-License-Identifier: Apache-2.0
"""Moving scenes: flow leads to the same piece of tissue, occlusion is that of the other moment."""

import dataclasses
import gc
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from endoforge.frames.frame import Frame
from endoforge.optics.tissue import Tissue
from endoforge.render.surface import SurfaceRenderer, View
from endoforge.render.view import OPTIONAL_LABELS, RightEye
from endoforge.scene.records import Scene
from render import worlds

LABELS = OPTIONAL_LABELS - {"right", "clean"}
CAMERA = worlds.lenses(64, 48)["kannala-brandt"]
TISSUES = (worlds.CHALK, dataclasses.replace(worlds.CHALK, albedo=(0.7, 0.3, 0.2)))


def pose(k: int) -> np.ndarray:
    return worlds.turned(np.array([1.0 + 0.2 * k, 1.5, 6.0 + 0.7 * k]), 0.05 + 0.01 * k)


def look(k: int) -> View:
    before = {"previous_camera_from_world": pose(k - 1)}
    return dataclasses.replace(worlds.view(pose(k), pose(k + 1)), index=k, **before)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return worlds.living_tube(TISSUES)


@pytest.fixture(scope="module")
def film(scene: Scene) -> list[Frame]:
    renderer = SurfaceRenderer(scene, CAMERA, "cpu", LABELS)
    return [renderer.render(look(k)) for k in range(4)]


def landed(frame: Frame, flow: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, ...]:
    """Pixels whose point is seen in the other frame, and the nearest pixels there."""
    row, column = np.nonzero(frame.valid & ~hidden)
    place = np.stack([column + 0.5, row + 0.5], -1) + flow[row, column]
    there = np.floor(place).astype(int)
    inside = np.all((there >= 0) & (there < [64, 48]), axis=1)
    return row[inside], column[inside], there[inside, 1], there[inside, 0]


@pytest.mark.parametrize("k", [0, 1, 2])
def test_flow_leads_to_the_same_piece_of_tissue_forwards_and_backwards(film, k):
    for frame, other, flow, hidden in (
        (film[k], film[k + 1], film[k].flow_px, film[k].occluded),
        (film[k + 1], film[k], film[k + 1].back_flow_px, film[k + 1].back_occluded),
    ):
        row, column, row_there, column_there = landed(frame, flow, hidden)
        assert frame.moving[row, column].sum() > 300
        gap = np.linalg.norm(
            frame.texture_mm[row, column] - other.texture_mm[row_there, column_there], axis=-1
        )
        # a pixel there is up to this wide on the wall
        depth = other.depth_mm[row_there, column_there]
        assert np.nanquantile(gap / depth, 0.95) < 0.08
        same = frame.material[row, column] == other.material[row_there, column_there]
        assert same.mean() > 0.8  # the materials alternate in stripes


def test_the_tissue_under_a_pixel_is_where_its_rest_place_says(scene, film):
    """Independent of the kernel: rest place → barycentric place → moved place → pixel."""
    frame = film[1]
    row, column = np.nonzero(frame.valid & frame.moving)
    chosen = np.random.default_rng(0).choice(len(row), 60, replace=False)
    rest = scene.surface.texture_mm[scene.surface.faces].astype(np.float64)
    for r, c in zip(row[chosen], column[chosen], strict=True):
        point = frame.texture_mm[r, c]
        weights = np.linalg.lstsq(
            np.concatenate([rest.transpose(0, 2, 1), np.ones((len(rest), 1, 3))], axis=1)[
                (face := nearest_face(rest, point))
            ],
            np.append(point, 1.0),
            rcond=None,
        )[0]
        there = scene.motion.vertices_at(2)[scene.surface.faces[face]].astype(np.float64)
        place = pose(2) @ np.append(weights @ there, 1.0)
        expected = CAMERA.project(place[None, :3])[0] - (c + 0.5, r + 0.5)
        np.testing.assert_allclose(frame.flow_px[r, c], expected, atol=5e-3)


def nearest_face(corners: np.ndarray, point: np.ndarray) -> int:
    """The triangle that a point lies on."""
    base, edges = corners[:, 0], corners[:, 1:] - corners[:, :1]
    local = np.einsum("fek,fk->fe", np.linalg.pinv(edges).transpose(0, 2, 1), point - base)
    off = np.linalg.norm(base + np.einsum("fe,fek->fk", local, edges) - point, axis=1)
    outside = np.maximum(-local.min(axis=1), local.sum(axis=1) - 1)
    return int(np.argmin(off + 10 * np.maximum(outside, 0)))


def test_the_pattern_sticks_to_tissue_that_moves(scene):
    """It is laid in the rest frame: a piece keeps its colour, whatever the wall does meanwhile."""
    coarse = Tissue(tile_mm=200.0, mottling=0.5, coarse_vessels=0.0, fine_vessels=0.0, relief=0.0)
    surface = dataclasses.replace(scene.surface, stain=None, tint=np.ones_like(scene.surface.tint))
    scene = dataclasses.replace(scene, surface=surface, tissues=(coarse, coarse))
    renderer = SurfaceRenderer(scene, CAMERA, "cpu", LABELS)
    frame, other = renderer.render(look(0)), renderer.render(look(3))
    here = frame.texture_mm[frame.valid]
    there = cKDTree(other.texture_mm[other.valid])
    gap, match = there.query(here)
    near = gap < 0.15
    assert near.sum() > 100
    colour, other_colour = frame.albedo[frame.valid][near], other.albedo[other.valid][match[near]]
    assert colour.std() > 0.03
    assert np.quantile(np.abs(colour - other_colour).max(axis=-1), 0.95) < 0.02


class Gate:
    """A blade that stands aside at frame 0 and hides the left of the wall at frame 1."""

    def __init__(self, rest: np.ndarray) -> None:
        self.rest = rest

    @property
    def moving(self) -> np.ndarray:
        return np.arange(len(self.rest)) >= 4

    def vertices_at(self, frame: int) -> np.ndarray:
        moved = self.rest.copy()
        moved[4:, 0] += 300.0 if frame < 1 else 0.0
        return moved


def gate() -> Scene:
    wall = worlds.plane(60.0)
    blade = np.array([[-90.0, -90, 30], [-90, 90, 30], [0, 90, 30], [0, -90, 30]])
    scene = worlds.scene_of(
        np.concatenate([wall.surface.vertices_mm, blade]),
        np.concatenate([wall.surface.faces, [[4, 6, 5], [4, 7, 6]]]),
        np.concatenate([wall.surface.normals, np.tile([0.0, 0, -1], (4, 1))]),
    )
    return dataclasses.replace(scene, motion=Gate(scene.surface.vertices_mm))


def test_what_will_come_between_hides_the_next_frame_and_what_was_there_the_previous_one():
    camera = worlds.lenses(64, 48)["pinhole"]
    renderer = SurfaceRenderer(gate(), camera, "cpu", LABELS)
    rest = {"previous_camera_from_world": np.eye(4)}
    before, during = (
        renderer.render(dataclasses.replace(worlds.view(), index=k, **rest)) for k in (0, 1)
    )
    left = np.broadcast_to(np.arange(64) < 32, (48, 64))
    np.testing.assert_allclose(before.depth_mm, 60, rtol=1e-5)
    np.testing.assert_array_equal(before.occluded, left)
    assert not before.back_occluded.any()
    assert np.abs(before.flow_px).max() < 1e-3  # the wall itself stays
    np.testing.assert_allclose(during.depth_mm, np.where(left, 30, 60), rtol=1e-5)
    np.testing.assert_array_equal(during.moving, left)
    np.testing.assert_array_equal(during.back_occluded, left)  # the blade was out of the field
    shift = 300 / 30 * camera.fx
    np.testing.assert_allclose(during.back_flow_px[..., 0][left], shift, rtol=1e-4)


def fingerprint(frame: Frame) -> list[bytes]:
    values = [getattr(frame, field.name) for field in dataclasses.fields(frame)]
    return [value.tobytes() for value in values if isinstance(value, np.ndarray)]


def test_a_frame_of_a_moving_scene_does_not_depend_on_the_frames_before_it(scene, film):
    alone = SurfaceRenderer(scene, CAMERA, "cpu", LABELS).render(look(3))
    assert fingerprint(alone) == fingerprint(film[3])
    backwards = SurfaceRenderer(scene, CAMERA, "cpu", LABELS)
    frames = [backwards.render(look(k)) for k in (9, 3, 0)]
    assert fingerprint(frames[1]) == fingerprint(film[3])
    assert fingerprint(frames[2]) == fingerprint(film[0])


def test_a_step_forward_builds_one_ray_tracer_only(scene, monkeypatch):
    renderer = SurfaceRenderer(scene, CAMERA, "cpu", LABELS)
    renderer.render(look(5))
    asked: list[int] = []
    whole = scene.motion.vertices_at
    monkeypatch.setattr(
        type(scene.motion), "vertices_at", lambda _, frame: (asked.append(frame), whole(frame))[1]
    )
    for k in range(6, 10):
        renderer.render(look(k))
    assert asked == [7, 8, 9, 10]


def test_memory_stays_flat_over_moving_frames(scene):
    renderer = SurfaceRenderer(scene, CAMERA, "cpu", LABELS)

    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    for k in range(40):
        renderer.render(look(k % 9))
    before = resident()
    for k in range(120):
        renderer.render(look(k % 9))
    assert resident() < 1.03 * before


def test_the_second_eye_of_a_rectified_rig_sees_the_disparity_that_depth_says(scene):
    camera = worlds.lenses(64, 48)["pinhole"]
    shift = np.eye(4)
    shift[0, 3] = -4.0  # the right eye sits 4 mm to the right
    view = dataclasses.replace(look(1), right=RightEye(camera, shift @ pose(1)))
    frame = SurfaceRenderer(scene, camera, "cpu", OPTIONAL_LABELS).render(view)
    right = frame.right
    disparity = -right.from_left_px[..., 0]
    np.testing.assert_allclose(disparity, camera.fx * 4.0 / frame.depth_mm, rtol=1e-4, atol=1e-3)
    assert np.nanmax(np.abs(right.from_left_px[..., 1])) < 2e-3
    row, column, row_there, column_there = landed(frame, right.from_left_px, right.occluded)
    here, there = frame.depth_mm[row, column], right.depth_mm[row_there, column_there]
    assert np.nanmedian(np.abs(here - there) / here) < 0.02
    assert 0.02 < right.occluded.mean() < 0.6
