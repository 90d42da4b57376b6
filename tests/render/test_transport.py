# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from endoforge.errors import SettingsError
from endoforge.render.settings import TransportSettings
from endoforge.render.transport import (
    Transport,
    blur_numbers,
    path_numbers,
    sample_transport,
    subsample_numbers,
)
from endoforge.settings import validate
from endoforge.streams import stream
from render import worlds

CAMERA = worlds.lenses(32, 24)


def test_settings_are_drawn_into_a_record():
    settings = validate(
        TransportSettings,
        {"bounces": 3, "aperture_mm": [0.1, 0.2], "shutter": {"choice": [0.25, 0.5]}},
    )
    one, other = (sample_transport(settings, stream(1, "transport", k)) for k in (0, 1))
    assert one.bounces == other.bounces == 3
    assert 0.1 <= one.aperture_mm <= 0.2 and one.aperture_mm != other.aperture_mm
    assert one.shutter in (0.25, 0.5)
    assert one.blurs


def test_nothing_is_switched_on_unless_asked_for():
    still = sample_transport(TransportSettings(), stream(1, "transport"))
    assert still == Transport()
    assert still.bounces == 0 and not still.blurs


@pytest.mark.parametrize(
    "values",
    [
        {"bounces": -1},
        {"samples": 0},
        {"denoise": "magic"},
        {"aperture_mm": [-0.1, 0.1]},
        {"shutter": 1.5},
        {"focus_mm": 0.0},
        {"aperture_mm": [0.3, 0.2]},
    ],
)
def test_impossible_settings_are_refused_by_name(values):
    with pytest.raises(SettingsError, match=next(iter(values))):
        validate(TransportSettings, values)


def test_every_frame_and_every_run_of_it_has_paths_of_its_own():
    transport = Transport(bounces=2)
    seeds = {
        tuple(path_numbers(transport, worlds.walk(k), eye)["path_seed"])
        for k in range(5)
        for eye in range(2)
    }
    assert len(seeds) == 10
    again = path_numbers(transport, worlds.walk(0), 0)["path_seed"]
    assert tuple(again) in seeds
    assert path_numbers(Transport(), worlds.walk(0), 0) == {}


@pytest.mark.parametrize(("samples", "places"), [(4, 16), (16, 16), (5, 3), (1, 7), (40, 16)])
def test_paths_are_shared_out_without_loss(samples, places):
    transport = Transport(bounces=2, samples=samples, subsamples=places)
    shares = [
        subsample_numbers(transport, worlds.view(), 0, k)["samples"][0] for k in range(places)
    ]
    assert sum(shares) == samples
    assert max(shares) - min(shares) <= 1


def test_a_lens_without_sharp_labels_saves_the_sharp_bounces():
    blurring = Transport(bounces=4, aperture_mm=0.2)
    assert blurring.for_sharp_labels(frozenset({"albedo"})).bounces == 0
    assert blurring.for_sharp_labels(frozenset({"shading"})).bounces == 4
    assert Transport(bounces=4).for_sharp_labels(frozenset()).bounces == 4


def test_the_way_of_the_camera_leads_from_pose_to_pose():
    here = worlds.turned(np.array([1.0, 2.0, 3.0]), 0.2, 0.1)
    ahead = worlds.turned(np.array([2.0, 1.0, 5.0]), 0.3, -0.2)
    centre = np.array([0.5, 0.5, 0.5])
    numbers = blur_numbers(
        Transport(aperture_mm=0.3), CAMERA["pinhole"], worlds.view(here, ahead), centre
    )
    turned = Rotation.from_rotvec(numbers["later_turn"]).as_matrix() @ here[:3, :3].T
    np.testing.assert_allclose(turned, ahead[:3, :3].T, atol=1e-12)
    np.testing.assert_allclose(numbers["pivot"], [0.5, 1.5, 2.5], atol=1e-12)
    np.testing.assert_allclose(numbers["later_shift"], [1.0, -1.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(numbers["sooner_turn"], -np.asarray(numbers["later_turn"]))
    assert numbers["aperture"] == [0.15, 20.0, 1.0]
    wide = blur_numbers(Transport(), CAMERA["equidistant"], worlds.view(here, ahead), centre)
    assert wide["aperture"][2] == 0.0
