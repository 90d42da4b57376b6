# SPDX-License-Identifier: Apache-2.0
"""Shipped scopes are valid for both simulators and see what their sources say."""

import math
from pathlib import Path

import numpy as np
import pytest

import endoforge.recipes
from endoforge.geometry.cameras import Camera, FisheyeCamera, PinholeCamera
from endoforge.settings import read_settings_file, validate
from endoforge.simulation.settings import SIMULATORS

FOLDER = Path(endoforge.recipes.__file__).parent / "scopes"
SCOPES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_the_scope_classes_are_all_there():
    assert set(SCOPES) >= {
        "colonoscope",
        "capsule",
        "laparoscope-0",
        "laparoscope-30",
        "stereo-laparoscope",
        "microscope",
    }


@pytest.mark.parametrize("simulator", sorted(SIMULATORS))
@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_is_camera_light_and_sensor_and_nothing_else(scope, simulator):
    values = read_settings_file(FOLDER / f"{scope}.yaml")
    assert set(values) == {"camera", "light", "sensor"}
    validate(SIMULATORS[simulator], values)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_names_its_sources(scope):
    text = (FOLDER / f"{scope}.yaml").read_text()
    assert "# Figures and where they come from:" in text
    assert "own choice" in text


def across(camera: Camera, radius: float) -> float:
    """Angle between the left and the right end of the round picture, degrees."""
    edge = np.array([camera.cx - radius * camera.height / 2 + 0.5, camera.cy])
    return 2 * math.degrees(math.acos(camera.unproject(edge)[2]))


def test_the_capsule_sees_172_degrees_across_its_circle():
    camera = read_settings_file(FOLDER / "capsule.yaml")["camera"]
    lens = FisheyeCamera.from_field_of_view(
        256, 256, diagonal_deg=camera["diagonal_deg"], distortion=tuple(camera["distortion"])
    )
    assert across(lens, camera["content_radius"]) == pytest.approx(172, abs=2)


@pytest.mark.parametrize("scope", ["laparoscope-0", "laparoscope-30"])
def test_laparoscopes_see_about_72_degrees_across_their_circle(scope):
    camera = read_settings_file(FOLDER / f"{scope}.yaml")["camera"]
    angles = [
        across(
            PinholeCamera.from_field_of_view(
                452, 256, horizontal_deg=wide, distortion=tuple(camera["distortion"])
            ),
            radius,
        )
        for wide in camera["horizontal_deg"]
        for radius in camera["content_radius"]
    ]
    assert 60 < min(angles) < 72 < max(angles) < 82
