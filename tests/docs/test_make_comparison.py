# SPDX-License-Identifier: Apache-2.0
"""The page that puts a user's frames beside a recipe's: real above, drawn below, one shape."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "docs" / "make_comparison.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_comparison", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(value: int, height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_the_page_has_real_frames_above_and_drawn_ones_below(script, tmp_path, monkeypatch):
    folder = tmp_path / "real" / "case 1"
    folder.mkdir(parents=True)
    for k in range(7):
        Image.fromarray(plain(30 * k, 90 + k, 160)).save(folder / f"{k:02d}.png")
    drawn = [plain(200, 256, 320), plain(220, 256, 452)]
    monkeypatch.setattr(script, "drawn_frames", lambda recipe, count: drawn)
    script.main([str(tmp_path / "real"), "laparoscopy", str(tmp_path / "page.png"), "--count", "2"])
    picture = np.asarray(Image.open(tmp_path / "page.png").convert("RGB"))
    width, height = script.SIZE
    assert picture.shape == (2 * height + script.GAP, 2 * width + script.GAP, 3)
    rows, columns = (height // 2, -height // 2), (width // 2, -width // 2)
    seen = [[picture[r, c, 0] for c in columns] for r in rows]
    assert seen == [[0, 180], [200, 220]]  # the first and the last by name, then the recipe's
    assert (picture[height + 1] == 255).all()


def test_a_picture_is_cut_in_the_middle_and_not_squeezed(script):
    wide = plain(0, 100, 400)
    wide[:, 125:275] = 255
    assert (np.asarray(script.cut(wide))[:, 8:-8] == 255).all()  # Lanczos looks past the border


def test_too_few_real_frames_are_refused_with_their_number(script, tmp_path):
    with pytest.raises(SystemExit, match=r"expected 4 pictures or more in .*, found 0"):
        script.real_frames(tmp_path, 4)
