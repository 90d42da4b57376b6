# SPDX-License-Identifier: Apache-2.0
"""The looks of a scene's materials: the shipped ones, with what the recipe changes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from endoforge.distributions import drawn
from endoforge.optics.organs import organ_settings
from endoforge.optics.settings import TissueSettings
from endoforge.optics.tissue import Rgb, Tissue, sample_tissue
from endoforge.settings import validate
from endoforge.simulation.draws import Draw
from endoforge.simulation.equipment import base_material
from endoforge.simulation.settings import SurfaceSimulation

SurfaceT = TypeVar("SurfaceT", bound=SurfaceSimulation)

_SHARED = 0.65  # share of a polyp's colour that is its mucosa's; own choice, by eye


def settings_of(material: str, changes: Mapping[str, Mapping[str, Any]]) -> TissueSettings:
    """The look of a material, with the recipe's changes laid over the shipped one.

    Raises:
        SettingsError: A changed value is wrong, or the material has no shipped look.
    """
    kind = base_material(material)
    shipped = organ_settings(kind)
    change = changes.get(material, changes.get(kind))
    return validate(TissueSettings, shipped.model_dump() | dict(change)) if change else shipped


def dressed(
    draw: Draw[SurfaceT], materials: Sequence[str], own: Mapping[str, TissueSettings]
) -> tuple[Draw[SurfaceT], tuple[Tissue, ...]]:
    """Draw the look of every material, each from streams of its own.

    Args:
        draw: The sequence's draw so far.
        materials: Names in the order of `Surface.face_material`.
        own: Looks that have a group of their own in the simulation's settings.

    Returns:
        The draw with the looks fixed in its settings, and the tissues in the materials' order.
    """
    fixed = {
        name: own.get(name)
        or drawn(
            settings_of(name, draw.settings.organs),
            draw.settings.seed,
            f"tissue.{name}",
            draw.counters["tissue"],
        )
        for name in materials
    }
    tissues = {
        name: sample_tissue(look, draw.stream("tissue", name)) for name, look in fixed.items()
    }
    organs = {name: look.model_dump() for name, look in fixed.items() if name not in own}
    settings = draw.settings.model_copy(update={"organs": organs})
    return replace(draw, settings=settings), tuple(_related(tissues).values())


def _related(tissues: Mapping[str, Tissue]) -> dict[str, Tissue]:
    """Let polyps share most of the colour of the mucosa that they grow on, as they do in life."""
    mucosa = tissues.get("mucosa")
    if mucosa is None:
        return dict(tissues)
    return {
        name: replace(tissue, albedo=_mixed(tissue.albedo, mucosa.albedo))
        if name.startswith("polyp")
        else tissue
        for name, tissue in tissues.items()
    }


def _mixed(own: Rgb, around: Rgb) -> Rgb:
    red, green, blue = (_SHARED * b + (1 - _SHARED) * a for a, b in zip(own, around, strict=True))
    return red, green, blue
