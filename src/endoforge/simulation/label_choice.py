# SPDX-License-Identifier: Apache-2.0
"""Which labels a simulation writes beyond those of every data set."""

from collections.abc import Mapping
from typing import Literal, get_args

LabelName = Literal[
    "clean",
    "albedo",
    "shading",
    "specular",
    "back_flow",
    "texture",
    "moving",
    "stereo",
    "boxes",
    "keypoints",
    "tracks",
    "opacity",
    "depths",
    "hu",
]
LABEL_NAMES: tuple[LabelName, ...] = get_args(LabelName)

#: The optional fields of a `Frame` that each label fills; the others become facts.
FIELDS_OF: Mapping[LabelName, tuple[str, ...]] = {
    "clean": ("clean",),
    "albedo": ("albedo",),
    "shading": ("shading",),
    "specular": ("specular",),
    "back_flow": ("back_flow_px", "back_occluded"),
    "texture": ("texture_mm", "material"),
    "moving": ("moving",),
    "stereo": ("right",),
    "boxes": (),
    "keypoints": (),
    "tracks": (),
    "opacity": ("opacity",),
    "depths": ("expected_depth_mm", "first_depth_mm"),
    "hu": ("hu",),
}

#: Labels of voxels and labels of surfaces that the other kind of scene cannot give.
OF_VOLUMES: frozenset[LabelName] = frozenset({"opacity", "depths", "hu"})
OF_SURFACES: frozenset[LabelName] = frozenset(
    {
        "albedo",
        "shading",
        "specular",
        "texture",
        "moving",
        "boxes",
        "keypoints",
        "tracks",
    }
)

#: What a scene must have for a label, in words.
NEEDS: Mapping[LabelName, str] = {
    "moving": "tissue or tools that move",
    "stereo": "a stereo camera (camera.stereo)",
    "keypoints": "instruments",
    **dict.fromkeys(("opacity", "depths", "hu"), "a CT (simulator: cinematic)"),
    **dict.fromkeys(
        ("albedo", "shading", "specular", "texture", "boxes", "tracks"), "a scene of surfaces"
    ),
}


def choose_labels(
    asked: Literal["all"] | tuple[LabelName, ...], missing: frozenset[LabelName]
) -> tuple[LabelName, ...]:
    """The labels that will be written.

    Args:
        asked: The names in the recipe, or all that the scene can give.
        missing: Labels that this scene cannot give.

    Raises:
        ValueError: A label is asked for that the scene cannot give.
    """
    if asked == "all":
        return tuple(name for name in LABEL_NAMES if name not in missing)
    for name in asked:
        if name in missing:
            raise ValueError(
                f"the label {name!r} needs {NEEDS[name]}, which this recipe does not have; "
                "leave it out of labels, or add what it needs"
            )
    return tuple(name for name in LABEL_NAMES if name in asked)
