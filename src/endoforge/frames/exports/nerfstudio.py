# SPDX-License-Identifier: Apache-2.0
"""Each sequence as a scene for nerfstudio: ``transforms.json`` with images, depth and masks.

Source:
    https://docs.nerf.studio/quickstart/data_conventions.html: OpenGL camera axes (y up, z
    backwards), camera-to-world matrices, pixel centres at halves. Lengths are metres.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from endoforge.errors import DataError
from endoforge.frames.dataset import Dataset
from endoforge.frames.encoding import key_of
from endoforge.frames.exports.folder import sequences
from endoforge.frames.light_planes import encode_flags
from endoforge.frames.shards import ShardReader
from endoforge.frames.storage import write_json
from endoforge.geometry.cameras import Camera, FisheyeCamera, PinholeCamera
from endoforge.geometry.poses import invert_pose

Tick = Callable[[], None]

#: Turns y and z of a camera frame round: OpenCV's axes to OpenGL's and back.
OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])

_METRES = 1e-3


def write_nerfstudio(dataset: Dataset, folder: Path, tick: Tick) -> None:
    """Write ``000003/transforms.json`` with ``images``, ``depths`` and ``masks`` beside it.

    Stored depth counts steps of the data set's depth scale; give nerfstudio's data parser the
    ``depth_unit_scale_factor`` that the file names.

    Raises:
        DataError: A lens has no counterpart there, or a shard is missing, cut or changed.
    """
    for sequence, shard, kept in sequences(dataset):
        place = folder / key_of(sequence)
        for kind in ("images", "depths", "masks"):
            (place / kind).mkdir(parents=True)
        lenses, frames = [], []
        for position in kept:
            facts = shard.facts(position)
            lenses.append(facts["camera"])
            frames.append(_write_frame(shard, position, place, facts["camera_from_world"]))
            tick()
        write_json(place / "transforms.json", transforms(dataset, lenses, frames))


def transforms(
    dataset: Dataset, lenses: list[Camera], frames: list[dict[str, Any]]
) -> dict[str, Any]:
    """The content of ``transforms.json``; one lens for all frames stands at the top.

    Raises:
        DataError: A lens has no counterpart in nerfstudio.
    """
    common = intrinsics(lenses[0])
    if any(lens != lenses[0] for lens in lenses):
        frames = [frame | intrinsics(lens) for frame, lens in zip(frames, lenses, strict=True)]
        models = {intrinsics(lens)["camera_model"] for lens in lenses}
        if len(models) > 1:
            raise DataError(f"nerfstudio wants one kind of lens per scene, got {sorted(models)}")
        common = {"camera_model": models.pop()}
    scale = dataset.manifest.depth_scale_mm * _METRES
    return common | {"depth_unit_scale_factor": scale, "frames": frames}


def intrinsics(camera: Camera) -> dict[str, Any]:
    """A lens in nerfstudio's words.

    Raises:
        DataError: Nerfstudio has no such lens.
    """
    match camera:
        case PinholeCamera(distortion=(k1, k2, p1, p2, k3)):
            lens = {"k1": k1, "k2": k2, "p1": p1, "p2": p2, "k3": k3}
            model = "OPENCV"
        case FisheyeCamera(distortion=(k1, k2, k3, k4)):
            lens = {"k1": k1, "k2": k2, "k3": k3, "k4": k4}
            model = "OPENCV_FISHEYE"
        case _:
            raise DataError(
                f"nerfstudio has no {camera.model} lens, only pinhole and fisheye; "
                "export another format"
            )
    focal = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy}
    return {"camera_model": model, "w": camera.width, "h": camera.height, **focal, **lens}


def transform_matrix(camera_from_world: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    """world_from_camera with OpenGL's camera axes and the translation in metres."""
    world_from_camera = invert_pose(camera_from_world) @ OPENGL_AXES
    world_from_camera[:3, 3] *= _METRES
    return np.asarray(world_from_camera)


def _write_frame(
    shard: ShardReader, position: int, place: Path, camera_from_world: Float64[np.ndarray, "4 4"]
) -> dict[str, Any]:
    name = f"{key_of(position)}.png"
    files = shard.members(position, ("image.png", "depth.png"))
    valid = shard.fields(position, ("valid",))["valid"]
    (place / "images" / name).write_bytes(files["image.png"])
    (place / "depths" / name).write_bytes(files["depth.png"])
    (place / "masks" / name).write_bytes(encode_flags(valid, "use this pixel"))
    return {
        "file_path": f"images/{name}",
        "depth_file_path": f"depths/{name}",
        "mask_path": f"masks/{name}",
        "transform_matrix": transform_matrix(camera_from_world).tolist(),
    }
