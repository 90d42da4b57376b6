# SPDX-License-Identifier: Apache-2.0
"""Pictures of how far a training is: the same few sources, again and again, in their new look.

They are drawn with the averaged weights after each validation, and leave torch's random numbers
alone.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8

from endoforge.frames.colour import colour_classes
from endoforge.frames.storage import make_folder, write_atomically
from endoforge.translation.domains import Domain
from endoforge.translation.fitting import TranslationRun
from endoforge.translation.planes import PlaneStack
from endoforge.translation.settings import Plane
from endoforge.translation.translator import Translator

#: Folder within a run's.
SAMPLES = "samples"

_LONGEST_TILE, _GAP = 128, 4
_RANDOM, _BORROWED = 3, 2
_MOST_FILES = 40

Tile = UInt8[np.ndarray, "_ _ 3"]
Values = Float32[np.ndarray, "_ _ _"]  # channels, height, width


class SamplePictures:
    """Draws a grid of sources and what the translator makes of them at present.

    A method of one look has sources in the first row and translations below, and for pairs the
    truth below that. One with styles has a row for each source: the source, three random looks, and
    those of two target pictures, which stand above. Without sources all are made from fixed noise.
    """

    def __init__(self, run: TranslationRun, translator: Translator) -> None:
        self._run, self._translator = run, translator
        self._source, self._target = run.held or (run.source, run.target)
        self._count = run.settings.samples
        seed = torch.Generator().manual_seed(run.settings.seed)
        number = self._count**2 if self._source is None else _RANDOM
        self._codes = translator.draw_styles(number, seed)

    @property
    def meaning(self) -> str:
        """What stands where in a grid, for whoever looks at it."""
        if self._source is None:
            return "Made from the same noise each time."
        if self._translator.style_size:
            return (
                f"Left the input, beside it {_RANDOM} random looks that are the same each time, "
                f"then the looks of the {_BORROWED} pictures above."
            )
        paired = ", what it should be in the third" if self._run.method.data == "paired" else ""
        return f"Input in the first row, its translation in the second{paired}."

    def __call__(self, step: int) -> None:
        """Write ``samples/step-….jpg`` of the run's folder.

        Pictures of later steps are removed, and every second one when there are many.

        Raises:
            StorageError: The disk is full, or the folder cannot be written.
        """
        if not self._count:
            return
        folder = self._run.out / SAMPLES
        make_folder(folder)
        picture = np.ascontiguousarray(self.grid()[..., ::-1])
        done, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
        assert done
        write_atomically(folder / f"step-{step:06d}.jpg", packed.tobytes())
        steps = sorted(found := sample_files(folder))
        kept = [one for one in steps if one <= step]
        thinned = set(kept[1:-1:2]) if len(kept) > _MOST_FILES else set()
        for one in steps:
            if one > step or one in thinned:
                found[one].unlink(missing_ok=True)

    @torch.no_grad()
    def grid(self) -> UInt8[np.ndarray, "height width 3"]:
        """Return the grid as it is with the weights that the translator carries."""
        source, target = self._source, self._target
        if source is None:
            return _tiled(self._from_noise())
        chosen = _spread(len(source), self._count)
        given = [self._square(source, index) for index in chosen]
        if self._translator.style_size:
            return _tiled(self._styled(given))
        rows = [
            [self._shown(picture, "source") for picture in given],
            [self._shown(self._made(picture, None), "target") for picture in given],
        ]
        if self._run.method.data == "paired":
            rows.append([self._shown(self._square(target, k), "target") for k in chosen])
        return _tiled(rows)

    # ---- inside ----

    def _styled(self, given: Sequence[Values]) -> list[list[Tile | None]]:
        target = self._target
        lent = [self._square(target, index) for index in _spread(len(target), _BORROWED)]
        codes = [*self._codes, *(self._translator.style_of(self._batch(one))[0] for one in lent)]
        head: list[Tile | None] = [None] * (1 + _RANDOM)
        rows = [[*head, *(self._shown(picture, "target") for picture in lent)]]
        for picture in given:
            made = [self._shown(self._made(picture, code), "target") for code in codes]
            rows.append([self._shown(picture, "source"), *made])
        return rows

    def _from_noise(self) -> list[list[Tile]]:
        side = self._run.settings.pictures.crop
        nothing = np.zeros((0, side, side), np.float32)
        tiles = [self._shown(self._made(nothing, code), "target") for code in self._codes]
        return [tiles[k : k + self._count] for k in range(0, len(tiles), self._count)]

    def _made(self, picture: Values, code: torch.Tensor | None) -> Values:
        batch = self._batch(picture)
        style = None if code is None else code[None].to(batch.device)
        return np.asarray(self._translator(batch, style)[0].float().cpu().numpy(), np.float32)

    def _batch(self, picture: Values) -> torch.Tensor:
        return torch.from_numpy(picture)[None].to(next(self._translator.parameters()).device)

    def _square(self, domain: Domain, index: int) -> Values:
        """The middle of a picture, as large as the training crops."""
        width, height = domain.size(index)
        side = self._run.settings.pictures.crop
        top, left = (height - side) // 2, (width - side) // 2
        return domain.picture(index, slice(top, top + side), slice(left, left + side))

    def _shown(self, picture: Values, side: str) -> Tile:
        pictures = self._run.settings.pictures
        planes = pictures.source_planes if side == "source" else pictures.target_planes
        tile = shown(picture, PlaneStack(planes, classes=self._run.classes))
        length = max(tile.shape[:2])
        if length <= _LONGEST_TILE:
            return tile
        size = [round(edge * _LONGEST_TILE / length) for edge in tile.shape[1::-1]]
        return np.asarray(cv2.resize(tile, size, interpolation=cv2.INTER_AREA), np.uint8)


def sample_files(folder: Path) -> dict[int, Path]:
    """Return the pictures in a folder of samples by the step that they were drawn at."""
    files = (file for file in folder.glob("step-*.jpg") if file.stem[5:].isdecimal())
    return {int(file.stem[5:]): file for file in files}


def shown(picture: Values, stack: PlaneStack) -> UInt8[np.ndarray, "height width 3"]:
    """Draw channels in [-1, 1]: their picture if they have one, else their first plane.

    Args:
        picture: The channels.
        stack: What they are; where it has another number of channels they are a foreign picture's.
    """
    plane: Plane = "image" if "image" in stack.planes else stack.planes[0]
    if len(picture) == stack.channels:
        before = stack.planes[: stack.planes.index(plane)]
        first = PlaneStack(before, classes=stack.classes).channels
        if plane == "labels":
            inside = picture[first : first + len(stack.classes)]
            return colour_classes(np.asarray(stack.classes, np.uint8)[inside.argmax(axis=0)])
        picture = picture[first : first + PlaneStack((plane,)).channels]
    three = picture[:3] if len(picture) >= 3 else picture[:1].repeat(3, axis=0)
    values = ((three + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(values.transpose(1, 2, 0))


def _spread(total: int, count: int) -> list[int]:
    """Places that are spread evenly over all, as many as asked for or there are."""
    places = (np.arange(min(count, total)) + 0.5) * total / min(count, total)
    return [int(place) for place in places]


def _tiled(rows: Sequence[Sequence[Tile | None]]) -> UInt8[np.ndarray, "height width 3"]:
    """Put tiles of one size into a grid on white; None leaves a place free."""
    side = next(tile for row in rows for tile in row if tile is not None).shape[:2]
    tall, wide = side[0] + _GAP, side[1] + _GAP
    columns = max(len(row) for row in rows)
    grid = np.full((len(rows) * tall - _GAP, columns * wide - _GAP, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            if tile is not None:
                grid[i * tall :, j * wide :][: side[0], : side[1]] = tile
    return grid
