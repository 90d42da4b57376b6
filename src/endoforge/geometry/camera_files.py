# SPDX-License-Identifier: Apache-2.0
"""Cameras as small JSON files, the form in which users hand a calibration to the command line."""

import json
import os
from pathlib import Path
from typing import Any

from endoforge.errors import CameraError
from endoforge.geometry.cameras import Camera, camera_from_dict

_MOST_BYTES = 100_000


def read_camera(path: Path) -> Camera:
    """Read the camera that a JSON file describes.

    Raises:
        CameraError: Names the file, and the key and value that are wrong.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise CameraError(f"cannot read the camera file {path}: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise CameraError(f"camera file {path} has over {_MOST_BYTES:,} bytes; expected a few keys")
    try:
        values = json.loads(content, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise CameraError(f"camera file {path} is not valid JSON: {str(error)[:200]}") from None
    try:
        return camera_from_dict(values)
    except CameraError as error:
        raise CameraError(f"camera file {path}: {error}") from None


def write_camera(path: Path, camera: Camera) -> None:
    """Write a camera as JSON that `read_camera` reads back equal; replaces a file of that name.

    Raises:
        CameraError: The file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        unfinished.write_text(json.dumps(camera.to_dict(), indent=2) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise CameraError(f"cannot write the camera file {path}: {error.strerror}") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError(f"a key occurs twice among {', '.join(key for key, _ in pairs)}")
    return values
