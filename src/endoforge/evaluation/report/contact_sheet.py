# SPDX-License-Identifier: Apache-2.0
"""Frames with all their labels side by side, and the legends that explain the colours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from endoforge.evaluation.report.pictures import Image, bar_of, photograph, value_map
from endoforge.frames.colour import (
    DEPTH_SCALE,
    UNKNOWN,
    class_colour,
    colour_classes,
    colour_flow,
    colour_instances,
    colour_mask,
    colour_normals,
    colour_values,
)
from endoforge.frames.dataset import Dataset
from endoforge.frames.frame import IGNORE, Frame

COLUMNS = ("image", "depth", "normal", "class", "object", "flow", "hidden next")
_LONGEST = 224


@dataclass(frozen=True)
class Key:
    """One colour of a legend: a swatch and what it means."""

    colour: str
    text: str


@dataclass(frozen=True)
class SheetRow:
    """One frame: its name and its pictures, in the order of `COLUMNS`."""

    name: str
    pictures: tuple[Image, ...]


@dataclass(frozen=True)
class Sheet:
    """All rows with the legends."""

    columns: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    depth_bar: Markup
    classes: tuple[Key, ...]
    normals: tuple[Key, ...]
    wheel: Image
    largest_flow_px: float
    unknown: str


def contact_sheet(dataset: Dataset, frames: int, with_objects: Sequence[int] = ()) -> Sheet:
    """Show frames spread evenly over the data set, and then some that show objects.

    Args:
        dataset: The data set.
        frames: How many spread evenly.
        with_objects: Numbers of further frames.

    Raises:
        DataError: A shard is damaged.
    """
    places = np.linspace(0, len(dataset) - 1, min(frames, len(dataset)) + 2)[1:-1]
    numbers = list(dict.fromkeys([*places.round().astype(int).tolist(), *with_objects]))
    chosen = [dataset.frame(number) for number in numbers]
    largest = _largest_flow(chosen)
    labels = dataset.manifest.labels
    present = sorted({int(index) for frame in chosen for index in np.unique(frame.label)})
    return Sheet(
        columns=COLUMNS,
        rows=tuple(_row(frame, largest) for frame in chosen),
        depth_bar=bar_of(DEPTH_SCALE, "depth"),
        classes=tuple(
            Key(hex_colour(index), labels.get(index, f"class {index}"))
            for index in present
            if index != IGNORE
        ),
        normals=(
            Key("#7f7fff", "faces the camera"),
            Key("#ff7f7f", "faces right"),
            Key("#7fff7f", "faces down"),
        ),
        wheel=_wheel(),
        largest_flow_px=largest,
        unknown=_hex(UNKNOWN),
    )


def hex_colour(index: int) -> str:
    """Colour of a class for the page."""
    return _hex(UNKNOWN if index == IGNORE else class_colour(index))


# ---- inside -------------------------------------------------------------------------------------


def _row(frame: Frame, largest_px: float) -> SheetRow:
    name = f"sequence {frame.sequence}, frame {frame.index}"
    maps = {
        "Depth": colour_values(frame.depth_mm, DEPTH_SCALE),
        "Normals": colour_normals(frame.normal_camera),
        "Classes": colour_classes(frame.label),
        "Objects": colour_instances(frame.instance),
        "Flow": colour_flow(frame.flow_px, largest_px),
        "Points hidden in the next frame": colour_mask(frame.occluded, frame.valid),
    }
    pictures = [photograph(frame.image, f"Image of {name}", _LONGEST)]
    pictures += [value_map(map_, f"{what} of {name}", _LONGEST) for what, map_ in maps.items()]
    return SheetRow(name, tuple(pictures))


def _largest_flow(frames: Sequence[Frame]) -> float:
    """The middle frame's large motion, px; one frame with a jump must not pale the others."""
    large = []
    for frame in frames:
        lengths = np.linalg.norm(frame.flow_px[frame.valid], axis=-1)
        lengths = lengths[np.isfinite(lengths)]
        if lengths.size:
            large.append(float(np.percentile(lengths, 95)))
    return max(0.5, round(float(np.median(large)), 1)) if large else 1.0


def _wheel() -> Image:
    """The colours of all directions of flow."""
    axis = np.linspace(-1, 1, 64, dtype=np.float32)
    u, v = np.meshgrid(axis, axis)
    flow = np.stack([u, v], axis=-1)
    flow[np.hypot(u, v) > 1] = np.nan
    return value_map(colour_flow(flow, 1.0), "Colour wheel of flow: the hue is the direction")


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
