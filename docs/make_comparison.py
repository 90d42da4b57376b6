# SPDX-License-Identifier: Apache-2.0
"""Put frames of a recipe beside real ones: ``python docs/make_comparison.py REAL RECIPE OUT.png``.

REAL is a folder of your own frames (PNG, JPEG). The upper row shows some of them, evenly spread by
name; the lower row as many sequences of the recipe as it is shipped. Both are cut to one shape.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from endoforge.render.surface import SurfaceRenderer
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.sequence import prepare_shot, view_of

SIZE = (360, 240)
GAP = 4
SEED = 2026


def real_frames(folder: Path, count: int) -> list[np.ndarray]:
    """Frames of a folder, evenly spread by name."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg"})
    if len(files) < count:
        raise SystemExit(f"expected {count} pictures or more in {folder}, found {len(files)}")
    places = np.linspace(0, len(files) - 1, count).astype(int)
    return [np.asarray(Image.open(files[place]).convert("RGB")) for place in places]


def drawn_frames(recipe: str, count: int) -> list[np.ndarray]:
    """The middle frame of each of the first sequences of a recipe."""
    settings = load_recipe(recipe, {"seed": SEED, "frames": 20 * count, "sequence_frames": 20})
    shots = (prepare_shot(settings, sequence) for sequence in range(count))
    return [
        SurfaceRenderer(shot.scene, shot.camera).render(view_of(shot, 10), shot.transport).image
        for shot in shots
    ]


def cut(picture: np.ndarray) -> Image.Image:
    """The largest middle part of the page's shape, brought to its size."""
    height, width = picture.shape[:2]
    scale = min(width / SIZE[0], height / SIZE[1])
    across, down = SIZE[0] * scale / 2, SIZE[1] * scale / 2
    box = (width / 2 - across, height / 2 - down, width / 2 + across, height / 2 + down)
    return Image.fromarray(picture).resize(SIZE, Image.Resampling.LANCZOS, box=box)


def page(rows: list[list[np.ndarray]]) -> Image.Image:
    """Rows of pictures under each other, with a gap between them."""
    step = (SIZE[0] + GAP, SIZE[1] + GAP)
    size = (step[0] * max(map(len, rows)) - GAP, step[1] * len(rows) - GAP)
    whole = Image.new("RGB", size, "white")
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            whole.paste(cut(picture), (c * step[0], r * step[1]))
    return whole


def main(arguments: list[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("real", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=4)
    options = parser.parse_args(arguments)
    rows = [
        real_frames(options.real, options.count),
        drawn_frames(options.recipe, options.count),
    ]
    page(rows).save(options.out)


if __name__ == "__main__":
    main()
