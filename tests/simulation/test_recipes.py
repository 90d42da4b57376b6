# SPDX-License-Identifier: Apache-2.0
import pytest

from endoforge.errors import SettingsError
from endoforge.simulation.recipes import load_recipe, recipe_names
from endoforge.simulation.settings import ColonSimulation


def test_the_colon_recipe_is_shipped():
    assert "colon" in recipe_names()


@pytest.mark.parametrize("name", ["colon"])
def test_a_shipped_recipe_is_complete_and_valid(name):
    settings = load_recipe(name, {})
    assert isinstance(settings, ColonSimulation)


def test_changes_and_assignments_win_over_the_recipe():
    settings = load_recipe("colon", {"seed": 7, "frames": 12}, ["camera.width=64", "frames=13"])
    assert (settings.seed, settings.frames, settings.camera.width) == (7, 13, 64)


def test_an_unknown_recipe_is_answered_with_the_shipped_ones():
    with pytest.raises(SettingsError, match=r"no recipe 'colno'.*colon"):
        load_recipe("colno", {})


def test_a_recipe_may_be_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("simulator: colon\nframes: 3\n")
    assert load_recipe(str(path), {}).frames == 3
    path.write_text("framse: 3\n")
    with pytest.raises(SettingsError, match="did you mean 'frames'"):
        load_recipe(str(path), {})
