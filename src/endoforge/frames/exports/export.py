# SPDX-License-Identifier: Apache-2.0
"""Export of a whole data set: one function, one folder, one format of others at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from endoforge.errors import DataError, SettingsError
from endoforge.frames.dataset import Dataset
from endoforge.frames.exports.coco import write_coco
from endoforge.frames.exports.folder import write_exr_folder, write_png_folder
from endoforge.frames.exports.hdf5 import write_hdf5
from endoforge.frames.exports.nerfstudio import write_nerfstudio
from endoforge.frames.exports.ply import write_clouds
from endoforge.frames.exports.poses import write_kitti, write_tum
from endoforge.frames.storage import folder_atomically

Progress = Callable[[int, int], None]
Tick = Callable[[], None]
Writer = Callable[[Dataset, Path, Tick], None]

#: What writes each format into a new folder; it calls back once per frame.
WRITERS: Mapping[str, Writer] = {
    "png": write_png_folder,
    "exr": write_exr_folder,
    "coco": write_coco,
    "hdf5": write_hdf5,
    "kitti": write_kitti,
    "tum": write_tum,
    "nerfstudio": write_nerfstudio,
    "ply": write_clouds,
}

#: Every format by name.
FORMATS = tuple(WRITERS)


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        out: The new folder.
        format: Its format.
        frames: How many frames were exported.
        files: How many files it has.
        bytes: Their size together.
        rejected: Frames that were left out because an audit rejected them.
    """

    out: Path
    format: str
    frames: int
    files: int
    bytes: int
    rejected: int = 0


def export_dataset(
    dataset: Path,
    format: str,
    out: Path,
    progress: Progress | None = None,
    with_rejected: bool = False,
) -> ExportReport:
    """Write the frames of a data set in another format; the folder is whole or not there.

    Args:
        dataset: The data set's folder.
        format: One of `FORMATS`.
        out: A new or empty folder.
        progress: Called with (frames done, frames in all).
        with_rejected: Write frames too that an audit rejected.

    Raises:
        SettingsError: The format is unknown.
        DataError: The data set is damaged, all its frames are rejected, it cannot be said in this
            format, or `out` is not empty.
        StorageError: The disk is full, or the folder cannot be written.
        MissingDependency: The format needs a package that is not installed.
    """
    if format not in WRITERS:
        raise SettingsError(f"there is no format {format!r}; known: {', '.join(FORMATS)}")
    source = Dataset.open(dataset, with_rejected=with_rejected)
    total = len(source) - len(source.left_out)
    if total == 0:
        raise DataError(
            f"the audit rejected all {len(source)} frames of {dataset}; translate anew, or export "
            "with rejected frames"
        )
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    with folder_atomically(out) as folder:
        WRITERS[format](source, folder, tick)
    sizes = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    return ExportReport(out, format, done, len(sizes), sum(sizes), len(source.left_out))
