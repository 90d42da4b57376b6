# SPDX-License-Identifier: Apache-2.0
"""Which files a frame consists of, which of its labels are optional, and what each file holds."""

from collections.abc import Collection, Iterable, Mapping

from endoforge.errors import DataError

#: Every file that a frame must have, without its key.
MEMBERS = ("image.png", "depth.png", "normal.png", "label.png", "instance.png", "flow.png", "json")

#: Labels that a data set may have, by their name in `Frame`, and the files that hold them; facts
#: are in the frame's JSON, where the right eye's lens and pose are too.
OPTIONAL_LABELS: Mapping[str, tuple[str, ...]] = {
    "clean": ("clean.png",),
    "albedo": ("albedo.png",),
    "shading": ("shading.png",),
    "specular": ("specular.png",),
    "back_flow_px": ("back_flow.png",),
    "back_occluded": ("back_flow.png",),
    "texture_mm": ("texture.png",),
    "material": ("material.png",),
    "moving": ("moving.png",),
    "right": ("right.image.png", "right.depth.png", "right.flow.png"),
    "opacity": ("opacity.png",),
    "expected_depth_mm": ("expected_depth.png",),
    "first_depth_mm": ("first_depth.png",),
    "hu": ("hu.png",),
    "facts": (),
}

#: What of a frame can be read on its own, and the file that holds it.
FIELDS: Mapping[str, str] = {
    "image": "image.png",
    "depth_mm": "depth.png",
    "valid": "depth.png",
    "normal_camera": "normal.png",
    "label": "label.png",
    "instance": "instance.png",
    "flow_px": "flow.png",
    "occluded": "flow.png",
}

#: The same for the optional labels, where the data set has them.
OPTIONAL_FIELDS: Mapping[str, str] = {
    "clean": "clean.png",
    "albedo": "albedo.png",
    "shading": "shading.png",
    "specular": "specular.png",
    "back_flow_px": "back_flow.png",
    "back_occluded": "back_flow.png",
    "texture_mm": "texture.png",
    "material": "material.png",
    "moving": "moving.png",
    "right_image": "right.image.png",
    "right_depth_mm": "right.depth.png",
    "right_valid": "right.depth.png",
    "right_from_left_px": "right.flow.png",
    "right_occluded": "right.flow.png",
    "opacity": "opacity.png",
    "expected_depth_mm": "expected_depth.png",
    "first_depth_mm": "first_depth.png",
    "hu": "hu.png",
}

#: All that can be read on its own.
ALL_FIELDS: Mapping[str, str] = {**FIELDS, **OPTIONAL_FIELDS}

#: Files that only some data sets have, in the order in which they stand before ``json``.
OPTIONAL_MEMBERS = tuple(
    dict.fromkeys(file for files in OPTIONAL_LABELS.values() for file in files)
)


def members_of(labels: Collection[str]) -> tuple[str, ...]:
    """The files of a frame with these optional labels, in their order in a shard.

    Raises:
        DataError: A label is unknown, or one of a pair that shares a file is missing.
    """
    check_optional_labels(labels)
    extra = {file for label in labels for file in OPTIONAL_LABELS[label]}
    return (*MEMBERS[:-1], *(file for file in OPTIONAL_MEMBERS if file in extra), MEMBERS[-1])


def labels_with(files: Iterable[str]) -> tuple[str, ...]:
    """The optional labels that a frame with these files has; facts cannot be told from files.

    Raises:
        DataError: A file is missing or unknown.
    """
    there = set(files)
    labels = tuple(
        label for label, needed in OPTIONAL_LABELS.items() if needed and there >= set(needed)
    )
    if there != set(members_of(labels)):
        raise DataError(
            f"a frame must have the files {', '.join(MEMBERS)} and may have "
            f"{', '.join(OPTIONAL_MEMBERS)}; got {', '.join(sorted(there))}"
        )
    return labels


def check_optional_labels(labels: Collection[str]) -> None:
    """Make sure that optional labels exist and that pairs are whole.

    Raises:
        DataError: Names the label that is unknown or lacks its partner.
    """
    for label in labels:
        if label not in OPTIONAL_LABELS:
            raise DataError(
                f"there is no optional label {label!r}; known: {', '.join(OPTIONAL_LABELS)}"
            )
        for partner, files in OPTIONAL_LABELS.items():
            if files and files == OPTIONAL_LABELS[label] and partner not in labels:
                raise DataError(f"{label} shares a file with {partner}; give both or neither")
