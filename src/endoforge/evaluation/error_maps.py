# SPDX-License-Identifier: Apache-2.0
"""Pictures of where a depth model is wrong: input, truth, estimate, relative error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.frames.colour import DEPTH_SCALE, ERROR_SCALE, colour_values
from endoforge.frames.frame import Frame
from endoforge.frames.png import encode_png
from endoforge.frames.storage import write_atomically

FOLDER = "error_maps"


@dataclass(frozen=True, eq=False)
class ErrorMap:
    """One frame with its estimate.

    Attributes:
        sequence: Of the frame.
        index: Of the frame within its sequence.
        image: The input.
        depth_mm: The truth, mm; NaN where the pixel does not count.
        predicted_mm: The estimate, mm.
        abs_rel: Mean relative error of the frame, without alignment.
    """

    sequence: int
    index: int
    image: UInt8[np.ndarray, "height width 3"]
    depth_mm: Float32[np.ndarray, "height width"]
    predicted_mm: Float32[np.ndarray, "height width"]
    abs_rel: float

    @classmethod
    def of(
        cls,
        frame: Frame,
        predicted_mm: Float32[np.ndarray, "height width"],
        counts: Bool[np.ndarray, "height width"],
    ) -> "ErrorMap":
        """Keep what is needed to draw the error of one frame."""
        depth_mm = np.where(counts, frame.depth_mm, np.float32(np.nan))
        relative = np.abs(predicted_mm - depth_mm)[counts] / depth_mm[counts]
        abs_rel = float(relative.mean()) if relative.size else 0.0
        return cls(frame.sequence, frame.index, frame.image, depth_mm, predicted_mm, abs_rel)

    def panels(self) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """The four pictures by name."""
        relative = np.abs(self.predicted_mm - self.depth_mm) / self.depth_mm
        return {
            "image": self.image,
            "truth": colour_values(self.depth_mm, DEPTH_SCALE),
            "estimate": colour_values(self.predicted_mm, DEPTH_SCALE),
            "error": colour_values(relative, ERROR_SCALE),
        }


def write_error_maps(
    out: Path, maps: Sequence[tuple[str, ErrorMap]]
) -> tuple[Mapping[str, Any], ...]:
    """Write the panels of each map below a folder and return what the result file says of them.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    for old in (out / FOLDER).glob("*.png"):
        old.unlink(missing_ok=True)
    records = []
    for number, (reason, error_map) in enumerate(maps):
        files = {}
        for panel, picture in error_map.panels().items():
            files[panel] = f"{FOLDER}/{number:02d}-{panel}.png"
            write_atomically(out / files[panel], encode_png(picture))
        records.append(
            {
                "sequence": error_map.sequence,
                "frame": error_map.index,
                "chosen": reason,
                "abs_rel": round(error_map.abs_rel, 5),
                "files": files,
            }
        )
    return tuple(records)
