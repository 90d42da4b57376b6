# SPDX-License-Identifier: Apache-2.0
"""Make the pictures of the README: ``python docs/make_pictures.py`` writes docs/images."""

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from endoforge import verbs
from endoforge.depth.predictor import DepthPredictor
from endoforge.frames.colour import (
    DEPTH_SCALE,
    colour_classes,
    colour_flow,
    colour_mask,
    colour_normals,
    colour_values,
)
from endoforge.frames.dataset import Dataset
from endoforge.frames.frame import Frame

IMAGES = Path(__file__).parent / "images"
SEED = 2026


def sheet(rows: list[list[np.ndarray]], gap: int = 4) -> Image.Image:
    """Place pictures of one size in rows, with a white gap between them."""
    height, width = rows[0][0].shape[:2]
    size = (len(rows), height + gap, len(rows[0]), width + gap)
    page = np.full((size[0] * size[1] - gap, size[2] * size[3] - gap, 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            top, left = r * (height + gap), c * (width + gap)
            page[top : top + height, left : left + width] = picture
    return Image.fromarray(page)


def labels(frame: Frame) -> list[np.ndarray]:
    """The picture and its labels, coloured."""
    return [
        frame.image,
        colour_values(frame.depth_mm, DEPTH_SCALE),
        colour_normals(frame.normal_camera),
        colour_classes(frame.label),
        colour_flow(frame.flow_px, 12.0),
        colour_mask(frame.occluded, frame.valid),
    ]


def estimated(frame: Frame, predictor: DepthPredictor) -> list[np.ndarray]:
    """The picture, the depth that the shipped network sees in it, and the true depth."""
    guess = predictor.predict(frame.image).astype(np.float32)
    return [
        frame.image,
        colour_values(guess, DEPTH_SCALE),
        colour_values(frame.depth_mm, DEPTH_SCALE),
    ]


def main() -> None:
    """Simulate a few colons and write the sheets."""
    IMAGES.mkdir(exist_ok=True)
    predictor = DepthPredictor.load("depth")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "colons"
        verbs.simulate(
            "colon-depth", out=out, frames=96, seed=SEED, assignments=["sequence_frames=8"]
        )
        with closing(Dataset.open(out)) as dataset:
            frames = [dataset.frame(index) for index in range(0, len(dataset), 8)]
    sheet([[f.image for f in frames[k : k + 4]] for k in (0, 4, 8)]).save(IMAGES / "colons.png")
    sheet([labels(f) for f in frames[:3]]).save(IMAGES / "labels.png", optimize=True)
    sheet([estimated(f, predictor) for f in frames[3:6]]).save(IMAGES / "depth.png", optimize=True)


if __name__ == "__main__":
    main()
