# SPDX-License-Identifier: Apache-2.0
"""The way through the pictures of a file or folder, each drawn once, into a film or not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Bool, UInt8

from endoforge.errors import DataError
from endoforge.frames.content import ContentMask, content_mask
from endoforge.frames.media.media import Media, Picture, Problem
from endoforge.frames.media.video import writing_video
from endoforge.frames.storage import write_atomically
from endoforge.serving.panels import Layout

#: Estimates, draws and writes one picture, of which these pixels show tissue; returns the drawing.
Draw = Callable[
    [Picture, Bool[np.ndarray, "height width"], Layout],
    UInt8[np.ndarray, "canvas_height canvas_width 3"],
]


@dataclass
class Passage:
    """One way through the pictures.

    Attributes:
        media: Where they come from.
        limit: At most so many; None for all.
        panel_px: Width of a panel of the drawings, px.
        problems: What could not be read, so far.
    """

    media: Media
    limit: int | None
    panel_px: int
    problems: list[Problem] = field(default_factory=list)

    @property
    def expected(self) -> int | None:
        """How many pictures there will be, where that is known."""
        known = [n for n in (self.media.expected_frames, self.limit) if n is not None]
        return min(known) if known else None

    @property
    def refused(self) -> int:
        """Pictures that could not be read."""
        return sum(problem.refused for problem in self.problems)

    def work(self, out: Path, draw: Draw) -> None:
        """Go through all pictures; their drawings become ``video.mp4`` where there are several.

        Args:
            out: Folder of the results.
            draw: Called for each picture.

        Raises:
            DataError: No picture can be used.
            StorageError: The disk is full or `out` cannot be written.
        """
        if self.media.kind == "picture":
            self._through(draw, None)
        else:
            write_atomically(out / "video.mp4", lambda film: self._through(draw, film))

    # ---- inside ----

    def _through(self, draw: Draw, film: BinaryIO | None) -> None:
        pictures = self._pictures()
        first = next(pictures, None)
        if first is None:
            reasons = "; ".join(problem.reason for problem in self.problems[:3])
            raise DataError(f"no picture of {self.media.path} can be used: {reasons or 'no frame'}")
        height, width = first.image.shape[:2]
        layout = Layout.fitting(width, height, self.panel_px)
        content = ContentMask().update if self.media.kind == "video" else content_mask
        if film is None:
            draw(first, content(first.image), layout)
            return
        size = (layout.canvas_width, layout.canvas_height)
        with writing_video(film, *size, self.media.frames_per_second) as writer:
            for picture in chain([first], pictures):
                writer.add(draw(picture, content(picture.image), layout), picture.time_s)

    def _pictures(self) -> Iterator[Picture]:
        for item in self.media.read(self.limit):
            if isinstance(item, Problem):
                self.problems.append(item)
            else:
                yield item
