# SPDX-License-Identifier: Apache-2.0
"""Maps of style banks on a run's page: which looks a set of real pictures has."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endoforge.errors import DataError
from endoforge.evaluation.report.pictures import Image, photograph
from endoforge.frames.media.pictures import read_picture
from endoforge.frames.storage import read_json

#: What translation writes into a style bank's folder.
BANK_KIND, BANK_FILE, BANK_MAP = "style-bank", "styles.json", "map.png"

_LONGEST = 1100


@dataclass(frozen=True)
class StyleMap:
    """One bank's map."""

    title: str
    caption: str
    image: Image


def is_style_bank(path: Path) -> bool:
    """Whether a folder is a style bank with a map."""
    return (path / BANK_MAP).is_file() and _content(path) is not None


def style_maps(path: Path) -> Iterator[StyleMap]:
    """Yield the maps of the banks in a folder and in those right below it.

    Raises:
        DataError: A map is damaged.
    """
    below = sorted(one for one in path.iterdir() if one.is_dir() and not one.is_symlink())
    for folder in (path, *below):
        if is_style_bank(folder):
            yield _map(folder, _content(folder) or {})


def _content(folder: Path) -> dict[str, Any] | None:
    file = folder / BANK_FILE
    try:
        values = read_json(file) if file.is_file() else None
    except DataError:
        return None
    return values if isinstance(values, dict) and values.get("kind") == BANK_KIND else None


def _map(folder: Path, content: dict[str, Any]) -> StyleMap:
    sizes, shares = content.get("group_sizes", []), content.get("shares", [])
    groups = ", ".join(f"group {number}: {size}" for number, size in enumerate(sizes))
    explained = sum(float(share) for share in shares[:2])
    caption = (
        f"Style codes of {len(content.get('names', [])):,} pictures on their first two principal "
        f"components ({explained:.0%} of the variance), with thumbnails. Pictures in {groups}."
    )
    image = photograph(read_picture(folder / BANK_MAP), "Map of styles with thumbnails", _LONGEST)
    return StyleMap(folder.resolve().name, caption, image)
