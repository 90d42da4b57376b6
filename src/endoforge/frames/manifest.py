# SPDX-License-Identifier: Apache-2.0
"""dataset.json: everything that is needed to read a data set, beside its shards.

It is written before the first frame and never changes; how far the work is says the journal.
"""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from endoforge.errors import CameraError, DataError, SettingsError
from endoforge.frames.labels import LabelMap
from endoforge.frames.members import check_optional_labels
from endoforge.frames.planes import DEPTH_SCALE_MM
from endoforge.frames.storage import read_json, to_json, write_json
from endoforge.geometry.cameras import Camera, camera_from_dict
from endoforge.settings import Settings

#: File name of the manifest within the data set's folder.
MANIFEST = "dataset.json"

#: What the numbers mean; a reader that expects something else must refuse.
CONVENTIONS: Mapping[str, str] = {
    "length": "mm",
    "camera_frame": "x right, y down, z forward",
    "pixel": "u right, v down; the first pixel's centre is (0.5, 0.5)",
    "pose": "camera_from_world, 4 x 4, maps column vectors",
    "depth": "z in the camera frame, mm; 0 in the file = invalid",
    "normal": "unit, camera frame, towards the camera's side",
    "flow": "(du, dv) px from this frame to the next",
    "label": "class index, 255 = ignore",
    "instance": "object number within the scene, 0 = none",
    "image": "display-referred sRGB, 8 bit",
}

#: The same for the optional labels that a data set has.
OPTIONAL_CONVENTIONS: Mapping[str, str] = {
    "clean": "the image without faults of lens, sensor and coding, same exposure",
    "albedo": "linear RGB, 0 to 1; radiance = albedo * shading + film",
    "shading": "diffuse light per unit of albedo, linear RGB",
    "specular": "255 where the reflection of the wet film dominates",
    "back_flow_px": "(du, dv) px from this frame to the previous",
    "back_occluded": "hidden or out of field in the previous frame",
    "texture_mm": "place in the rest frame of the object, mm; the same in every frame",
    "material": "object that texture_mm belongs to; 0 where nothing was met",
    "moving": "255 where tissue may move by itself between the previous frame and the next",
    "right": "second eye: image, depth, flow from the left picture, occlusion",
    "opacity": "share of the eye's ray that the volume stops, 0 to 1",
    "expected_depth_mm": "mean z at which the volume stops it, mm",
    "first_depth_mm": "z at which its opacity first passes the threshold of first hits, mm",
    "hu": "Hounsfield units at the depth; -1024 where there is none",
    "facts": "json: lights, sensor, instruments, keypoints, objects, tracks",
}

#: What the depth of a data set can mean.
DepthRule = Literal["surface", "half", "expected", "first"]

_RECORDED_VERSIONS = ("endoforge", "numpy", "mitsuba", "drjit")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _RECORDED_VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


class DatasetManifest(Settings):
    """What a data set holds and how to read it."""

    schema_version: Literal[1] = Field(1, description="of this file and of the shards")
    name: str = Field(min_length=1, max_length=200, description="what a person calls it")
    licence: str = Field("Apache-2.0", description="licence of the frames")
    labels: dict[int, str] = Field(description="class names by class index")
    optional_labels: list[str] = Field(
        default_factory=list, description="labels that every frame has besides the usual ones"
    )
    conventions: dict[str, str] = Field(
        default_factory=dict, description="what the numbers mean; all of them if left out"
    )
    depth_scale_mm: float = Field(DEPTH_SCALE_MM, gt=0, description="mm per step of stored depth")
    depth_rule: DepthRule = Field(
        "surface",
        description="what depth means: a surface, or in a volume the place where half of the eye's "
        "ray is stopped, the mean place of stopping, or the first hit; see "
        "docs/concepts/volume-labels.md",
    )
    camera: dict[str, Any] | None = Field(
        None, description="the lens of all frames; null if it differs, each frame has its own"
    )
    seed: int | None = Field(None, ge=0, description="of the simulation; null if not simulated")
    settings: dict[str, Any] = Field(default_factory=dict, description="resolved settings")
    settings_sha256: str = Field("", description="of the settings as canonical JSON")
    sequences: int = Field(ge=1, description="sequences of the complete data set")
    frames: int = Field(ge=1, description="frames of the complete data set")
    provenance: dict[str, str] = Field(
        default_factory=dict, description="where the anatomy came from, with its licence"
    )
    versions: dict[str, str] = Field(default_factory=_versions, description="of what made it")

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = dict(values)
        if not given.get("settings_sha256"):
            given["settings_sha256"] = settings_sha256(given.get("settings", {}))
        if isinstance(labels := given.get("optional_labels", []), list | tuple | set | frozenset):
            given["optional_labels"] = sorted(labels, key=str)
            given.setdefault("conventions", _conventions(given["optional_labels"]))
        return given

    @model_validator(mode="after")
    def _is_possible(self) -> "DatasetManifest":
        if self.settings_sha256 != settings_sha256(self.settings):
            raise ValueError("settings_sha256 does not belong to the settings")
        if self.frames < self.sequences:
            raise ValueError(f"{self.sequences} sequences cannot have {self.frames} frames")
        try:
            LabelMap(self.labels)
            self.lens()
            check_optional_labels(self.optional_labels)
        except (DataError, CameraError) as error:
            raise ValueError(str(error)) from None
        return self

    def label_map(self) -> LabelMap:
        """The classes of the data set."""
        return LabelMap(self.labels)

    def lens(self) -> Camera | None:
        """The lens of all frames; None if it differs."""
        return None if self.camera is None else camera_from_dict(self.camera)


def _conventions(labels: Iterable[Any]) -> dict[str, str]:
    return dict(CONVENTIONS) | {
        label: OPTIONAL_CONVENTIONS[label] for label in labels if label in OPTIONAL_CONVENTIONS
    }


def settings_sha256(settings: Mapping[str, Any]) -> str:
    """Hash of plain settings that does not depend on the order of their keys."""
    return hashlib.sha256(to_json(settings).encode()).hexdigest()


def write_manifest(folder: Path, manifest: DatasetManifest) -> None:
    """Write dataset.json, whole or not at all.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))


def read_manifest(folder: Path) -> DatasetManifest:
    """Read dataset.json.

    Raises:
        DataError: There is none, it is damaged, or it is of another version or convention.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder} is no data set: it has no {MANIFEST}; check the path")
    values = read_json(path)
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != 1:
        raise DataError(f"{path} must have schema_version 1, got {version!r}; update Endoforge")
    try:
        manifest = DatasetManifest.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        got = f"{first.get('input')!r:.80}"
        raise DataError(f"{path}: {where}: {first['msg']} (got {got}); restore the file") from None
    for name, meaning in _conventions(manifest.optional_labels).items():
        if manifest.conventions.get(name) != meaning:
            raise DataError(
                f"{path}: {name} must mean {meaning!r}, got {manifest.conventions.get(name)!r}; "
                "convert the data set"
            )
    return manifest


def open_manifest(folder: Path, manifest: DatasetManifest) -> DatasetManifest:
    """Write dataset.json into a new folder, or make sure that the folder holds the same data set.

    Returns:
        What is on disk now. The versions in it are those of the first run.

    Raises:
        SettingsError: The folder holds a data set of other settings; names the first difference.
        DataError: The folder's dataset.json is damaged.
        StorageError: The folder cannot be written.
    """
    if not (folder / MANIFEST).exists():
        write_manifest(folder, manifest)
        return manifest
    there = read_manifest(folder)
    old, new = (m.model_dump(mode="json", exclude={"versions"}) for m in (there, manifest))
    for part in ("settings", *new):  # the settings say best what differs
        difference = _first_difference(old[part], new[part], "" if part == "settings" else part)
        if difference:
            raise SettingsError(
                f"{folder} holds a data set with {difference}; choose another folder, or the same "
                "settings to continue"
            )
    return there


def _first_difference(old: Any, new: Any, path: str) -> str | None:
    """Say where two plain values differ first, e.g. ``camera.width = 48 instead of 64``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old) | set(new)):
            place = f"{path}.{key}" if path else str(key)
            found = _first_difference(old.get(key), new.get(key), place)
            if found:
                return found
        return None
    return None if old == new else f"{path} = {old!r:.80} instead of {new!r:.80}"
