# SPDX-License-Identifier: Apache-2.0
"""The packed numbers of a frame can be found again by name, and poses mean what they should."""

import numpy as np

from endoforge.optics.light import LightSource
from endoforge.optics.tissue import Tissue
from endoforge.render import parameters
from render import worlds


def test_every_name_is_found_where_it_was_packed():
    values = {
        **parameters.lens_numbers(worlds.lenses(64, 48)["brown-conrady"]),
        **parameters.tissue_numbers(Tissue()),
    }
    layout = parameters.layout_of(values, 3, False)
    row = parameters.pack(values)
    assert row.dtype == np.float32
    for name, (start, count) in layout.places.items():
        np.testing.assert_allclose(row[start : start + count], values[name], rtol=1e-6)
    assert sum(count for _, count in layout.places.values()) == len(row)


def test_poses_are_relative_to_the_centre_of_the_scene():
    here = worlds.turned(np.array([100.0, 50.0, 7.0]), 0.4, 0.2)
    there = worlds.turned(np.array([101.0, 50.0, 9.0]), 0.3)
    centre = np.array([90.0, 40.0, 0.0])
    numbers = parameters.pose_numbers(here, there, centre)
    np.testing.assert_allclose(numbers["origin"], [10, 10, 7], atol=1e-9)
    np.testing.assert_allclose(numbers["next_origin"], [11, 10, 9], atol=1e-9)
    point = np.array([1.0, 2.0, 30.0])
    moved = np.reshape(numbers["next_turn"], (3, 3)) @ point + numbers["next_shift"]
    expected = there @ np.linalg.inv(here) @ [*point, 1]
    np.testing.assert_allclose(moved, expected[:3], atol=1e-9)


def test_lights_ride_with_the_camera():
    pose = worlds.turned(np.array([0.0, 0.0, 10.0]), np.pi / 2)
    light = LightSource(position_mm=(0.0, 0.0, 2.0), intensity=6.0, colour=(1.0, 0.5, 0.0))
    numbers = parameters.light_numbers([light], pose, np.zeros(3))
    np.testing.assert_allclose(numbers["light0_world"], [2, 0, 10], atol=1e-9)
    np.testing.assert_allclose(numbers["light0_power"], [6, 3, 0])


def test_the_centre_is_the_middle_of_the_box():
    np.testing.assert_allclose(parameters.centre_of(worlds.cylinder(10, 40).surface), [0, 0, 20])
