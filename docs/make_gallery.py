# SPDX-License-Identifier: Apache-2.0
"""Make a picture of every recipe in docs/images/gallery: ``python docs/make_gallery.py [NAME…]``.

Each picture shows three sequences of the recipe as it is shipped, at its own size, one frame each.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from endoforge.render.surface import SurfaceRenderer
from endoforge.simulation.recipes import load_recipe, recipe_names
from endoforge.simulation.sequence import prepare_shot, render_sequence, view_of
from endoforge.simulation.settings import CinematicSimulation

GALLERY = Path(__file__).parent / "images" / "gallery"
SEED = 2026
HEIGHT = 240
QUALITY = 88


def pictures(name: str, sequences: int = 3) -> list[np.ndarray]:
    """One frame of each of the first sequences of a recipe; both eyes where there are two."""
    settings = load_recipe(name, {"seed": SEED, "frames": 40 * sequences, "sequence_frames": 40})
    if isinstance(settings, CinematicSimulation):
        return [cinematic_picture(settings, sequence) for sequence in range(sequences)]
    found = []
    for sequence in range(sequences):
        shot = prepare_shot(settings, sequence)
        labels = frozenset({"right"} if shot.right else ())
        renderer = SurfaceRenderer(shot.scene, shot.camera, labels=labels)
        frame = renderer.render(view_of(shot, 12 + 7 * sequence), shot.transport)
        found.append(frame.image)
        if frame.right is not None:
            found.append(frame.right.image)
    return found


def cinematic_picture(settings: CinematicSimulation, sequence: int) -> np.ndarray:
    """The first frame of a sequence in a CT, exposed twice as long as the recipe says."""
    few = settings.model_copy(update={"sequence_frames": 1})
    longer = few.quality.model_copy(update={"samples": 2 * (few.quality.samples or 16)})
    return next(render_sequence(few.model_copy(update={"quality": longer}), sequence)).image


def strip(images: list[np.ndarray], gap: int = 4) -> Image.Image:
    """Pictures beside each other, brought to one height."""
    scaled = []
    for image in images:
        picture = Image.fromarray(image)
        width = round(picture.width * HEIGHT / picture.height)
        scaled.append(picture.resize((width, HEIGHT), Image.Resampling.LANCZOS))
    page = Image.new("RGB", (sum(p.width + gap for p in scaled) - gap, HEIGHT), "white")
    left = 0
    for picture in scaled:
        page.paste(picture, (left, 0))
        left += picture.width + gap
    return page


def main() -> None:
    """Write one picture for each recipe that is named, or for all."""
    GALLERY.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or recipe_names():
        strip(pictures(name)).save(GALLERY / f"{name}.jpg", quality=QUALITY)


if __name__ == "__main__":
    main()
