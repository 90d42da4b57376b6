# SPDX-License-Identifier: Apache-2.0
"""Light in tissue is neither made nor lost, and falls as theory, a slow twin and Mitsuba say."""

import numpy as np
import pytest

from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.poses import look_at
from endoforge.optics.illumination import Surroundings, WorldLight
from endoforge.optics.transfer import OpticalCurve, TransferFunction
from endoforge.render.volume.renderer import VolumeRenderer
from endoforge.render.volume.twin import expose_slowly
from endoforge.render.volume.view import Exposure, VolumeView
from endoforge.scene.volume.records import CtVolume
from render import tissue
from render.z_scores import UNLIKELY, apart, z_of_total

WHITE = WorldLight((), Surroundings(np.ones((1, 1, 3), np.float32)))
WHITE_MAP = WorldLight((), Surroundings(np.ones((4, 8, 3), np.float32)))


def z_of_mean(exposure: Exposure, expected: float) -> float:
    """How many standard deviations the mean of all pixels is off."""
    assert exposure.variance is not None
    error = exposure.radiance.astype(np.float64).mean() - expected
    # a path's three colours go together: their errors add up
    sd = np.sqrt(exposure.variance.astype(np.float64)).mean(axis=-1)
    return float(abs(error) / (np.sqrt((sd**2).sum()) / sd.size))


@pytest.mark.parametrize("light", [WHITE, WHITE_MAP], ids=["even", "map"])
@pytest.mark.parametrize(
    ("kind", "g", "roughness", "f0"),
    [
        ("phase", 0.0, 0.3, 0.04),
        ("phase", 0.8, 0.3, 0.04),
        ("phase", -0.5, 0.3, 0.04),
        ("surface", 0.0, 0.05, 0.04),
        ("surface", 0.0, 1.0, 0.3),
        ("surface", 0.0, 0.4, 1.0),
        ("hybrid", 0.5, 0.3, 0.04),
    ],
)
def test_white_tissue_in_white_surroundings_cannot_be_seen(kind, g, roughness, f0, light):
    volume = tissue.lump()
    transfer = tissue.plain(kind, 1.0, g, roughness, f0)
    renderer = VolumeRenderer(volume, tissue.camera(), transfer, "cpu")
    view = VolumeView(tissue.outside(volume), (), light, seed=5)
    exposure = renderer.expose(view, 2048, max_bounces=2000)
    assert z_of_mean(exposure, 1.0) < UNLIKELY
    assert abs(exposure.radiance.mean() - 1) < 4e-3


@pytest.mark.parametrize("kind", ["phase", "surface", "hybrid"])
def test_no_tissue_outshines_its_surroundings(kind):
    volume = tissue.lump()
    renderer = VolumeRenderer(
        volume, tissue.camera(), tissue.plain(kind, 0.9, 0.3, 0.3, 0.1), "cpu"
    )
    view = VolumeView(tissue.outside(volume), (), WHITE, seed=6)
    exposure = renderer.expose(view, 1024, max_bounces=500)
    middle = exposure.radiance[2:6, 2:6]
    assert (exposure.radiance <= 1 + UNLIKELY * np.sqrt(exposure.variance) + 1e-5).all()
    assert 0.3 < middle.mean() < 0.95


def test_black_tissue_lets_light_through_by_beer_and_lambert():
    hu = np.full((9, 9, 5), 50, np.int16)
    pose = np.diag([4.0, 4.0, 2.0, 1.0])  # 32 x 32 x 8 mm
    volume = CtVolume(hu, pose)
    black = OpticalCurve(
        np.array([-900.0, 0.0, 100.0]),
        np.array([0.0, 0.1, 0.3]),
        *(np.zeros(s) for s in ((3, 3), 3, 3)),
    )
    lens = PinholeCamera.from_field_of_view(16, 16, horizontal_deg=24.0)
    eye = look_at(np.array([16.0, 16.0, -40.0]), np.array([16.0, 16.0, 0.0]), np.array([0, 1.0, 0]))
    renderer = VolumeRenderer(volume, lens, TransferFunction("black", black), "cpu")
    exposure = renderer.expose(VolumeView(eye, (), WHITE, seed=7), 4096)
    expected = np.exp(-0.2 * 8 / lens.rays()[..., 2])[..., None]
    error = (exposure.radiance - expected) / np.sqrt(exposure.variance)
    assert abs(error.mean()) < UNLIKELY / 16
    assert 0.8 < error.std() < 1.2  # the stated variance is the true one


@pytest.mark.parametrize("light", ["lamps", "disk", "map", "lumen"])
@pytest.mark.parametrize("kind", ["phase", "surface", "hybrid"])
def test_the_kernel_agrees_with_its_slow_twin(kind, light):
    volume = tissue.cavity() if light == "lumen" else tissue.lump()
    lens, transfer, view = tissue.camera(), tissue.tissue(kind), tissue.view(volume, light)
    ours = VolumeRenderer(volume, lens, transfer, "cpu").expose(view, 1024)
    twin = expose_slowly(volume, lens, transfer, view, 400)
    error, spread = apart(ours, twin)
    assert (z_of_total(error, spread) < UNLIKELY).all()
    noisy = spread > 1e-4 * twin.radiance.mean()
    z = error[noisy] / spread[noisy]
    assert np.mean(z**2) < 2.0
    assert np.abs(ours.albedo - twin.albedo).max() < 0.2  # 400 draws of hit or miss


@pytest.mark.parametrize("light", ["lamps", "disk", "map"])
def test_light_of_a_single_collision_is_all_there_is_with_one_bounce(light):
    volume = tissue.lump()
    lens, transfer, view = tissue.camera(), tissue.tissue("hybrid"), tissue.view(volume, light)
    ours = VolumeRenderer(volume, lens, transfer, "cpu").expose(view, 1024, max_bounces=1)
    twin = expose_slowly(volume, lens, transfer, view, 400, max_bounces=1)
    error, spread = apart(ours, twin)
    assert (z_of_total(error, spread) < UNLIKELY).all()


def test_mitsuba_sees_the_same_cloud():
    import drjit as dr
    import mitsuba as mi

    # extinction is a straight line over HU: Mitsuba interpolates the one, we the other
    away = np.linalg.norm(np.indices((9, 8, 7)).T - np.array([4, 3.5, 3]), axis=-1).T
    noise = np.random.default_rng(1).uniform(-200, 200, away.shape)
    hu = np.clip(700 - 450 * away + noise, -1000, 1000).astype(np.int16)
    volume = CtVolume(hu, np.diag([2.0, 2.5, 3.0, 1.0]))
    line = OpticalCurve(
        np.array([-1000.0, 1000.0]),
        np.array([0.0, 0.4]),
        np.full((2, 3), 0.8),
        *np.full((2, 2), 0.3),
    )
    transfer = TransferFunction("line", line, anisotropy=0.5, surface_hu_per_mm=1e12)
    middle = volume.centre_mm
    pose = look_at(middle + np.array([25.0, -30, 10]), middle, np.array([0.0, 0, 1]))
    lens = PinholeCamera.from_field_of_view(16, 16, horizontal_deg=30.0)
    ours = VolumeRenderer(volume, lens, transfer, "cpu").expose(
        VolumeView(pose, (), tissue_sky(), seed=3), 512, max_bounces=63
    )
    scene, tracer = mitsuba_cloud(mi, volume, transfer)
    samples = 256
    rng = np.random.default_rng(2)
    pixels = np.repeat(np.indices((16, 16))[::-1].reshape(2, -1).T, samples, axis=0)
    rays = lens.unproject(pixels + rng.random(pixels.shape)) @ pose[:3, :3]
    eye = -pose[:3, :3].T @ pose[:3, 3]
    toward = mi.Vector3f(*(mi.Float(c) for c in rays.T.astype(np.float32).copy()))
    sampler = mi.load_dict({"type": "independent"})
    sampler.seed(1, len(rays))
    light, _, _ = tracer.sample(
        scene, sampler, mi.RayDifferential3f(mi.Point3f(*map(float, eye)), toward)
    )
    theirs = np.array(light).reshape(3, -1, samples)
    error = ours.radiance.reshape(-1, 3).T - theirs.mean(axis=-1)
    variance = theirs.var(axis=-1, ddof=1) / samples + ours.variance.reshape(-1, 3).T
    assert (np.abs(error.sum(axis=1)) < UNLIKELY * np.sqrt(variance.sum(axis=1))).all()
    assert abs(error.sum() / theirs.mean(axis=-1).sum()) < 0.01
    dr.sync_thread()


def tissue_sky() -> WorldLight:
    return WorldLight((), tissue.EVEN)


def mitsuba_cloud(mi, volume: CtVolume, transfer: TransferFunction):
    """The same phase-only cloud in Mitsuba's own terms."""
    curve = transfer.curve
    density = np.interp(volume.hu, curve.hu, curve.extinction_per_mm).astype(np.float32)
    spacing, shape = volume.spacing_mm, np.array(volume.hu.shape)
    grid = mi.ScalarTransform4f().translate(list(-0.5 * spacing)).scale(list(shape * spacing))
    half = (shape - 1) * spacing / 2
    box = mi.ScalarTransform4f().translate(list(half)).scale(list(half))
    data = mi.VolumeGrid(np.ascontiguousarray(density.transpose(2, 1, 0))[..., None])
    medium = {
        "type": "heterogeneous",
        "sigma_t": {"type": "gridvolume", "grid": data, "to_world": grid},
        "albedo": float(curve.albedo[0, 0]),
        "phase": {"type": "hg", "g": transfer.anisotropy},
    }
    sky = {"type": "rgb", "value": [float(c) for c in tissue.EVEN.radiance[0, 0]]}
    cube = {"type": "cube", "to_world": box, "bsdf": {"type": "null"}, "interior": medium}
    scene = mi.load_dict(
        {"type": "scene", "cloud": cube, "sky": {"type": "constant", "radiance": sky}}
    )
    return scene, mi.load_dict({"type": "volpathmis", "max_depth": 64, "rr_depth": 1000})
