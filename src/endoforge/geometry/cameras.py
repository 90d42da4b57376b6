# SPDX-License-Identifier: Apache-2.0
"""The camera models under one roof: `Camera` is any of them, `camera_from_dict` builds one.

All answer in NumPy and torch. The image covers [0, width] x [0, height] and the first pixel's
centre is (0.5, 0.5); OpenCV calibrations put it at (0, 0), so add 0.5 to their cx and cy.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from endoforge.errors import CameraError
from endoforge.geometry.fisheye import FisheyeCamera
from endoforge.geometry.lens import pixel_centres
from endoforge.geometry.omnidirectional import OmnidirectionalCamera
from endoforge.geometry.pinhole import PinholeCamera

__all__ = [
    "Camera",
    "FisheyeCamera",
    "OmnidirectionalCamera",
    "PinholeCamera",
    "camera_from_dict",
    "pixel_centres",
]

Camera = PinholeCamera | FisheyeCamera | OmnidirectionalCamera


def camera_from_dict(values: Mapping[str, Any]) -> Camera:
    """Build the camera that plain values describe; the inverse of `to_dict`.

    Raises:
        CameraError: Names the key that is missing, unknown or wrong, and the value that came.
    """
    kind = _kind_of(values)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(str(key) for key in values if key != "model" and key not in fields):
        raise CameraError(f"unknown camera key {unknown[0]!r:.80}; valid: {', '.join(fields)}")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise CameraError(f"camera key {name!r} is missing; a {kind.model} camera needs it")
    known: dict[str, Any] = {name: values[name] for name in fields if name in values}
    known = {name: tuple(v) if isinstance(v, list) else v for name, v in known.items()}
    return kind(**known)


def _kind_of(values: Mapping[str, Any]) -> type[Camera]:
    models: dict[str, type[Camera]] = {
        "pinhole": PinholeCamera,
        "fisheye": FisheyeCamera,
        "omnidirectional": OmnidirectionalCamera,
    }
    if not isinstance(values, Mapping):
        raise CameraError(f"a camera must be a group of keys, got {values!r:.80}")
    model = values.get("model")
    if not isinstance(model, str) or model not in models:
        raise CameraError(
            "camera key 'model' must be 'pinhole', 'fisheye' or 'omnidirectional', "
            f"got {model!r:.80}"
        )
    return models[model]
