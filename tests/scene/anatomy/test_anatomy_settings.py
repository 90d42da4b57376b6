# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from endoforge.errors import SettingsError
from endoforge.scene.anatomy.settings import (
    AnatomySettings,
    ColonSettings,
    MaskAnatomy,
    MeshAnatomy,
    ProceduralAnatomy,
)
from endoforge.settings import Settings, validate


class Holder(Settings):
    anatomy: AnatomySettings = ProceduralAnatomy()


def test_nothing_said_means_a_drawn_colon():
    assert Holder() == validate(Holder, {"anatomy": {}})
    assert isinstance(Holder().anatomy, ColonSettings)


def test_a_file_says_which_kind_it_is():
    mask = validate(Holder, {"anatomy": {"mask": "colon.nii.gz"}}).anatomy
    assert mask == MaskAnatomy(mask=Path("colon.nii.gz"))
    mesh = validate(Holder, {"anatomy": {"mesh": "colon.stl", "unit": "mm"}}).anatomy
    assert mesh == MeshAnatomy(mesh=Path("colon.stl"), unit="mm")


@pytest.mark.parametrize("values", [{}, {"mask": "a.nii"}, {"mesh": "a.stl", "unit": "cm"}])
def test_settings_survive_a_round_trip_through_plain_values(values):
    settings = validate(Holder, {"anatomy": values})
    assert validate(Holder, settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"mesh": "a.stl"}, "unit"),
        ({"mesh": "a.stl", "unit": "inch"}, "'mm', 'cm' or 'm'"),
        ({"lenght_mm": 300}, "did you mean 'length_mm'"),
        ({"mask": "a.nii", "resolution": 2}, "did you mean 'resolution_mm'"),
        ({"length_mm": 50}, "greater than or equal to 120"),
        ({"fold_height": [0.2, 0.9]}, "within 0.0 to 0.5"),
        ({"fold_height": [0.4, 0.2]}, "lower end"),
        ({"polyps": {"count": [5, 2]}}, "above the upper end"),
        ({"polyps": {"diameter_mm": [5, 90]}}, "must lie within 1.0 to 30.0"),
        ({"axial_spacing_mm": 2.0}, "less than or equal to 0.7"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(values, says):
    with pytest.raises(SettingsError, match=says) as error:
        validate(Holder, {"anatomy": values})
    assert "\n" not in str(error.value)
