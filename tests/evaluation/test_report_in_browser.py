# SPDX-License-Identifier: Apache-2.0
"""The pages in a real browser, from disk, without network. Needs Chromium; skips without it."""

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from endoforge.evaluation.report.write import write_report
from evaluation.report_payloads import PAYLOADS
from evaluation.samples import small_dataset, write_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--enable-logging=stderr --log-level=0"
)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed; apt-get install chromium"
)


def browse(page: Path, *more: str) -> subprocess.CompletedProcess:
    """Open a page in a fresh browser and return what it printed."""
    profile = page.parent / "profile"
    done = subprocess.run(
        [CHROMIUM, *FLAGS.split(), f"--user-data-dir={profile}", *more, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    shutil.rmtree(profile, ignore_errors=True)
    return done


def screenshot(page: Path, *more: str) -> np.ndarray:
    file = page.with_suffix(".png")
    browse(page, f"--screenshot={file}", "--window-size=1280,2400", *more)
    picture = cv2.imread(str(file))
    assert picture is not None, "the browser made no screenshot"
    return picture


def complaints(done: subprocess.CompletedProcess) -> list[str]:
    """What the page's console said, e.g. a refused style, picture or script."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    dataset = small_dataset(folder / "set", sequences=2, frames=6)
    run = write_run(folder / "run", dataset)
    return {
        "dataset": write_report(dataset, folder / "dataset.html"),
        "run": write_report(run, folder / "run.html"),
    }


@pytest.mark.parametrize("name", ["dataset", "run"])
def test_a_page_opens_from_disk_and_is_drawn_without_a_complaint(pages, name):
    done = browse(pages[name], "--dump-dom")
    assert "<h1>" in done.stdout
    assert complaints(done) == []
    picture = screenshot(pages[name])
    assert picture.shape == (2400, 1280, 3)
    rows = (picture.std(axis=(1, 2)) > 4).mean()
    assert rows > 0.4  # most of the height shows something
    saturation = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)[..., 1]
    assert (saturation > 90).mean() > 0.02  # pictures, bars and curves are there


def test_the_page_follows_the_reader_s_wish_for_dark(pages):
    light = screenshot(pages["run"], "--blink-settings=preferredColorScheme=1")
    dark = screenshot(pages["run"], "--blink-settings=preferredColorScheme=0")
    assert light[5, 5].min() > 220
    assert dark[5, 5].max() < 60


def test_no_hostile_text_runs_in_the_browser(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    lines = [{"step": s, "wall_s": s, **{f"depth/{p}": 1.0 for p in PAYLOADS}} for s in (0, 1)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "settings.json").write_text(json.dumps({p: p for p in PAYLOADS}))
    (run / "manifest.json").write_text(json.dumps({"task": "".join(PAYLOADS)}))
    done = browse(write_report(run), "--dump-dom")
    title = done.stdout.partition("<title>")[2].partition("</title>")[0]
    assert title == "run, run, Endoforge"
    assert "<script" not in done.stdout
    assert complaints(done) == []
