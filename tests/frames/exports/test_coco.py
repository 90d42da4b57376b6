# SPDX-License-Identifier: Apache-2.0
"""COCO files re-read by pycocotools."""

import contextlib
import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from pycocotools import mask as public
from pycocotools.coco import COCO

from endoforge.frames.exports.coco import run_lengths
from endoforge.frames.exports.export import export_dataset


def read_coco(path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@given(mask=arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=70)))
def test_run_lengths_are_those_of_the_public_tool(mask):
    theirs = public.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert run_lengths(mask) == theirs["counts"].decode()


def test_long_runs_are_those_of_the_public_tool():
    mask = np.zeros((900, 700), bool)
    mask[100:800, 5:600] = True
    mask[300:310, 50:60] = False
    theirs = public.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert run_lengths(mask) == theirs["counts"].decode()
    assert (
        run_lengths(~mask)
        == public.encode(np.asfortranarray((~mask).astype(np.uint8)))["counts"].decode()
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_masks_boxes_and_classes_come_back(folder, dataset, tmp_path):
    out = export_dataset(folder, "coco", tmp_path / "out").out
    coco = read_coco(out / "annotations.json")
    assert {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())} == dataset.manifest.labels
    images = coco.loadImgs(coco.getImgIds())
    assert len(images) == 6
    for number, image in enumerate(images):
        frame = dataset.frame(number)
        assert (image["sequence"], image["frame"]) == (frame.sequence, frame.index)
        picture = cv2.imread(str(out / "images" / image["file_name"]))[..., ::-1]
        np.testing.assert_array_equal(picture, frame.image)
        (entry,) = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        mask = coco.annToMask(entry).astype(bool)
        np.testing.assert_array_equal(mask, frame.instance == entry["instance_id"])
        box = public.toBbox({**entry["segmentation"]}).tolist()
        assert entry["bbox"] == box
        assert entry["area"] == mask.sum()
        assert dataset.manifest.labels[entry["category_id"]] == "polyp"
