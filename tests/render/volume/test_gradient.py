# SPDX-License-Identifier: Apache-2.0
"""Extinction that counts only where HU are steep: pictures, labels and both twins agree on it."""

import math
from dataclasses import replace

import drjit as dr
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.poses import look_at
from endoforge.optics.illumination import Surroundings, WorldLight
from endoforge.optics.transfer import GradientRamp, OpticalCurve, TransferFunction, organ_tables
from endoforge.render.volume.blocks import CELL, block_ranges, highest_of_blocks
from endoforge.render.volume.label_pass import LabelPass, LabelRequest
from endoforge.render.volume.label_twin import extinction_at, twin_labels
from endoforge.render.volume.majorants import majorant_cells
from endoforge.render.volume.renderer import VolumeRenderer
from endoforge.render.volume.steepness import PER_HU_PER_MM, Steepness, steepness
from endoforge.render.volume.twin import expose_slowly
from endoforge.render.volume.view import VolumeView
from endoforge.scene.volume.records import CtVolume
from render import tissue
from render.media import camera, looking, transfer, turned_grid, world_rays
from render.z_scores import UNLIKELY, apart, z_of_total

LENS = camera()
RAMP = GradientRamp(10.0, 40.0, 0.1)


def slope(world_from_voxel, per_voxel=(20, 0, 0), shape=(30, 32, 34)) -> CtVolume:
    """HU that rise evenly: the gradient is the same everywhere but at the border's voxels."""
    hu = np.tensordot(np.array(per_voxel), np.indices(shape), 1)
    return CtVolume((hu - int(hu.mean())).astype(np.int16), world_from_voxel)


def even(sigma: float, ramp: GradientRamp | None) -> TransferFunction:
    """The same extinction at all HU that the volumes here hold."""
    return replace(transfer((-2000, 0), (-1500, sigma), (3000, sigma)), gradient=ramp)


def test_the_steepness_of_an_even_slope_is_its_length_in_the_world():
    grid = turned_grid(np.random.default_rng(2), (0.6, 0.8, 2.5), mirrored=True)
    found = steepness(slope(grid, (12, -8, 30)))[1:-1, 1:-1, 1:-1] / PER_HU_PER_MM
    want = math.hypot(12 / 0.6, 8 / 0.8, 30 / 2.5)
    np.testing.assert_allclose(found, want, atol=0.5 / PER_HU_PER_MM + 1e-3)


@pytest.mark.parametrize("steep", [5, 25, 60])
def test_labels_of_an_even_slope_obey_the_closed_form(steep):
    """Where the gradient is g everywhere, extinction is σ · factor(g): Beer and Lambert's law."""
    volume = slope(np.eye(4), (steep, 0, 0))
    inside = CtVolume(volume.hu, volume.world_from_voxel)
    pose = looking(inside, (15, 16, 4), (15.2, 16.1, 33))  # within; leaves by the last layer
    lens = PinholeCamera.from_field_of_view(24, 24, horizontal_deg=30.0)
    labels = LabelPass(volume, lens, even(0.9, RAMP), "cpu").labels(pose, LabelRequest())
    sigma = 0.9 * float(RAMP.factor(np.array(float(steep))))
    half = math.log(2) / sigma
    expected = half if half < 25 else np.nan
    np.testing.assert_allclose(labels.distance_mm, expected, atol=2e-3)
    if steep == 60:
        np.testing.assert_allclose(labels.expected_mm, 1 / sigma, atol=2e-2)


@pytest.mark.parametrize("steep", [5, 25, 60])
def test_black_tissue_on_an_even_slope_lets_light_through_by_the_closed_form(steep):
    volume = slope(np.diag([2.0, 2.0, 1.0, 1.0]), (2 * steep, 0, 0), (12, 12, 9))
    black = OpticalCurve(
        np.array([-2000.0, -1500.0, 3000.0]),
        np.array([0.0, 0.25, 0.25]),
        *(np.zeros(s) for s in ((3, 3), 3, 3)),
    )
    pose = look_at(np.array([11, 11, -40.0]), np.array([11, 11, 0.0]), np.array([0, 1.0, 0]))
    lens = PinholeCamera.from_field_of_view(16, 16, horizontal_deg=16.0)
    light = WorldLight((), Surroundings(np.ones((1, 1, 3), np.float32)))
    renderer = VolumeRenderer(
        volume, lens, TransferFunction("black", black, {}, 0.0, 1e12, "", RAMP), "cpu"
    )
    shot = renderer.expose(VolumeView(pose, (), light, seed=7), 2048)
    sigma = 0.25 * float(RAMP.factor(np.array(float(steep))))
    expected = np.exp(-sigma * 8 / lens.rays()[..., 2])[..., None]
    error = (shot.radiance - expected) / np.sqrt(np.maximum(shot.variance, 1e-12))
    assert abs(error.mean()) < UNLIKELY / 16
    assert 0.8 < error.std() < 1.2


@pytest.mark.parametrize("light", ["lamps", "map"])
def test_the_kernel_agrees_with_its_slow_twin(light):
    volume = tissue.lump()
    function = replace(tissue.tissue("hybrid"), gradient=GradientRamp(100.0, 500.0, 0.02))
    lens, view = tissue.camera(), tissue.view(volume, light)
    ours = VolumeRenderer(volume, lens, function, "cpu").expose(view, 1024)
    twin = expose_slowly(volume, lens, function, view, 400)
    error, spread = apart(ours, twin)
    assert (z_of_total(error, spread) < UNLIKELY).all()
    noisy = spread > 1e-4 * twin.radiance.mean()
    assert np.mean((error[noisy] / spread[noisy]) ** 2) < 2.0
    plain = expose_slowly(volume, lens, replace(function, gradient=None), view, 400)
    assert abs(plain.radiance.mean() / twin.radiance.mean() - 1) > 0.03  # it is not the same matter


def cloud(smooth: float) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(7).normal(size=(22, 24, 26)), smooth)
    return np.rint(500 * noise / noise.std()).clip(-1024, 3000).astype(np.int16)


@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_labels_of_random_tissue_agree_with_the_slow_twin(floor):
    grid = turned_grid(np.random.default_rng(1), (0.6, 0.8, 1.5), mirrored=True)
    volume = CtVolume(cloud(1.0), grid)
    function = replace(
        transfer((-200, 0), (-50, 0.8), (300, 0.8), (900, 2.0)),
        gradient=GradientRamp(100.0, 600.0, floor),
    )
    pose = looking(volume, (-30, 5, 10), (13, 11, 12))
    labels = LabelPass(volume, LENS, function, "cpu").labels(pose)
    eye = np.linalg.inv(pose)[:3, 3]
    twin = twin_labels(volume, function, eye, world_rays(pose, LENS), 0.1, 24)
    voxel = volume.spacing_mm.min()
    np.testing.assert_allclose(labels.opacity.ravel(), twin.opacity, atol=5e-3)
    for found, want in (
        (labels.distance_mm, twin.half_mm),
        (labels.first_mm, twin.first_mm),
        (labels.expected_mm, twin.expected_mm),
    ):
        off = np.abs(found.ravel() - want)
        assert (np.isnan(found.ravel()) != np.isnan(want)).mean() < 0.01
        assert np.nanpercentile(off, 99) < 0.1 * voxel
        assert np.nanmedian(off) < 0.03 * voxel


def test_no_place_within_a_block_stops_more_than_its_majorant():
    rng = np.random.default_rng(4)
    volume = CtVolume(cloud(1.2), np.diag([0.8, 1.0, 1.3, 1.0]))
    function = replace(
        transfer((-200, 0), (-50, 0.8), (900, 2.0)), gradient=GradientRamp(450.0, 460.0, 0.0)
    )
    tables, values = organ_tables(function, {}), steepness(volume)
    steep = Steepness(None, {CELL: highest_of_blocks(values, CELL)})
    cells = majorant_cells(
        volume, block_ranges(volume.hu, CELL), tables, steep.most_left(tables.ramp, CELL)
    )
    plain = majorant_cells(volume, block_ranges(volume.hu, CELL), tables)
    assert (cells <= plain).all() and (cells < 0).sum() > (plain < 0).sum()
    place = rng.uniform(0, np.array(volume.hu.shape) - 1.001, (20_000, 3))
    stops = extinction_at(volume, replace(tables, ramp=None), place * volume.spacing_mm)
    read = map_coordinates(values / PER_HU_PER_MM, place.T, np.float64, order=1)
    most = np.maximum(cells[tuple((place // CELL).astype(int).T)], 0)
    assert (stops * tables.ramp.factor(read) <= most).all()


def test_other_numbers_of_a_ramp_compile_nothing():
    volume, lens = tissue.lump(), tissue.camera(16)
    view = tissue.view(volume, "lamps")
    ramps = [GradientRamp(20.0, 100.0, 0.1), GradientRamp(0.0, 400.0, 0.0)]
    functions = [replace(tissue.tissue("hybrid"), gradient=ramp) for ramp in ramps]
    with dr.scoped_set_flag(dr.JitFlag.KernelHistory, True):
        renderer = VolumeRenderer(volume, lens, functions[0], "cpu")
        first = renderer.expose(view, 4), renderer.labels(view)
        dr.kernel_history_clear()
        renderer.set_transfer(functions[1])
        second = renderer.expose(view, 4), renderer.labels(view)
        history = dr.kernel_history([dr.KernelType.JIT])
    assert history and all(entry["cache_hit"] for entry in history)
    assert (first[0].radiance != second[0].radiance).any()
    assert (first[1].opacity != second[1].opacity).any()


def test_a_ramp_that_leaves_everything_changes_nothing_to_be_seen():
    volume, lens = tissue.lump(), tissue.camera(16)
    view = tissue.view(volume, "lamps")
    plain = tissue.tissue("hybrid")
    full = replace(plain, gradient=GradientRamp(20.0, 100.0, 1.0))
    one, other = (VolumeRenderer(volume, lens, f, "cpu").labels(view) for f in (plain, full))
    np.testing.assert_allclose(one.opacity, other.opacity, atol=2e-3)
    np.testing.assert_allclose(one.distance_mm, other.distance_mm, atol=0.18)  # a tenth of a voxel
