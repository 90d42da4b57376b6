# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.evaluation.report.learning import learning_charts
from endoforge.evaluation.report.sample_sheets import sample_sheets
from endoforge.evaluation.report.write import write_report
from evaluation.samples import check_page


@pytest.fixture
def run(tmp_path):
    """What a training of a translator leaves, by hand."""
    lines = [
        {"step": step, "wall_s": step, "translators/cycle": 9.0 / step, "judges/true": 0.5}
        for step in range(1, 21)
    ]
    lines += [{"step": step, "validation/translators/cycle": 8.0 / step} for step in (10, 20)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "settings.json").write_text(json.dumps({"steps": 20}))
    manifest = {"task": "cut", "samples": "Input <above> its translation.", "target_pictures": 12}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "samples").mkdir()
    for step in range(100, 1_000_101, 100_000):
        picture = np.full((20, 30, 3), 90, np.uint8)
        cv2.imwrite(str(tmp_path / "samples" / f"step-{step:06d}.jpg"), picture)
    return tmp_path


def test_the_page_shows_the_newest_samples_first_and_few_of_them(run):
    captions = [sheet.caption for sheet in sample_sheets(run, {})]
    assert captions == [f"After step {k * 200_000 + 100:,}." for k in range(5, -1, -1)]
    html = write_report(run).read_text()
    check_page(html)
    assert "After step 1,000,100. Input &lt;above&gt; its translation." in html
    assert "target pictures" in html


def test_losses_on_pictures_held_out_have_a_chart_of_their_own(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    titles = [chart.title for chart in learning_charts(lines)]
    assert titles[:2] == ["Training losses of judges", "Training losses of translators"]
    (held_out,) = [chart for chart in learning_charts(lines) if "Held-out" in chart.title]
    assert held_out.legend == (("cycle", 0),)


def test_without_samples_there_is_no_section_and_a_damaged_one_is_named(run):
    assert list(sample_sheets(run / "samples", {})) == []
    (run / "samples" / "step-000100.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"step-000100\.jpg"):
        write_report(run)
