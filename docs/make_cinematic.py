# SPDX-License-Identifier: Apache-2.0
"""Make the README's cinematic strip, from the synthetic CT: ``python docs/make_cinematic.py``.

The body from outside, a view in its colon, and the depth of that view.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from endoforge.frames.colour import DEPTH_SCALE, colour_values
from endoforge.frames.frame import Frame
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.sequence import render_sequence

STRIP = Path(__file__).parent / "images" / "cinematic.jpg"
SEED = 2026
HEIGHT = 256
QUALITY = 88
OUTSIDE = (
    "transfer.preset=liver-vessels",
    "trajectory.azimuth_deg=20",
    "trajectory.distance_mm=600",
    "camera.horizontal_deg=36",
    "camera.width=256",
    "camera.height=256",
    "quality.samples=48",
    "anatomy.voxels=192",
)
INSIDE = (
    "quality.samples=32",
    "sensor.dirt=0",
    "sensor.fog=0",
    "anatomy.contrast=portal-venous",
    "anatomy.voxels=192",
)


def first_frame(recipe: str, assignments: tuple[str, ...], sequence: int) -> Frame:
    """The first frame of a sequence of one frame."""
    settings = load_recipe(
        recipe, {"seed": SEED, "frames": 8, "sequence_frames": 1}, list(assignments)
    )
    return next(render_sequence(settings, sequence))


def main() -> None:
    """Render the three pictures and put them side by side."""
    outside = first_frame("cinematic-abdomen", OUTSIDE, 0)
    inside = first_frame("cinematic", INSIDE, 0)
    pictures = [outside.image, inside.image, colour_values(inside.depth_mm, DEPTH_SCALE)]
    gap = np.full((HEIGHT, 4, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (picture, gap)][:-1]
    Image.fromarray(np.concatenate(row, axis=1)).save(STRIP, quality=QUALITY)


if __name__ == "__main__":
    main()
