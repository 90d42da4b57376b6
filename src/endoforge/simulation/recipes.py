# SPDX-License-Identifier: Apache-2.0
"""Finding recipes: complete settings under a name. The YAML files are in `endoforge/recipes`."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from endoforge.errors import SettingsError
from endoforge.settings import override, read_settings_file, validate
from endoforge.simulation.settings import ColonSimulation

#: A user's own file takes the place of the recipe's whole group: a patient has no fold spacing.
_REPLACED_BY = {"anatomy": ("mask", "mesh"), "camera": ("file", "model")}


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(p.name.removesuffix(".yaml") for p in _folder().iterdir() if p.suffix == ".yaml")


def load_recipe(
    name_or_path: str, changes: Mapping[str, Any], assignments: Sequence[str] = ()
) -> ColonSimulation:
    """Read a recipe by name or path and change some of its values.

    Args:
        name_or_path: A shipped recipe's name, or a YAML file.
        changes: Top-level values that replace the recipe's, e.g. ``{"seed": 7}``.
        assignments: ``a.b=value`` strings, applied last.

    Raises:
        SettingsError: There is no such recipe, or a value is wrong; in one line.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = _folder() / f"{name_or_path}.yaml"
        if not path.is_file():
            raise SettingsError(
                f"there is no recipe {name_or_path!r}; shipped are {', '.join(recipe_names())}, "
                "and the path of a .yaml file works too"
            )
    values = {**read_settings_file(path), **changes}
    for group, own_source in _REPLACED_BY.items():
        if any(a.startswith(tuple(f"{group}.{key}=" for key in own_source)) for a in assignments):
            values[group] = {}
    return validate(ColonSimulation, override(values, assignments))


def _folder() -> Path:
    return Path(str(files("endoforge.recipes")))
