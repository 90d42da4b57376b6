# SPDX-License-Identifier: Apache-2.0
"""Predictors with known errors, and the laws that every page must keep."""

import base64
import hashlib
import json
import re
from contextlib import closing
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np

from endoforge.evaluation.depth import evaluate_depth
from endoforge.frames.dataset import Dataset
from frames.analytic import write_analytic_dataset

VOID = {"meta", "img", "br", "hr", "link", "input"}


def small_dataset(folder: Path, sequences: int = 2, frames: int = 4) -> Path:
    return write_analytic_dataset(folder, sequences, frames, 64, 48)


class Oracle:
    """Knows the truth of a data set by its pictures, and gets it wrong in a stated way."""

    def __init__(self, dataset: Path, factor: float = 1.0, shift: float = 0.0) -> None:
        with closing(Dataset.open(dataset)) as frames:
            self._truth = {f.image.tobytes(): f.depth_mm for f in frames.iter_frames()}
        self._factor, self._shift = factor, shift

    def predict(self, image: np.ndarray) -> np.ndarray:
        depth = np.nan_to_num(self._truth[image.tobytes()], nan=25.0)
        return (depth * self._factor + self._shift).astype(np.float32)


class Constant:
    def __init__(self, depth_mm: float = 25.0) -> None:
        self._depth_mm = depth_mm

    def predict(self, image: np.ndarray) -> np.ndarray:
        return np.full(image.shape[:2], self._depth_mm, np.float32)


def write_run(folder: Path, dataset: Path) -> Path:
    """A RUN folder with a training's record and an evaluation."""
    folder.mkdir(parents=True)
    lines = [
        {"step": step, "wall_s": step / 2, "depth/silog": 0.5 / (step + 1), "depth/gradient": 0.1}
        for step in range(0, 200, 10)
    ]
    lines += [
        {"step": s, "wall_s": s / 2, "validation/abs_rel": 1 / (s + 2)} for s in (0, 100, 190)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + '{"step": 19')  # a killed run leaves half a line
    (folder / "settings.json").write_text('{"trainer": {"batch": 4}}')
    (folder / "manifest.json").write_text('{"task": "depth-unet", "parameters": 1234}')
    predictors = {"model": Oracle(dataset, 1.1), "constant": Constant()}
    evaluate_depth(predictors, dataset, out=folder / "evaluation")
    return folder


class Page(HTMLParser):
    """Collects what the laws of `check_page` need."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


ALLOWED = set(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "main",
        "footer",
        "section",
        "nav",
        "p",
        "h1",
        "h2",
        "h3",
        "dl",
        "dt",
        "dd",
        "div",
        "span",
        "a",
        "figure",
        "figcaption",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "img",
        "svg",
        "rect",
        "path",
        "line",
        "circle",
        "text",
        "title",
        "strong",
        "small",
        "details",
        "summary",
        "ul",
        "li",
    ]
)


def check_page(html: str) -> Page:
    """One h1, no skipped headings, every picture described, nothing loaded, no script possible."""
    page = Page(html)
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= ALLOWED
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings.count(1) == 1
    assert headings[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(headings))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        if tag == "img":
            assert attributes["alt"]
            assert re.match(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+$", attributes["src"])
            assert int(attributes["width"]) > 0
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"
        if "href" in attributes:
            assert attributes["href"].startswith("#")
            assert attributes["href"][1:] in ids
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    _check_policy(html, page)
    return page


def _check_policy(html: str, page: Page) -> None:
    policy = next(
        attributes["content"]
        for tag, attributes in page.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy  # default-src says none
