# SPDX-License-Identifier: Apache-2.0
"""Sample pictures of a translator on its run's page: the same inputs at several steps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from endoforge.evaluation.report.pictures import Image, photograph
from endoforge.frames.media.pictures import read_picture
from endoforge.translation.samples import SAMPLES, sample_files

_SHEETS, _LONGEST = 6, 1100


@dataclass(frozen=True)
class SampleSheet:
    """One grid of inputs and translations."""

    caption: str
    image: Image


def sample_sheets(path: Path, manifest: Mapping[str, Any]) -> Iterator[SampleSheet]:
    """Yield some grids of a run, the newest first, then evenly back to the first one.

    Args:
        path: The run's folder.
        manifest: Of the run; ``samples`` in it says what stands where.

    Raises:
        DataError: A picture is damaged.
    """
    files = sample_files(path / SAMPLES)
    steps = sorted(files)
    if not steps:
        return
    meaning = manifest.get("samples", "")
    places = np.linspace(0, len(steps) - 1, min(_SHEETS, len(steps))).round().astype(int)
    for place in reversed(places.tolist()):
        step = steps[place]
        image = photograph(read_picture(files[step]), f"Samples after step {step:,}", _LONGEST)
        yield SampleSheet(f"After step {step:,}. {meaning}".strip(), image)
