# SPDX-License-Identifier: Apache-2.0
"""The looks of a hospital: style codes of its pictures, on a map, in groups, and sealed on disk.

The map shows the first two principal components; groups are found by k-means on the codes.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8

from endoforge.errors import CheckpointError, DataError, SettingsError
from endoforge.frames.colour import class_colour
from endoforge.frames.storage import sha256_of, write_atomically
from endoforge.streams import stream
from endoforge.training.sealed import read_sealed, write_sealed
from endoforge.translation.domains import Domain, Progress, open_domain
from endoforge.translation.ready import ReadyTranslator
from endoforge.translation.translate_settings import StyleBankSettings

KIND, NAME, FORMAT_VERSION = "style-bank", "styles", 1

#: File name of the drawn map within the bank's folder.
MAP = "map.png"

_MAP_PX = (1500, 1100)
_THUMBNAIL_PX = 84
_MARGIN_PX = 60
_ROUNDS = 100


@dataclass(frozen=True, eq=False)
class StyleBank:
    """Style codes of pictures, with their map and groups.

    Attributes:
        codes: One per picture.
        names: Of the pictures.
        group: Number of each picture's group, from 0, the largest first.
        place: On the map: first and second principal component.
        shares: Of the variance that the first components explain.
        weights_sha256: Of the model that read the codes.
        sha256: Of the bank's codes.
    """

    codes: Float32[np.ndarray, "pictures size"]
    names: tuple[str, ...]
    group: Int64[np.ndarray, " pictures"]
    place: Float32[np.ndarray, "pictures 2"]
    shares: tuple[float, ...]
    weights_sha256: str
    sha256: str = ""

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1

    def members(self, group: int) -> Int64[np.ndarray, " members"]:
        """Numbers of the pictures of a group.

        Raises:
            SettingsError: There is no such group.
        """
        if not 0 <= group < self.groups:
            raise SettingsError(
                f"style_group must be 0 to {self.groups - 1}, got {group}; look at {MAP} in the "
                "style bank"
            )
        return np.flatnonzero(self.group == group)


def make_style_bank(
    ready: ReadyTranslator,
    paths: Sequence[Path],
    out: Path,
    settings: StyleBankSettings,
    progress: Progress | None = None,
) -> StyleBank:
    """Read the style codes of pictures, group them, draw the map and write everything.

    Args:
        ready: A model with styles.
        paths: Folders of pictures, videos, data sets.
        out: The bank's folder: styles.safetensors, styles.json and map.png.
        settings: How many groups, how many pictures.
        progress: Called with (pictures done, pictures in all).

    Raises:
        SettingsError: The method has no styles.
        DataError: There are no pictures, or damaged ones.
        StorageError: The disk is full or the folder cannot be written.
    """
    ready.refuse_without_styles()
    cache = out.parent / f".{out.name}-cache"
    domain = open_domain(paths, settings.pictures(), cache, "target")
    if domain.channels != ready.translator.channels.target:
        raise DataError(
            f"the model's looks are pictures of {ready.translator.channels.target} channels, got "
            f"{domain.channels} in {paths[0]}; give pictures as it was trained on"
        )
    spread = np.linspace(0, len(domain) - 1, min(len(domain), settings.most)).round()
    domain = domain.chosen(np.unique(spread.astype(np.int64)))
    codes = _codes_of(ready, domain, settings, progress)
    bank = bank_of(codes, domain.names, settings, ready.weights_sha256)
    thumbnails = [thumbnail(domain, index) for index in range(len(domain))]
    _write(out, bank, ready.method)
    drawn = cv2.imencode(".png", draw_map(bank, thumbnails)[..., ::-1])[1].tobytes()
    write_atomically(out / MAP, drawn)
    shutil.rmtree(cache, ignore_errors=True)
    return read_style_bank(out, ready.weights_sha256)


def read_style_bank(folder: Path, weights_sha256: str) -> StyleBank:
    """Read a style bank.

    Raises:
        CheckpointError: There is none, it is damaged, or of another model.
    """
    tensors, content = read_sealed(folder, NAME, KIND, FORMAT_VERSION)
    made = str(content.get("weights_sha256"))
    if made != weights_sha256:
        raise CheckpointError(
            f"the style bank {folder} was made with the model {made[:12]}…, got the model "
            f"{weights_sha256[:12]}…; make a bank with endoforge styles and this model"
        )
    return StyleBank(
        codes=tensors["codes"].numpy(),
        names=tuple(content["names"]),
        group=tensors["group"].numpy(),
        place=tensors["place"].numpy(),
        shares=tuple(content["shares"]),
        weights_sha256=made,
        sha256=sha256_of(folder / f"{NAME}.safetensors"),
    )


def bank_of(
    codes: Float32[np.ndarray, "pictures size"],
    names: Sequence[str],
    settings: StyleBankSettings,
    weights_sha256: str,
) -> StyleBank:
    """Put codes on a map and into groups."""
    centred = codes.astype(np.float64) - codes.mean(axis=0)
    _, strength, axes = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])  # else by chance
    place = centred @ (axes * signs[:, None])[:2].T
    place = np.pad(place, ((0, 0), (0, 2 - place.shape[1])))
    power = strength**2 / max(float((strength**2).sum()), 1e-30)
    group = group_codes(codes, settings.groups, settings.seed)
    shares = tuple(round(float(share), 6) for share in power[:8])
    return StyleBank(codes, tuple(names), group, place.astype(np.float32), shares, weights_sha256)


def group_codes(
    codes: Float32[np.ndarray, "pictures size"], groups: int, seed: int
) -> Int64[np.ndarray, " pictures"]:
    """Group codes by k-means; fewer groups where there are fewer different codes.

    Source:
        Lloyd, *Least squares quantization in PCM*, 1982; first centres as in Arthur and
        Vassilvitskii, *k-means++*, 2007.

    Returns:
        The number of each code's group, from 0, the largest group first.
    """
    points = codes.astype(np.float64)
    rng = stream(seed, "style groups")
    centres = points[[int(rng.integers(len(points)))]]
    while len(centres) < min(groups, len(points)):
        away = _squared_distances(points, centres).min(axis=1)
        if away.sum() <= 0:
            break
        centres = np.vstack([centres, points[rng.choice(len(points), p=away / away.sum())]])
    group = _squared_distances(points, centres).argmin(axis=1)
    for _ in range(_ROUNDS):
        for number in np.unique(group):
            centres[number] = points[group == number].mean(axis=0)
        following = _squared_distances(points, centres).argmin(axis=1)
        if np.array_equal(following, group):
            break
        group = following
    there, counts = np.unique(group, return_counts=True)
    order = there[np.argsort(-counts, kind="stable")]
    rank = np.zeros(int(group.max()) + 1, np.int64)
    rank[order] = np.arange(len(order))
    return np.asarray(rank[group])


def thumbnail(domain: Domain, index: int) -> UInt8[np.ndarray, "height width 3"]:
    """A small picture to look at."""
    picture = ((domain.picture(index)[:3] + 1) * 127.5).round().astype(np.uint8)
    shown = np.ascontiguousarray(picture.transpose(1, 2, 0))
    shown = shown.repeat(3, axis=-1) if shown.shape[-1] == 1 else shown
    scale = _THUMBNAIL_PX / max(shown.shape[:2])
    size = (max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale)))
    return np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))


def draw_map(
    bank: StyleBank, thumbnails: Sequence[UInt8[np.ndarray, "_ _ 3"]]
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the pictures at their places, framed in the colour of their group, with a legend."""
    width, height = _MAP_PX
    canvas = np.full((height, width, 3), 250, np.uint8)
    centres = _on_canvas(bank.place)
    taken: list[tuple[float, float]] = []
    for index in _spread_out(bank):
        u, v = centres[index]
        if any(
            abs(u - a) < 0.9 * _THUMBNAIL_PX and abs(v - b) < 0.8 * _THUMBNAIL_PX for a, b in taken
        ):
            colour = group_colour(int(bank.group[index]))
            cv2.circle(canvas, (round(float(u)), round(float(v))), 3, colour, -1, cv2.LINE_AA)
            continue
        taken.append((float(u), float(v)))
        _paste(canvas, thumbnails[index], (float(u), float(v)), int(bank.group[index]))
    _legend(canvas, bank)
    return canvas


def group_colour(group: int) -> tuple[int, int, int]:
    """Colour of a group, red, green, blue."""
    return class_colour(group + 1)


# ---- inside -------------------------------------------------------------------------------------


def _codes_of(
    ready: ReadyTranslator, domain: Domain, settings: StyleBankSettings, progress: Progress | None
) -> Float32[np.ndarray, "pictures size"]:
    """Codes of what counts in all pictures, as in training."""
    found = []
    with torch.inference_mode():
        for index in range(len(domain)):
            found.append(ready.style_of_values(domain.picture(index), domain.counts(index)))
            if progress is not None:
                progress(index + 1, len(domain))
    return np.stack(found).round(6).astype(np.float32)


def _write(out: Path, bank: StyleBank, method: str) -> None:
    tensors = {"codes": bank.codes, "group": bank.group, "place": bank.place}
    content = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "method": method,
        "names": list(bank.names),
        "shares": list(bank.shares),
        "weights_sha256": bank.weights_sha256,
        "group_sizes": np.bincount(bank.group).tolist(),
    }
    write_sealed(out, NAME, {k: torch.from_numpy(v) for k, v in tensors.items()}, content)


def _squared_distances(
    points: Float[np.ndarray, "points size"], centres: Float[np.ndarray, "centres size"]
) -> Float[np.ndarray, "points centres"]:
    return np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=1)


def _on_canvas(place: Float32[np.ndarray, "pictures 2"]) -> Float[np.ndarray, "pictures 2"]:
    """Places in px; the farthest two per cent are drawn at the edge."""
    low, high = np.percentile(place, [1, 99], axis=0)
    share = np.clip((place - low) / np.maximum(high - low, 1e-9), 0, 1)
    room = np.array(_MAP_PX) - 2 * _MARGIN_PX - [0, 40]
    flipped = np.stack([share[:, 0], 1 - share[:, 1]], axis=1)
    return np.asarray(_MARGIN_PX + flipped * room, np.float64)


def _spread_out(bank: StyleBank) -> list[int]:
    """Pictures in turn of their groups, so that each group is seen."""
    rank = np.zeros(len(bank.group), np.int64)
    for group in range(bank.groups):
        members = bank.members(group)
        rank[members] = np.arange(len(members))
    return [int(index) for index in np.lexsort((bank.group, rank))]


def _paste(
    canvas: UInt8[np.ndarray, "height width 3"],
    picture: UInt8[np.ndarray, "tall wide 3"],
    centre: tuple[float, float],
    group: int,
) -> None:
    tall, wide = picture.shape[:2]
    left, upper = round(centre[0] - wide / 2), round(centre[1] - tall / 2)
    left, upper = max(3, left), max(3, upper)
    right, lower = min(left + wide, canvas.shape[1] - 3), min(upper + tall, canvas.shape[0] - 3)
    canvas[upper:lower, left:right] = picture[: lower - upper, : right - left]
    corners = (left - 2, upper - 2), (right + 1, lower + 1)
    cv2.rectangle(canvas, *corners, group_colour(group), 3)


def _legend(canvas: UInt8[np.ndarray, "height width 3"], bank: StyleBank) -> None:
    v = canvas.shape[0] - 16
    shares = " and ".join(f"{100 * share:.0f} %" for share in bank.shares[:2])
    text = f"{len(bank.names)} pictures; the axes show {shares} of the variance"
    cv2.putText(canvas, text, (20, v), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    u = 620
    for group in range(bank.groups):
        cv2.rectangle(canvas, (u, v - 12), (u + 14, v + 2), group_colour(group), -1)
        label = f"{group} ({len(bank.members(group))})"
        where = (u + 20, v)
        cv2.putText(canvas, label, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, 16)
        u += 30 + 11 * len(label)
