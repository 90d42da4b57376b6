# SPDX-License-Identifier: Apache-2.0
"""What a cinematic renderer promises beside its physics: seeds, merging, lenses, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from endoforge.errors import SceneError, SettingsError, ShapeError
from endoforge.geometry.cameras import FisheyeCamera, PinholeCamera
from endoforge.optics.illumination import Surroundings, WorldLight
from endoforge.optics.light import LightSource
from endoforge.render.engine import start
from endoforge.render.volume.renderer import VolumeRenderer, exposure, grid_pose, lanes_for
from endoforge.render.volume.view import VolumeView
from endoforge.scene.volume.records import CtVolume
from render import tissue


@pytest.fixture(scope="module")
def renderer() -> VolumeRenderer:
    return VolumeRenderer(tissue.lump(), tissue.camera(16), tissue.tissue("hybrid"), "cpu")


@pytest.fixture(scope="module")
def view(renderer) -> VolumeView:
    return tissue.view(renderer.volume, "lamps")


def test_the_same_seed_gives_the_same_picture_to_the_bit(renderer, view):
    once, again = (renderer.expose(view, 8) for _ in range(2))
    assert (once.radiance == again.radiance).all()
    assert (once.variance == again.variance).all()
    other = renderer.expose(replace(view, seed=view.seed + 1), 8)
    assert (once.radiance != other.radiance).any()


def test_exposures_of_other_samples_are_independent_and_average_to_the_same(renderer, view):
    parts = [renderer.expose(view, 256, first_sample=256 * k) for k in range(4)]
    means = np.stack([p.radiance for p in parts]).astype(np.float64)
    spread = np.sqrt(np.stack([p.variance for p in parts]))
    lit = spread.min(axis=0) > 0
    ratio = means.std(axis=0, ddof=1)[lit] / spread.mean(axis=0)[lit]
    assert 0.8 < np.sqrt((ratio**2).mean()) < 1.2


def test_no_kernel_is_compiled_for_another_frame_transfer_function_or_sample_count(renderer, view):
    import drjit as dr

    volume = renderer.volume
    renderer.expose(view, 4)
    dr.set_flag(dr.JitFlag.KernelHistory, True)
    dr.kernel_history_clear()
    try:
        pose = view.camera_from_world.copy()
        pose[0, 3] += 3
        lamps = (LightSource((1.0, 2.0, 3.0), intensity=55.0), tissue.LAMPS[1])
        renderer.expose(VolumeView(pose, lamps, seed=9), 7, max_bounces=5, first_sample=3)
        renderer.set_transfer(tissue.tissue("phase", g=-0.2))
        renderer.expose(view, 4)
        other = VolumeRenderer(volume, tissue.camera(16), tissue.tissue("surface"), "cpu")
        other.expose(view, 4)
        kernels = dr.kernel_history([dr.KernelType.JIT])
    finally:
        dr.set_flag(dr.JitFlag.KernelHistory, False)
        renderer.set_transfer(tissue.tissue("hybrid"))
    assert len(kernels) >= 3
    assert all(kernel["cache_hit"] for kernel in kernels)


def test_another_transfer_function_is_the_one_that_is_drawn(renderer, view):
    fresh = VolumeRenderer(renderer.volume, renderer.camera, tissue.tissue("phase"), "cpu")
    expected = fresh.expose(view, 4).radiance
    renderer.set_transfer(tissue.tissue("phase"))
    found = renderer.expose(view, 4).radiance
    renderer.set_transfer(tissue.tissue("hybrid"))
    assert (found == expected).all()


@pytest.mark.parametrize(
    "lens",
    [
        PinholeCamera.from_field_of_view(24, 20, horizontal_deg=40.0),
        FisheyeCamera.from_field_of_view(24, 20, 120.0, (0.02, -0.008, 0.001, 0.0)),
        FisheyeCamera(24, 20, 14.0, 14.0, 12.0, 10.0, content=(12.0, 10.0, 8.0)),
    ],
    ids=["pinhole", "fisheye", "content"],
)
def test_every_lens_shows_surroundings_where_it_sees_and_black_where_not(lens):
    volume = tissue.lump()
    renderer = VolumeRenderer(volume, lens, tissue.plain("phase", 1.0, 0.0, 0.3, 0.04), "cpu")
    light = WorldLight((), Surroundings(np.full((1, 1, 3), 2.0, np.float32)))
    pose = tissue.outside(volume)
    away = np.diag([1.0, -1.0, -1.0, 1.0]) @ pose  # turned round: only surroundings
    shot = renderer.expose(VolumeView(away, (), light), 2)
    seen = lens.valid()
    assert (shot.radiance[seen] == 2).all()
    assert (shot.radiance[~seen] == 0).all()
    unseen = replace(light, surroundings=replace(light.surroundings, seen=False))
    assert (renderer.expose(VolumeView(away, (), unseen), 2).radiance == 0).all()


def test_rays_through_a_pixel_are_those_of_the_lens():
    start("cpu")
    from endoforge.render.volume.eye import ray_field

    lens = FisheyeCamera.from_field_of_view(64, 48, 140.0, (0.02, -0.008, 0.001, 0.0))
    centre, right, down = ray_field(lens)
    rng = np.random.default_rng(1)
    shift = rng.uniform(-0.5, 0.5, (48, 64, 2))
    rays = centre + shift[..., :1] * right + shift[..., 1:] * down
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    u, v = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    exact = lens.unproject(np.stack([u, v], axis=-1) + shift)
    angle = np.linalg.norm(rays - exact, axis=-1)
    assert np.nanmax(angle) < 1e-3  # about a fiftieth of a pixel
    assert np.isfinite(rays[lens.valid()]).all()


def test_an_open_lens_blurs_what_is_out_of_focus_and_keeps_the_light():
    volume = tissue.lump()
    lens = tissue.camera(24)
    renderer = VolumeRenderer(volume, lens, tissue.tissue("surface"), "cpu")
    view = tissue.view(volume, "lamps")
    away = float(np.linalg.norm(volume.centre_mm - np.linalg.inv(view.camera_from_world)[:3, 3]))

    def edge(aperture: float, focus: float) -> float:
        blurred = replace(view, aperture_mm=aperture, focus_mm=focus)
        shot = renderer.expose(blurred, 256).radiance.mean(axis=-1)
        return float(np.abs(np.diff(shot, axis=1)).max() / shot.mean())

    sharp, focused, blurred = edge(0.0, 30.0), edge(3.0, away), edge(3.0, away / 3)
    assert blurred < 0.7 * focused
    assert focused > 0.6 * sharp


def test_the_guide_is_the_albedo_of_what_is_seen_first():
    volume = tissue.lump()
    transfer = tissue.plain("hybrid", 0.6, 0.0, 0.3, 0.04)
    dense = replace(transfer.curve, extinction_per_mm=transfer.curve.extinction_per_mm * 50)
    renderer = VolumeRenderer(volume, tissue.camera(), replace(transfer, curve=dense), "cpu")
    shot = renderer.expose(tissue.view(volume, "lamps"), 64)
    assert shot.albedo.max() == pytest.approx(0.6, abs=1e-5)
    assert shot.albedo[4, 4] == pytest.approx(0.6, abs=1e-5)


def test_a_single_sample_has_no_variance_and_several_have_the_usual_one():
    rng = np.random.default_rng(1)
    draws = rng.random((16, 2, 3, 3))
    sums = np.concatenate([draws.sum(0), (draws**2).sum(0), draws.sum(0)], axis=-1)
    shot = exposure(sums, 16, 0.5)
    assert np.allclose(shot.radiance, draws.mean(0))
    assert np.allclose(shot.variance, draws.var(0, ddof=1) / 16)
    assert exposure(sums, 1, 0.5).variance is None


def test_lanes_share_the_pixels():
    assert lanes_for(100, "llvm_ad_rgb") == 100
    assert lanes_for(1 << 16, "llvm_ad_rgb") == 1 << 13
    assert lanes_for(1 << 16, "cuda_ad_rgb") == 1 << 16


def test_labels_come_from_the_same_volume(renderer, view):
    labels = renderer.labels(view)
    assert labels.found[8, 8]
    assert not labels.found[0, 0]


def test_a_grid_keeps_distances_in_mm():
    volume = tissue.cavity()
    pose = grid_pose(volume)
    corner = volume.world_from_voxel @ np.array([11, 11, 11, 1.0])
    assert np.allclose(pose @ volume.world_from_voxel[:, 3], [0, 0, 0, 1])
    assert np.allclose(pose @ corner, [22, 22, 22, 1])


def test_what_cannot_be_rendered_is_refused(renderer, view):
    volume = renderer.volume
    sheared = volume.world_from_voxel.copy()
    sheared[1, 1] += 0.5
    with pytest.raises(SceneError, match="square to each other"):
        VolumeRenderer(CtVolume(volume.hu, sheared), renderer.camera, tissue.tissue("phase"), "cpu")
    with pytest.raises(SettingsError, match="samples must be 1"):
        renderer.expose(view, 0)
    with pytest.raises(SettingsError, match="max_bounces"):
        renderer.expose(view, 1, max_bounces=0)
    with pytest.raises(SettingsError, match="first_sample"):
        renderer.expose(view, 1, first_sample=-1)
    with pytest.raises(ShapeError, match="0 to 4 lights, got 5"):
        renderer.expose(replace(view, lights=(LightSource(),) * 5), 1)
