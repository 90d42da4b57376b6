# SPDX-License-Identifier: Apache-2.0
"""Faults in the labels of a volume are found, one by one; what cannot be read is refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.frames.check import check_dataset
from endoforge.frames.frame import Frame
from endoforge.frames.png import Png
from endoforge.frames.volume_planes import encode_further_depth, hu_of, opacity_of
from frames.analytic import write_analytic_dataset
from frames.planting import change_manifest, edit, kinds, rewrite

KEPT = ("opacity", "expected_depth_mm", "first_depth_mm", "hu")


def only_volume_labels(frame: Frame) -> Frame:
    dropped = (
        "clean", "albedo", "shading", "specular", "back_flow_px", "back_occluded", "texture_mm",
        "material", "moving", "right",
    )  # fmt: skip
    return replace(frame, **dict.fromkeys(dropped), facts={})


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "set"
    write_analytic_dataset(folder, 1, 2, full=True)
    rewrite(folder, only_volume_labels, every=True)
    change_manifest(folder, optional_labels=sorted(KEPT), depth_rule="half")
    return folder


@pytest.fixture
def folder(clean, tmp_path) -> Path:
    return shutil.copytree(clean, tmp_path / "set")


def shifted(name: str, by_mm: float) -> Callable[[Frame], Frame]:
    return edit(**{name: lambda a, f: (f.depth_mm + np.float32(by_mm)).astype(np.float32)})


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("half", lambda f: f),
        ("surface", lambda f: f),
        ("expected", shifted("expected_depth_mm", 0.0)),
        ("first", shifted("first_depth_mm", 0.0)),
    ],
    ids=["half", "surface", "expected", "first"],
)
def test_a_clean_set_raises_no_alarm(folder, rule, change):
    rewrite(folder, change, every=True)
    change_manifest(folder, depth_rule=rule)
    assert check_dataset(folder).problems == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("opacity", edit(opacity=lambda a, _: a * np.float32(0.45))),
        ("expected-depth", edit(expected_depth_mm=lambda a, _: a * np.float32(np.nan))),
        ("first-depth", edit(first_depth_mm=lambda a, _: a + np.float32(0.5))),
        ("hu", edit(hu=lambda a, _: a * 0 - 1024)),
    ],
    ids=["thin", "no expected depth", "the first hit lies behind", "air"],
)
def test_a_planted_fault_is_found(folder, kind, change):
    rewrite(folder, change, every=True)
    assert kinds(check_dataset(folder)) == {kind}


def test_a_depth_by_another_rule_is_found(folder):
    change_manifest(folder, depth_rule="expected")
    assert kinds(check_dataset(folder)) == {"depth-rule"}


def test_files_that_do_not_say_their_coding_are_refused():
    grey = np.zeros((3, 4), np.uint8)
    with pytest.raises(DataError, match=r"must say that a value means v/255, got None"):
        opacity_of(Png(grey, {}), "x")
    with pytest.raises(DataError, match=r"v-1024, got 'v'"):
        hu_of(Png(grey.astype(np.uint16), {"value": "v"}), "x")
    with pytest.raises(DataError, match=r"holds 64511 HU; expected at most 32767"):
        hu_of(Png(np.full((3, 4), 65535, np.uint16), {"value": "v-1024"}), "x")


def test_a_mean_depth_far_behind_thin_tissue_is_dropped_where_nothing_is_valid():
    far = np.full((3, 4), 900.0, np.float32)
    assert encode_further_depth(far, np.zeros((3, 4), bool), 0.005, "x")
    with pytest.raises(DataError, match="depth reaches 900"):
        encode_further_depth(far, np.ones((3, 4), bool), 0.005, "x")
