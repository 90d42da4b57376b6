# SPDX-License-Identifier: Apache-2.0
"""A patient: what all sequences share, read from the user's files once per data set.

Colons are extracted whole; of an abdomen the organs are kept, and the rest is drawn around them for
every sequence.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import assert_never

from pydantic import TypeAdapter

from endoforge.errors import SettingsError
from endoforge.frames.manifest import MANIFEST
from endoforge.frames.storage import make_folder, sha256_of_all, to_json
from endoforge.optics.illumination import read_panorama
from endoforge.optics.transfer_file import read_transfer
from endoforge.scene.anatomy.abdomen import build as abdomen
from endoforge.scene.anatomy.abdomen.given import Given
from endoforge.scene.anatomy.abdomen.labels import TOTAL_SEGMENTATOR
from endoforge.scene.anatomy.abdomen.settings import (
    AbdomenSettings,
    AnyAbdomen,
    CtAbdomen,
    MeshAbdomen,
)
from endoforge.scene.anatomy.build import DRAWN_PROVENANCE, Anatomy, build_anatomy
from endoforge.scene.anatomy.settings import ColonSettings, MaskAnatomy, MeshAnatomy
from endoforge.scene.records import ABDOMEN_LABELS, COLON_LABELS, volume_labels
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.settings import PHANTOM_PROVENANCE, CtFile
from endoforge.simulation.anatomy_file import ANATOMY_FILE, read_anatomy, write_anatomy
from endoforge.simulation.organs_file import ORGANS_FILE, read_organs, write_organs
from endoforge.simulation.settings import (
    AnySimulation,
    CinematicSimulation,
    ColonSimulation,
    LaparoscopySimulation,
)
from endoforge.simulation.volumes import room_for, volume_of
from endoforge.streams import stream

#: What sequences share: a colon, or the organs of an abdomen.
Patient = Anatomy | Given

#: Whatever a recipe may say under `anatomy`.
AnyAnatomy = (
    ColonSettings
    | MaskAnatomy
    | MeshAnatomy
    | AbdomenSettings
    | CtAbdomen
    | MeshAbdomen
    | CtFile
    | PhantomSettings
)

_ABDOMEN: TypeAdapter[AbdomenSettings | CtAbdomen | MeshAbdomen] = TypeAdapter(AnyAbdomen)


def prepare_patient(settings: AnySimulation, folder: Path) -> tuple[Path | None, dict[str, str]]:
    """Read the user's files once, into one file of the data set's folder.

    Returns:
        That file, None for what is drawn anew for every sequence, and where the anatomy came from.

    Raises:
        SceneError, DataError: The user's files cannot be used, or the file there is damaged.
        SettingsError: A transfer function cannot be drawn.
        StorageError: The folder cannot be written.
    """
    if isinstance(settings, CinematicSimulation):
        _check_looks(settings)
    match settings.anatomy:
        case ColonSettings():
            return None, dict(DRAWN_PROVENANCE)
        case AbdomenSettings():
            return None, dict(abdomen.DRAWN_PROVENANCE)
        case MaskAnatomy() | MeshAnatomy():
            file = folder / ANATOMY_FILE
            if not file.exists():
                anatomy = build_anatomy(settings.anatomy, stream(settings.seed, "anatomy"))
                make_folder(folder)
                write_anatomy(file, anatomy)
            return file, dict(read_anatomy(file).provenance)
        case CtAbdomen() | MeshAbdomen():
            file = folder / ORGANS_FILE
            if not file.exists():
                organs = abdomen.given_by(settings.anatomy)
                make_folder(folder)
                write_organs(file, organs)
            return file, dict(read_organs(file).record)
        case PhantomSettings():
            return None, dict(PHANTOM_PROVENANCE)
        case CtFile():  # large, and the patient's: read again by every worker, copied nowhere
            return None, _known_of_ct(settings, settings.anatomy, folder)
        case _:
            assert_never(settings.anatomy)


def _known_of_ct(settings: AnySimulation, anatomy: CtFile, folder: Path) -> dict[str, str]:
    """Where a CT came from; one that no sequence could use is refused before the first."""
    known = volume_of(anatomy, 0, 0).provenance
    if isinstance(settings, CinematicSimulation) and not (folder / MANIFEST).exists():
        room_for(settings, 0)
    hashes = (sha256_of_all(source) for source in _sources_of(anatomy))
    return {**known, "sha256": ", ".join(hashes)}


def _check_looks(settings: CinematicSimulation) -> None:
    """Refuse the user's transfer function or panorama before any work is done."""
    if settings.transfer.file is not None:
        read_transfer(settings.transfer.file)
    if settings.illumination.picture is not None:
        read_panorama(settings.illumination.picture)


def class_names(settings: AnySimulation) -> Mapping[int, str]:
    """Names of the classes that this simulation's pixels belong to.

    Raises:
        DataError, SceneError: The user's CT cannot be used.
    """
    match settings:
        case ColonSimulation():
            return COLON_LABELS
        case LaparoscopySimulation():
            return ABDOMEN_LABELS
        case CinematicSimulation(anatomy=CtFile() as anatomy):
            return volume_labels(volume_of(anatomy, 0, 0).organ_names)
        case CinematicSimulation():
            return volume_labels(dict(enumerate(TOTAL_SEGMENTATOR, start=1)))
        case _:
            assert_never(settings)


def read_patient(file: Path | None) -> Patient | None:
    """Read the file that `prepare_patient` made, if any.

    Raises:
        DataError: It is damaged.
    """
    if file is None:
        return None
    return read_organs(file) if file.name == ORGANS_FILE else read_anatomy(file)


def organs_of(settings: AbdomenSettings | CtAbdomen | MeshAbdomen) -> Given:
    """The organs of an abdomen for whoever has no file of them; the same ones.

    Raises:
        SceneError, DataError: The user's files cannot be used.
    """
    if isinstance(settings, AbdomenSettings):
        return abdomen.NOTHING
    hashes = tuple(sha256_of_all(source) for source in _sources_of(settings))
    return _remembered(to_json(settings.model_dump(mode="json")), hashes)


@lru_cache(maxsize=1)
def _remembered(settings_json: str, hashes: tuple[str, ...]) -> Given:
    """The organs of files whose content has these hashes."""
    settings = _ABDOMEN.validate_json(settings_json)
    assert hashes
    assert not isinstance(settings, AbdomenSettings)
    return abdomen.given_by(settings)


def refuse_another_patient(
    settings: AnySimulation, folder: Path, provenance: Mapping[str, str]
) -> None:
    """Make sure that the user's files, where they are still there, are those of the first run.

    Raises:
        SettingsError: Names the file or folder that changed.
    """
    sources = _sources_of(settings.anatomy)
    known = re.findall(r"\w+", provenance.get("sha256", ""))
    for source, before in zip(sources, known, strict=False):
        now = sha256_of_all(source) if source.exists() else before
        if now != before:
            raise SettingsError(
                f"{source} changed since {folder} was begun (SHA-256 {before} then, {now} now); "
                "restore it, or choose another folder"
            )


def _sources_of(
    anatomy: AnyAnatomy,
) -> tuple[Path, ...]:
    """The user's files and folders, in the order of their hashes in the record."""
    match anatomy:
        case MaskAnatomy(mask=source) | MeshAnatomy(mesh=source):
            return (source,)
        case CtAbdomen(masks=masks, meshes=meshes):
            return (masks, *(mesh.file for mesh in meshes))
        case MeshAbdomen(meshes=meshes):
            return tuple(mesh.file for mesh in meshes)
        case CtFile(ct=ct, masks=masks):
            return (ct,) if masks is None else (ct, masks)
        case _:
            return ()
