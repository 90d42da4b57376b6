# SPDX-License-Identifier: Apache-2.0
"""The whole chain: every stage can be switched off, and nothing leaks from frame to frame."""

from dataclasses import replace

import numpy as np
import pytest

from endoforge.errors import SettingsError
from endoforge.geometry.cameras import FisheyeCamera
from endoforge.optics.haze import Veils
from endoforge.optics.response import respond
from endoforge.optics.sensor import SensorResponse, develop, develop_clean, sample_sensor
from endoforge.optics.settings import SensorSettings
from endoforge.streams import stream

CAMERA = FisheyeCamera.from_field_of_view(80, 64, diagonal_deg=140.0)
FAULTY = SensorResponse(
    metering=0.5,
    blur_px=0.6,
    vignetting=1.5,
    fringe_px=1.0,
    corner_blur_px=1.0,
    edge_px=3.0,
    veils=Veils(glare=0.05, dirt=0.5, fog=0.2, smoke=0.3, seed=3),
    shot_noise=0.02,
    read_noise=0.005,
    sharpening=0.6,
    jpeg_quality=70,
    h264_quantiser=30,
)


def flat(value: float) -> np.ndarray:
    return np.full((16, 20, 3), value, np.float32)


def scene() -> np.ndarray:
    return np.random.default_rng(1).random((64, 80, 3), np.float32)


def test_the_picture_is_the_rounded_response():
    sensor = SensorResponse(gain=1.3)
    radiance = np.random.default_rng(0).random((40, 50, 3), np.float32) * 3
    expected = respond(radiance.astype(np.float64) * 1.3, sensor.gamma, sensor.shoulder) * 255
    assert np.abs(develop(radiance, sensor) - expected).max() <= 1.01


def test_developing_leaves_the_radiance_alone():
    radiance = scene()
    develop(radiance, FAULTY, np.random.default_rng(0), CAMERA)
    assert (radiance == scene()).all()


def test_a_picture_is_not_changed_by_the_next_one():
    first = develop(scene(), FAULTY, np.random.default_rng(0), CAMERA)
    kept = first.copy()
    develop(1 - scene(), FAULTY, np.random.default_rng(1), CAMERA)
    assert (first == kept).all()


def test_the_same_random_numbers_make_the_same_picture():
    one, two, other = (
        develop(scene(), FAULTY, np.random.default_rng(seed), CAMERA) for seed in (4, 4, 5)
    )
    assert (one == two).all()
    assert (one != other).any()


def test_without_faults_the_picture_is_the_clean_one():
    sensor = SensorResponse(metering=0.6, saturation=1.3)
    assert (develop(scene(), sensor) == develop_clean(scene(), sensor)).all()


def test_the_clean_picture_has_the_exposure_and_curve_of_the_faulty_one_and_no_fault():
    plain = SensorResponse(metering=FAULTY.metering)
    assert (develop_clean(scene(), FAULTY) == develop(scene(), plain)).all()


@pytest.mark.parametrize(
    "changed",
    [
        {"blur_px": 0.8},
        {"vignetting": 2.0},
        {"fringe_px": 1.0},
        {"corner_blur_px": 1.5},
        {"edge_px": 4.0},
        {"veils": Veils(dirt=0.8)},
        {"veils": Veils(smoke=0.5)},
        {"shot_noise": 0.05},
        {"read_noise": 0.05},
        {"saturation": 1.4},
        {"sharpening": 1.0},
        {"jpeg_quality": 30},
        {"h264_quantiser": 40},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_each_stage_alone_changes_the_picture(changed):
    plain = SensorResponse()
    cut = replace(CAMERA, corner_cut_px=16.0)
    faulty = develop(scene(), replace(plain, **changed), np.random.default_rng(0), cut)
    assert (faulty != develop(scene(), plain, None, cut)).any()


def test_noise_without_random_numbers_is_refused():
    with pytest.raises(SettingsError, match=r"0\.02.*hand develop an rng"):
        develop(scene(), SensorResponse(shot_noise=0.02))


def test_a_vignette_without_a_camera_is_refused():
    with pytest.raises(SettingsError, match=r"1\.5.*hand develop the camera"):
        develop(scene(), SensorResponse(vignetting=1.5))


def test_blur_spreads_a_point_and_keeps_its_light():
    radiance = flat(0.0)
    radiance[8, 10] = 0.5
    sharp, soft = (develop(radiance, SensorResponse(gamma=1.0, blur_px=b)) for b in (0.0, 0.7))
    assert soft[8, 10, 0] < sharp[8, 10, 0]
    assert soft[..., 0].astype(int).sum() == pytest.approx(int(sharp[..., 0].sum()), abs=4)


def test_black_stays_black():
    assert develop(flat(0.0), SensorResponse(metering=1.0)).max() == 0


def test_drawn_sensors_stay_within_the_settings():
    settings = SensorSettings(jpeg_quality=(60, 90), vignetting=(0.5, 2), dirt=(0.1, 0.2))
    sensor = sample_sensor(settings, stream(0, "sensor", 5))
    for name in type(settings).model_fields:
        low, high = getattr(settings, name)
        holder = next(h for h in (sensor, sensor.veils) if hasattr(h, name))
        assert low <= getattr(holder, name) <= high
