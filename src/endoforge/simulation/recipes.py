# SPDX-License-Identifier: Apache-2.0
"""Finding recipes: complete settings under a name. The YAML files are in `endoforge/recipes`.

A recipe may name a scope; the scope's camera, light and sensor then come first and the recipe's own
values over them.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from endoforge.errors import SettingsError
from endoforge.frames.manifest import read_manifest
from endoforge.settings import override, read_settings_file, validate
from endoforge.simulation.settings import SIMULATORS, AnySimulation

#: A user's own file takes the place of the recipe's whole group: a patient has no fold spacing.
_REPLACED_BY = {"anatomy": ("mask", "mesh", "masks", "meshes", "ct"), "camera": ("file", "model")}


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    return _names(_folder())


def scope_names() -> list[str]:
    """Names of the shipped scopes."""
    return _names(_folder() / "scopes")


def load_recipe(
    name_or_path: str, changes: Mapping[str, Any], assignments: Sequence[str] = ()
) -> AnySimulation:
    """Read a recipe by name or path and change some of its values.

    Args:
        name_or_path: A shipped recipe's name, a YAML file, or the folder of a simulated data set,
            whose settings are used again.
        changes: Top-level values that replace the recipe's, e.g. ``{"seed": 7}``.
        assignments: ``a.b=value`` strings, applied last.

    Raises:
        SettingsError: There is no such recipe or scope, or a value is wrong; in one line.
        DataError: The folder holds no data set, or a damaged one.
    """
    values = {**_read(name_or_path), **changes}
    scopes = [a.partition("=")[2] for a in assignments if a.startswith("scope=")]
    values = _through_a_scope(values, scopes[-1] if scopes else values.get("scope", ""))
    for group, own_source in _REPLACED_BY.items():
        if any(a.startswith(tuple(f"{group}.{key}=" for key in own_source)) for a in assignments):
            values[group] = {}
    values = override(values, assignments)
    simulator = values.get("simulator", "colon")
    if simulator not in SIMULATORS:
        raise SettingsError(
            f"there is no simulator {simulator!r}; there are {', '.join(SIMULATORS)}"
        )
    return validate(SIMULATORS[simulator], values)


def _read(name_or_path: str) -> dict[str, Any]:
    path = Path(name_or_path)
    if path.is_dir() and (path / "dataset.json").exists():
        return dict(read_manifest(path).settings)
    if path.suffix not in {".yaml", ".yml"}:
        path = _folder() / f"{name_or_path}.yaml"
        if not path.is_file():
            raise SettingsError(
                f"there is no recipe {name_or_path!r}; shipped are {', '.join(recipe_names())}, "
                "and the path of a .yaml file or of a data set works too"
            )
    return read_settings_file(path)


def _through_a_scope(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Lay the recipe's values over those of its scope."""
    if not name:
        return values
    path = _folder() / "scopes" / f"{name}.yaml"
    if name not in scope_names():
        raise SettingsError(f"there is no scope {name!r}; shipped are {', '.join(scope_names())}")
    return _laid_over(read_settings_file(path), values) | {"scope": name}


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping):
            result[key] = _laid_over(below[key], above[key])
    return result


def _names(folder: Path) -> list[str]:
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.suffix == ".yaml")


def _folder() -> Path:
    return Path(str(files("endoforge.recipes")))
