# SPDX-License-Identifier: Apache-2.0
"""The packed numbers of a frame can be found again by name, and poses mean what they should."""

import numpy as np
import pytest

from endoforge.geometry.cameras import FisheyeCamera, PinholeCamera
from endoforge.optics.light import LightSource
from endoforge.render import parameters
from render import worlds


def test_every_name_is_found_where_it_was_packed():
    values = {
        **parameters.lens_numbers("next", worlds.lenses(64, 48)["brown-conrady"]),
        **parameters.eye_numbers(worlds.turned(np.ones(3), 0.2), np.zeros(3)),
    }
    places = parameters.places_of(values)
    row = parameters.pack(values)
    assert row.dtype == np.float32
    for name, (start, count) in places.items():
        np.testing.assert_allclose(row[start : start + count], values[name], rtol=1e-6)
    assert sum(count for _, count in places.values()) == len(row)


def test_poses_are_relative_to_the_centre_of_the_scene():
    here = worlds.turned(np.array([100.0, 50.0, 7.0]), 0.4, 0.2)
    there = worlds.turned(np.array([101.0, 50.0, 9.0]), 0.3)
    centre = np.array([90.0, 40.0, 0.0])
    numbers = parameters.eye_numbers(here, centre)
    numbers |= parameters.destination_numbers("next", there, here, centre)
    np.testing.assert_allclose(numbers["origin"], [10, 10, 7], atol=1e-9)
    np.testing.assert_allclose(numbers["next_origin"], [11, 10, 9], atol=1e-9)
    point = np.array([1.0, 2.0, 30.0])
    moved = np.reshape(numbers["next_turn"], (3, 3)) @ point + numbers["next_shift"]
    expected = there @ np.linalg.inv(here) @ [*point, 1]
    np.testing.assert_allclose(moved, expected[:3], atol=1e-9)
    np.testing.assert_allclose(np.reshape(numbers["next_from_world"], (3, 3)), there[:3, :3])


def test_lights_ride_with_the_camera():
    pose = worlds.turned(np.array([0.0, 0.0, 10.0]), np.pi / 2)
    light = LightSource(position_mm=(0.0, 0.0, 2.0), intensity=6.0, colour=(1.0, 0.5, 0.0))
    numbers = parameters.light_numbers([light], pose, np.zeros(3))
    np.testing.assert_allclose(numbers["light0_position"], [2, 0, 10], atol=1e-9)
    np.testing.assert_allclose(numbers["light0_axis"], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(numbers["light0_power"], [6, 3, 0])


def test_the_centre_is_the_middle_of_the_box():
    np.testing.assert_allclose(parameters.centre_of(worlds.cylinder(10, 40).surface), [0, 0, 20])


@pytest.mark.parametrize(
    "camera", [PinholeCamera(64, 48, 80.0, 90.0, 32, 24), FisheyeCamera(64, 48, 80.0, 90.0, 32, 24)]
)
def test_a_pixel_in_the_middle_is_as_wide_as_the_focal_length_says(camera):
    expected = 1 / np.sqrt(80.0 * 90.0)
    assert parameters.pixel_rad(camera) == pytest.approx(expected, rel=1e-3)
