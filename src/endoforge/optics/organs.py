# SPDX-License-Identifier: Apache-2.0
"""How each organ, stain and tool looks: settings by name.

Colours are ranges over real frames: the brighter part of each labelled region, display values to
the power of 2.2. They therefore hold what the camera made of the tissue (laparoscopes show
blood-rich tissue purple: blue above green). Liver: 18 frames of 4 laparoscopies with hand-drawn
masks (green 0.22 to 0.34 of red, blue 1.13 to 1.39 of green) and 12 patches of as many videos of
Endoscapes-Seg50 (0.20 to 0.46, 1.19 to 1.46). Gallbladder, connective tissue, duct, artery, tools:
the masks of Endoscapes-Seg50, 30 videos (gallbladder 0.28 to 0.59, 0.92 to 1.66; triangle and
cystic plate 0.21 to 0.59, 0.89 to 1.72; 10th to 90th percentile). Fat: 7 patches of as many videos
(0.22 to 0.44, 0.55 to 1.18), towards yellow. HyperKvasir (300 frames) for mucosa, 450 of its boxes
for polyps. Serosa, wall and ligament: by hand on patches of the same frames. Film and relief of the
abdomen: so that highlights and contrast between neighbouring pixels come near those of the real
frames (0.2 to 0.4 % of the pixels are white; deviation of the log of brightness from its mean over
2 pixels 0.15 to 0.21). The share of light that metals reflect follows measured indices (iron and
titanium about 0.55, gold red 1, green 0.77, blue 0.34). Everything else, and all that is not
colour, is own choice, made by looking at renderings beside those frames.
"""

import difflib
from collections.abc import Mapping

import numpy as np

from endoforge.errors import SettingsError
from endoforge.optics.settings import Pattern, TissueSettings
from endoforge.optics.tissue import Tissue, sample_tissue

Range = tuple[float, float]


def _organ(
    pattern: Pattern, colour: tuple[Range, Range, Range], settings: Mapping[str, object]
) -> TissueSettings:
    """Settings of one kind; the colour is red, green as a share of red, blue as one of green."""
    red, green_of_red, blue_of_green = colour
    return TissueSettings.model_validate(
        {
            "pattern": pattern,
            "red": red,
            "green_of_red": green_of_red,
            "blue_of_green": blue_of_green,
            "textures": 2,
            **settings,
        }
    )


_BARE = {
    "coarse_vessels": 0.0,
    "fine_vessels": 0.0,
    "softness": 0.0,
    "edge_glow": 0.0,
    "textures": 1,
}
_SEROUS = {
    "coarse_vessels": (0.1, 0.45),
    "fine_vessels": (0.5, 1.0),
    "mottling": (0.12, 0.32),
    "relief": (0.08, 0.16),
    "roughness": (0.025, 0.055),
    "tile_mm": (50.0, 80.0),
    "wetness": (0.3, 0.8),
}
_SOLID = {
    "coarse_vessels": (0.0, 0.2),
    "fine_vessels": (0.0, 0.15),
    "mottling": (0.06, 0.18),
    "relief": (0.07, 0.14),
    "roughness": (0.022, 0.05),
    "softness": (0.2, 0.5),
    "edge_glow": (0.1, 0.5),
    "tile_mm": (36.0, 56.0),
    "wetness": (0.3, 0.8),
}
_FATTY = {
    "coarse_vessels": (0.1, 0.5),
    "fine_vessels": (0.3, 0.8),
    "mottling": (0.12, 0.28),
    "relief": (0.16, 0.30),
    "roughness": (0.028, 0.06),
    "softness": (0.5, 0.9),
    "edge_glow": (0.3, 0.9),
    "tile_mm": (36.0, 60.0),
    "wetness": (0.3, 0.8),
}
_STRINGY = {
    "coarse_vessels": (0.05, 0.4),
    "fine_vessels": (0.3, 0.9),
    "mottling": (0.12, 0.32),
    "relief": (0.12, 0.24),
    "roughness": (0.03, 0.075),
    "tile_mm": (24.0, 40.0),
    "wetness": (0.3, 0.8),
}
_RAW = {
    "coarse_vessels": (0.1, 0.4),
    "fine_vessels": (0.4, 1.0),
    "mottling": (0.2, 0.45),
    "relief": (0.16, 0.30),
    "roughness": (0.03, 0.07),
    "tile_mm": (18.0, 30.0),
    "wetness": (0.3, 0.8),
}
_LINED = {
    "coarse_vessels": (0.1, 0.4),
    "fine_vessels": (0.4, 1.0),
    "mottling": (0.10, 0.25),
    "relief": (0.05, 0.12),
    "roughness": (0.035, 0.08),
    "tile_mm": (60.0, 100.0),
    "wetness": (0.3, 0.8),
}
_POLYPOUS = {
    "coarse_vessels": (0.0, 0.15),
    "fine_vessels": (0.3, 0.75),
    "mottling": (0.06, 0.18),
    "relief": (0.09, 0.18),
    "roughness": (0.035, 0.08),
    "tile_mm": (16.0, 30.0),
}
_LIQUID = {
    "coarse_vessels": 0.0,
    "fine_vessels": 0.0,
    "mottling": (0.02, 0.1),
    "relief": (0.008, 0.03),
    "roughness": (0.014, 0.03),
    "wetness": (0.0, 0.2),
    "refraction": (1.33, 1.36),
    "softness": (0.4, 0.8),
    "edge_glow": (0.0, 0.3),
    "tile_mm": (30.0, 60.0),
    "textures": 1,
}
_METALLIC = {
    **_BARE,
    "mottling": (0.02, 0.06),
    "relief": (0.03, 0.09),
    "roughness": (0.16, 0.3),
    "wetness": (0.1, 0.5),
    "interreflection": (0.5, 0.9),
    "tile_mm": (20.0, 30.0),
}
_PLASTIC = {
    **_BARE,
    "mottling": (0.01, 0.06),
    "relief": (0.005, 0.03),
    "roughness": (0.14, 0.32),
    "wetness": (0.1, 0.5),
    "refraction": (1.46, 1.55),
    "tile_mm": (20.0, 40.0),
}

#: Looks by name. Keys are material names, as scenes list them in `Scene.materials`.
ORGANS: Mapping[str, TissueSettings] = {
    # ---- the abdomen ----
    "liver": _organ("liver", ((0.22, 0.40), (0.20, 0.34), (1.0, 1.4)), _SOLID),
    "spleen": _organ("liver", ((0.18, 0.32), (0.18, 0.32), (1.15, 1.5)), _SOLID),
    "kidney": _organ("liver", ((0.30, 0.46), (0.26, 0.40), (0.85, 1.1)), _SOLID),
    "gallbladder": _organ("serosa", ((0.38, 0.64), (0.36, 0.60), (0.84, 1.35)), _SEROUS),
    "stomach": _organ("serosa", ((0.55, 0.75), (0.34, 0.52), (0.94, 1.2)), _SEROUS),
    "bowel": _organ("serosa", ((0.50, 0.72), (0.28, 0.44), (0.94, 1.2)), _SEROUS),
    "organ": _organ("serosa", ((0.40, 0.62), (0.28, 0.46), (0.85, 1.2)), _SEROUS),
    "abdominal wall": _organ("peritoneum", ((0.42, 0.64), (0.30, 0.58), (0.90, 1.38)), _LINED),
    "peritoneum": _organ("peritoneum", ((0.45, 0.65), (0.34, 0.56), (0.90, 1.25)), _LINED),
    "diaphragm": _organ("fibrous", ((0.40, 0.60), (0.24, 0.40), (0.85, 1.15)), _LINED),
    "fat": _organ("fat", ((0.66, 0.88), (0.32, 0.54), (0.46, 0.80)), _FATTY),
    "mesentery": _organ("fat", ((0.52, 0.74), (0.34, 0.50), (0.55, 0.95)), _FATTY),
    "pancreas": _organ("fat", ((0.58, 0.74), (0.44, 0.58), (0.55, 0.85)), _FATTY),
    "connective tissue": _organ("fibrous", ((0.42, 0.64), (0.28, 0.50), (0.90, 1.40)), _RAW),
    "ligament": _organ("fibrous", ((0.55, 0.75), (0.42, 0.62), (0.80, 1.15)), _STRINGY),
    "duct": _organ("fibrous", ((0.46, 0.64), (0.44, 0.63), (0.70, 1.1)), _STRINGY),
    "artery": _organ("fibrous", ((0.48, 0.68), (0.24, 0.44), (0.90, 1.23)), _STRINGY),
    "vein": _organ("fibrous", ((0.22, 0.38), (0.26, 0.40), (1.15, 1.6)), _STRINGY),
    # ---- the colon ----
    "mucosa": TissueSettings(),
    "polyp-adenoma": _organ("gyrus pits", ((0.60, 0.80), (0.19, 0.36), (0.36, 0.64)), _POLYPOUS),
    "polyp-tubular": _organ("tubular pits", ((0.60, 0.80), (0.20, 0.38), (0.36, 0.64)), _POLYPOUS),
    "polyp-hyperplastic": _organ(
        "round pits", ((0.62, 0.80), (0.28, 0.42), (0.46, 0.64)), _POLYPOUS
    ),
    "polyp-serrated": _organ("round pits", ((0.60, 0.80), (0.25, 0.40), (0.38, 0.60)), _POLYPOUS),
    "fluid": _organ("fluid", ((0.42, 0.62), (0.58, 0.80), (0.12, 0.36)), _LIQUID),
    "stool": _organ(
        "stool",
        ((0.30, 0.52), (0.48, 0.66), (0.14, 0.36)),
        {
            **_BARE,
            "mottling": (0.15, 0.35),
            "relief": (0.15, 0.35),
            "roughness": (0.10, 0.28),
            "wetness": (0.5, 1.0),
            "softness": (0.2, 0.5),
            "tile_mm": (14.0, 24.0),
        },
    ),
    # ---- liquids on organs ----
    "blood": _organ("fluid", ((0.24, 0.38), (0.03, 0.08), (0.7, 1.0)), _LIQUID),
    "bile": _organ("fluid", ((0.35, 0.52), (0.58, 0.78), (0.06, 0.2)), _LIQUID),
    # ---- tools ----
    "steel": _organ(
        "brushed",
        ((0.26, 0.44), (0.96, 1.02), (0.98, 1.05)),
        {**_METALLIC, "reflectance": (0.5, 0.62)},
    ),
    "titanium": _organ(
        "brushed",
        ((0.24, 0.38), (0.93, 0.99), (0.92, 1.0)),
        {**_METALLIC, "reflectance": (0.45, 0.58)},
    ),
    "gold": _organ(
        "brushed",
        ((0.38, 0.52), (0.70, 0.80), (0.35, 0.50)),
        {**_METALLIC, "reflectance": (0.8, 0.95), "film_colour": (1.0, 0.77, 0.34)},
    ),
    "plastic": _organ("plain", ((0.03, 0.08), (0.92, 1.0), (1.0, 1.2)), _PLASTIC),
    "blue plastic": _organ("plain", ((0.05, 0.12), (2.2, 3.4), (1.5, 2.4)), _PLASTIC),
    "ceramic": _organ("plain", ((0.66, 0.84), (0.88, 0.98), (0.84, 0.98)), _PLASTIC),
}


def organ_settings(name: str) -> TissueSettings:
    """The shipped look of a material.

    Raises:
        SettingsError: There is no such material; names the nearest.
    """
    if name in ORGANS:
        return ORGANS[name]
    near = difflib.get_close_matches(name, ORGANS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(ORGANS))}"
    raise SettingsError(f"no look is shipped for the material {name!r}; {hint}")


def sample_organ(name: str, rng: np.random.Generator) -> Tissue:
    """Draw one look of a material from its shipped ranges.

    Raises:
        SettingsError: There is no such material.
    """
    return sample_tissue(organ_settings(name), rng)
