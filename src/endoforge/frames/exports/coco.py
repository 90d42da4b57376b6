# SPDX-License-Identifier: Apache-2.0
"""Objects in the form of COCO: one list of images, classes and annotations with box and mask.

Source:
    Lin et al., *Microsoft COCO: common objects in context*, ECCV 2014; the compressed run lengths
    are those of its public tools (cocodataset/cocoapi, ``maskApi``).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from endoforge.frames.dataset import Dataset
from endoforge.frames.encoding import key_of
from endoforge.frames.exports.folder import sequences
from endoforge.frames.facts import boxes_of
from endoforge.frames.frame import IGNORE

Tick = Callable[[], None]


def write_coco(dataset: Dataset, folder: Path, tick: Tick) -> None:
    """Write ``annotations.json`` and ``images/000003-000017.png``.

    Every object (instance number above 0) of a frame becomes an annotation; its category is its
    class, and ``instance_id`` tells which object of the scene it is.

    Raises:
        DataError: A shard is missing, cut or changed.
    """
    (folder / "images").mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for sequence, shard, kept in sequences(dataset):
        for position in kept:
            arrays = shard.fields(position, ("label", "instance"))
            height, width = arrays["label"].shape
            name = f"{key_of(sequence)}-{key_of(position)}.png"
            picture = shard.members(position, ("image.png",))["image.png"]
            (folder / "images" / name).write_bytes(picture)
            image = {"id": len(images) + 1, "file_name": name, "width": width, "height": height}
            images.append(image | {"sequence": sequence, "frame": position})
            for entry in annotations_of(arrays["label"], arrays["instance"], dataset):
                place = {"id": len(annotations) + 1, "image_id": image["id"]}
                annotations.append(place | entry)
            tick()
    content = {
        "info": {"description": dataset.manifest.name, "version": "1.0"},
        "licenses": [{"id": 1, "name": dataset.manifest.licence, "url": ""}],
        "categories": [
            {"id": index, "name": name, "supercategory": ""}
            for index, name in dataset.manifest.label_map().names.items()
        ],
        "images": images,
        "annotations": annotations,
    }
    with open(folder / "annotations.json", "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def annotations_of(label: Any, instance: Any, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Yield one annotation per object, without its numbers in the list."""
    for box in boxes_of(label, instance, dataset.manifest.labels):
        if box["label"] == IGNORE:
            continue
        yield {
            "category_id": box["label"],
            "bbox": box["box_px"],
            "area": box["area_px"],
            "segmentation": {
                "size": list(instance.shape),
                "counts": run_lengths(instance == box["instance"]),
            },
            "iscrowd": 0,
            "instance_id": box["instance"],
        }


def run_lengths(mask: Bool[np.ndarray, "height width"]) -> str:
    """COCO's compressed run lengths: columns first, beginning with the length of False.

    Each length is the difference to the one two before (from the fourth on), in groups of five
    bits, each plus 48 as a character; bit six says that more follow.
    """
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = np.concatenate([[0] if flat[0] else [], [0], edges, [flat.size]]).astype(np.int64)
    lengths = np.diff(ends).tolist()
    text = []
    for place, length in enumerate(lengths):
        value = length - lengths[place - 2] if place > 2 else length
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            text.append(chr((group | 32 if more else group) + 48))
    return "".join(text)
