# SPDX-License-Identifier: Apache-2.0
"""What a run leaves beside its pictures: one line per frame and the manifest around them."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from endoforge.errors import DataError
from endoforge.frames.media.media import Media, Problem
from endoforge.frames.storage import make_folder, read_json, remove_strays, write_json
from endoforge.serving.settings import RunSettings

if TYPE_CHECKING:
    from endoforge.serving.results import Lens

#: Tells a manifest of this stage from others.
RUN_KIND = "endoforge depth run"
FORMAT_VERSION = 1

NO_TRUTH = (
    "There is no ground truth for these pictures. The depth is an estimate by a network that was "
    "trained on simulated frames; its scale in millimetres is not verified on real ones."
)

_RESULT_FOLDERS = {"depth": "*.png", "side_by_side": "*.png", "points": "*.ply"}
_PACKAGES = ("endoforge", "torch", "numpy", "av", "opencv-python-headless", "pillow")


@dataclass(frozen=True)
class FrameRecord:
    """One picture's line in the manifest; files are relative to the run's folder.

    Attributes:
        name: Of the picture.
        time_s: From the start of the video, seconds.
        trusted: False when the picture shows nothing that depth could be taken from.
        reasons: Why it is not trusted.
        depth: 16-bit depth.
        side_by_side: Input and depth beside each other; None when not wanted for this frame.
        panels: Where the input and the depth lie in it: left, top, width, height, px.
        points: Point cloud; None when not wanted or not trusted.
        content: Share of pixels that have depth.
        depth_mm: Near (p5), middle (median) and far (p95) depth, mm.
    """

    name: str
    time_s: float
    trusted: bool
    reasons: tuple[str, ...]
    depth: str
    side_by_side: str | None
    panels: Sequence[Sequence[int]]
    points: str | None
    content: float
    depth_mm: Mapping[str, float | None]


@dataclass(frozen=True)
class RunRecord:
    """Everything about a run that is not a frame.

    Attributes:
        settings: As given.
        media: What the pictures came from.
        lens: The camera, or the one that is assumed.
        model: Name and card of the depth network.
        adapted_by: Name, method and hash of the translator before it; None without one.
    """

    settings: RunSettings
    media: Media
    lens: "Lens"
    model: Mapping[str, Any]
    adapted_by: Mapping[str, Any] | None = None

    def write(
        self,
        out: Path,
        frames: Sequence[FrameRecord],
        problems: Sequence[Problem],
        seconds: float,
    ) -> None:
        """Write ``manifest.json``; it is the last file, so a run that has one is complete.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        video = "video.mp4" if (out / "video.mp4").exists() else None
        write_json(
            out / "manifest.json",
            {
                "kind": RUN_KIND,
                "format_version": FORMAT_VERSION,
                "complete": True,
                "note": NO_TRUTH,
                "input": {"name": self.media.path.name, "kind": self.media.kind},
                "model": dict(self.model),
                "adapted_by": None if self.adapted_by is None else dict(self.adapted_by),
                "camera": self.lens.to_dict(),
                "depth": {"unit": "mm", "meaning": "z in the camera frame", "invalid": 0},
                "colour_range_mm": list(self.settings.range_mm),
                "settings": self.settings.model_dump(mode="json"),
                "counts": _counts(frames, problems),
                "problems": [asdict(problem) for problem in problems],
                "video": video,
                "frames": [asdict(frame) for frame in frames],
                "seconds": round(seconds, 3),
                "versions": _versions(),
            },
        )


def prepare_folder(
    out: Path,
    source: Path,
    kind: str = RUN_KIND,
    results: Mapping[str, str] = _RESULT_FOLDERS,
) -> None:
    """Make the folder, and remove the results of an earlier run from it, but nothing else.

    Args:
        out: The folder.
        source: What the pictures come from.
        kind: Of the run, as its manifest says.
        results: Which files an earlier run of this kind left, by folder.

    Raises:
        DataError: The folder holds something else, or the input lies in it.
        StorageError: It cannot be written.
    """
    if out.resolve() == source.resolve() or out.resolve() in source.resolve().parents:
        raise DataError(f"{source} lies in the folder {out} that results go to; choose another")
    make_folder(out)
    manifest = out / "manifest.json"
    if manifest.exists():
        _check_ours(manifest, kind)
    elif entries := [entry.name for entry in out.iterdir() if not entry.name.startswith(".")]:
        raise DataError(
            f"{out} holds {len(entries)} files of something else (e.g. {sorted(entries)[0]!r}); "
            "choose an empty or a new folder"
        )
    write_json(manifest, {"kind": kind, "format_version": FORMAT_VERSION, "complete": False})
    remove_strays(out)
    (out / "video.mp4").unlink(missing_ok=True)
    for folder, pattern in results.items():
        remove_strays(out / folder)
        for file in (out / folder).glob(pattern):
            file.unlink(missing_ok=True)


def model_facts(model: object, predictor: object) -> dict[str, Any]:
    """Name and card of the model, as far as it has them."""
    name = str(model) if isinstance(model, str | Path) else type(predictor).__name__
    card = getattr(predictor, "card", None)
    return {"name": Path(name).name, "card": dict(card) if isinstance(card, Mapping) else None}


# ---- inside -------------------------------------------------------------------------------------


def _check_ours(manifest: Path, expected: str) -> None:
    found = read_json(manifest)
    kind = found.get("kind") if isinstance(found, dict) else None
    if kind != expected:
        raise DataError(
            f"{manifest} belongs to something else (kind {kind!r}, expected {expected!r}); "
            "choose an empty or a new folder"
        )


def _counts(frames: Sequence[FrameRecord], problems: Sequence[Problem]) -> dict[str, int]:
    return {
        "written": len(frames),
        "not_trusted": sum(not frame.trusted for frame in frames),
        "refused": sum(problem.refused for problem in problems),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
