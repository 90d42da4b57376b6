# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np

from endoforge.evaluation.report.style_maps import is_style_bank, style_maps
from endoforge.evaluation.report.write import write_report
from evaluation.samples import check_page


def bank(folder):
    folder.mkdir(parents=True)
    content = {
        "kind": "style-bank",
        "names": ["a", "b", "c"],
        "shares": [0.6, 0.3, 0.1],
        "group_sizes": [2, 1],
    }
    (folder / "styles.json").write_text(json.dumps(content))
    cv2.imwrite(str(folder / "map.png"), np.full((40, 60, 3), 128, np.uint8))
    return folder


def test_a_bank_alone_and_a_bank_in_a_run_have_their_map_on_the_page(tmp_path):
    alone = bank(tmp_path / "alone")
    assert is_style_bank(alone)
    html = write_report(alone).read_text()
    check_page(html)
    assert "Style codes of 3 pictures" in html
    assert "90%" in html
    assert "group 0: 2, group 1: 1" in html
    bank(tmp_path / "run" / "styles")
    (found,) = style_maps(tmp_path / "run")
    assert found.title == "styles"


def test_other_folders_with_such_names_are_no_banks(tmp_path):
    (tmp_path / "map.png").write_bytes(b"")
    (tmp_path / "styles.json").write_text("[]")
    assert not is_style_bank(tmp_path)
    assert list(style_maps(tmp_path)) == []
