# SPDX-License-Identifier: Apache-2.0
"""Tiny trainings of translators on files, which several tests start."""

from pathlib import Path

import cv2
import numpy as np

from endoforge.settings import validate
from endoforge.translation.methods import METHODS

SIDE = 16
BRIEF = {
    "steps": 6, "batch": 2, "device": "cpu", "average": 0.5, "report_every": 2,
    "validate_every": 6, "checkpoint_every": 2,
    "pictures": {"height": SIDE, "crop": SIDE, "find_content": False, "find_text": False},
}  # fmt: skip
SMALL = {
    "gan": {"network": {"noise": 3, "generator_width": 8, "judge_width": 8}},
    "dcgan": {"network": {"noise": 3, "width": 4}},
    "pix2pix": {"generator": {"levels": 2, "width": 4}, "judge": {"width": 4, "layers": 1}},
}


def brief(name, **changes):
    return validate(METHODS[name].settings(), BRIEF | SMALL[name] | changes)


def write_pictures(folder: Path, count: int = 4, channels: int = 3, seed: int = 0) -> Path:
    """Smooth pictures under the same names."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        coarse = rng.uniform(40, 215, (4, 4, channels)).astype(np.float32)
        picture = cv2.resize(coarse, (24, 20), interpolation=cv2.INTER_LINEAR)
        assert cv2.imwrite(str(folder / f"{number}.png"), picture.astype(np.uint8))
    return folder
