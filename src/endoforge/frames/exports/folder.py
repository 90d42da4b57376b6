# SPDX-License-Identifier: Apache-2.0
"""A folder per sequence with plain files: the PNGs as they are, or floating-point OpenEXR.

The PNGs are copies, byte by byte, so nothing is lost and their notes say what the numbers mean. An
EXR file holds all labels of a frame as channels in millimetres and pixels, NaN where invalid.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32, UInt8

from endoforge.errors import MissingDependency
from endoforge.frames.dataset import Dataset
from endoforge.frames.encoding import key_of
from endoforge.frames.members import ALL_FIELDS
from endoforge.frames.shards import ShardReader
from endoforge.frames.storage import write_json

Tick = Callable[[], None]
Channels: TypeAlias = dict[str, np.ndarray]

#: Names of an EXR file's channels, by field; those of a picture are linear light.
EXR_CHANNELS = {
    "image": ("R", "G", "B"),
    "clean": ("clean.R", "clean.G", "clean.B"),
    "depth_mm": ("Z",),
    "normal_camera": ("normal.X", "normal.Y", "normal.Z"),
    "flow_px": ("flow.U", "flow.V"),
    "occluded": ("flow.occluded",),
    "back_flow_px": ("back_flow.U", "back_flow.V"),
    "back_occluded": ("back_flow.occluded",),
    "albedo": ("albedo.R", "albedo.G", "albedo.B"),
    "shading": ("shading.R", "shading.G", "shading.B"),
    "texture_mm": ("texture.X", "texture.Y", "texture.Z"),
    "label": ("label",),
    "instance": ("instance",),
    "material": ("material",),
    "specular": ("specular",),
    "moving": ("moving",),
    "opacity": ("opacity",),
    "expected_depth_mm": ("expected.Z",),
    "first_depth_mm": ("first.Z",),
    "hu": ("hu",),
}

#: The same for the file of the right eye.
RIGHT_CHANNELS = {
    "right_image": ("R", "G", "B"),
    "right_depth_mm": ("Z",),
    "right_from_left_px": ("from_left.U", "from_left.V"),
    "right_occluded": ("from_left.occluded",),
}

_PICTURES = ("image", "clean", "right_image")


def write_png_folder(dataset: Dataset, folder: Path, tick: Tick) -> None:
    """Copy the files of each frame: ``000003/depth/000017.png`` and ``000003/json/000017.json``.

    Raises:
        DataError: A shard is missing, cut or changed.
    """
    write_json(folder / "dataset.json", dataset.manifest.model_dump(mode="json"))
    for sequence, shard, kept in sequences(dataset):
        kinds = {name: _kind_and_ending(name) for name in shard.files}
        for kind, _ in kinds.values():
            (folder / key_of(sequence) / kind).mkdir(parents=True)
        for position in kept:
            for name, content in shard.members(position).items():
                kind, ending = kinds[name]
                file = folder / key_of(sequence) / kind / f"{key_of(position)}{ending}"
                file.write_bytes(content)
            tick()


def write_exr_folder(dataset: Dataset, folder: Path, tick: Tick) -> None:
    """Write ``000003/000017.exr`` with all labels, and its camera and poses as JSON beside it.

    The right eye of a stereo scope has a file of its own, ``000003/000017.right.exr``.

    Raises:
        MissingDependency: OpenEXR is not installed.
        DataError: A shard is missing, cut or changed.
    """
    library = _open_exr()
    write_json(folder / "dataset.json", dataset.manifest.model_dump(mode="json"))
    for sequence, shard, kept in sequences(dataset):
        place = folder / key_of(sequence)
        place.mkdir()
        fields = [name for name, file in ALL_FIELDS.items() if file in shard.files]
        for position in kept:
            arrays, name = shard.fields(position, fields), key_of(position)
            (place / f"{name}.json").write_bytes(shard.members(position, ("json",))["json"])
            _write_exr(library, place / f"{name}.exr", channels_of(arrays, EXR_CHANNELS))
            if "right_image" in arrays:
                right = channels_of(arrays, RIGHT_CHANNELS)
                _write_exr(library, place / f"{name}.right.exr", right)
            tick()


def sequences(dataset: Dataset) -> Iterator[tuple[int, ShardReader, list[int]]]:
    """Yield number, checked shard and kept positions of each sequence that has any of these.

    What an audit rejected is not kept, unless the data set was opened with rejected frames.

    Raises:
        DataError: A shard is missing, cut or changed.
    """
    first = 0
    for number, record in enumerate(dataset.sequences):
        kept = [k for k in range(record.frames) if first + k not in dataset.left_out]
        first += record.frames
        if kept:
            yield record.sequence, dataset.shard(number), kept


def channels_of(arrays: dict[str, Any], names: dict[str, tuple[str, ...]]) -> Channels:
    """Split arrays into named planes: pictures as linear half floats, whole numbers as uint32.

    Args:
        arrays: By field.
        names: The planes' names by field; fields that are not there are passed over.
    """
    channels: Channels = {}
    for field, planes in names.items():
        if field not in arrays:
            continue
        array = linear_from_srgb(arrays[field]) if field in _PICTURES else arrays[field]
        signed = array.dtype in (np.float32, np.int16)
        number = np.dtype(np.float32 if signed else np.uint32)
        kind = np.dtype(np.float16) if field in _PICTURES else number
        layers = array[..., None] if array.ndim == 2 else array
        for index, plane in enumerate(planes):
            channels[plane] = np.ascontiguousarray(layers[..., index], kind)
    return channels


def linear_from_srgb(image: UInt8[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Linear light, 0 to 1, of an 8 bit sRGB picture.

    Source:
        IEC 61966-2-1.
    """
    value = np.arange(256) / 255
    table = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(table.astype(np.float32)[image])


# ---- inside -------------------------------------------------------------------------------------


def _kind_and_ending(member: str) -> tuple[str, str]:
    """``right.depth.png`` → (``right_depth``, ``.png``); ``json`` → (``json``, ``.json``)."""
    kind, dot, ending = member.rpartition(".")
    return (kind.replace(".", "_"), f".{ending}") if dot else (member, f".{member}")


def _open_exr() -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingDependency(
            f"EXR files need the package OpenEXR ({error}); run: pip install 'endoforge[export]'"
        ) from error
    return OpenEXR


def _write_exr(library: Any, path: Path, channels: Channels) -> None:
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    library.File(header, dict(channels)).write(str(path))  # it changes the mapping
