# SPDX-License-Identifier: Apache-2.0
"""What an operation leaves: looks change near the neck, one class where the bed is bared."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from endoforge.scene.anatomy.abdomen.build import build_abdomen, shape_abdomen
from endoforge.scene.anatomy.abdomen.dissection import (
    CHAR,
    PLATE_LABEL,
    sample_dissection,
    soiled,
)
from endoforge.scene.anatomy.abdomen.drawing import sample_abdomen
from endoforge.scene.anatomy.abdomen.settings import DissectionSettings
from endoforge.scene.anatomy.stains import BILE, BLOOD
from endoforge.scene.records import ABDOMEN_LABELS
from scene.abdomens import COARSE, abdomen_of, part

BLOODY = DissectionSettings(blood=(12, 12), bile=(2, 2), char=(4, 4), reach_mm=(12.0, 12.0))
CLEAN = DissectionSettings(blood=(0, 0), bile=(0, 0), char=(0, 0))


def operated(exposure, dissection=CLEAN, seed=3):
    change = {
        "gallbladder": COARSE.gallbladder.model_copy(update={"exposure": (exposure, exposure)}),
        "dissection": dissection,
    }
    return build_abdomen(COARSE.model_copy(update=change), np.random.default_rng(seed))


def test_blood_bile_and_char_change_no_label():
    settings = COARSE.model_copy(update={"dissection": BLOODY})
    draw = sample_abdomen(settings, np.random.default_rng(5))
    bloody = shape_abdomen(draw, settings).surface
    bare = replace(draw, dissection=replace(draw.dissection, patches=()))
    clean = shape_abdomen(bare, settings).surface
    for name in ("vertices_mm", "faces", "normals", "face_label", "face_instance", "face_material"):
        np.testing.assert_array_equal(getattr(bloody, name), getattr(clean, name))
    more = bloody.stain.sum(axis=0) - (0 if clean.stain is None else clean.stain.sum(axis=0))
    assert more[BLOOD] > 0 and more[BILE] > 0
    assert 0 <= bloody.stain.min() <= bloody.stain.max() <= 1
    assert bloody.tint.min() < clean.tint.min()


def test_most_blood_lies_near_its_site_and_none_where_nothing_may_lie():
    surface = replace(abdomen_of(0).surface, stain=None)
    site = abdomen_of(0).targets[0].point_mm
    free = np.zeros(len(surface.vertices_mm), bool)
    near = np.linalg.norm(surface.vertices_mm - site, axis=1)
    free[near < 200] = True
    dissection = sample_dissection(BLOODY, 0.0, np.random.default_rng(1))
    found = soiled(surface, dissection, [site], np.array([0.0, -1.0, 0.0]), free)
    blood = found.stain[:, BLOOD] > 0.3
    assert blood.any()
    assert np.median(near[blood]) < 5 * dissection.reach_mm
    assert soiled(surface, dissection, [], np.array([0.0, -1.0, 0.0]), free) is surface


def test_char_darkens_its_middle():
    surface = replace(abdomen_of(0).surface, stain=None)
    burnt = sample_dissection(
        DissectionSettings(blood=(0, 0), bile=(0, 0), char=(6, 6)), 0.0, np.random.default_rng(2)
    )
    assert {stain.kind for stain, _ in burnt.patches} == {CHAR}
    site = abdomen_of(0).targets[0].point_mm
    everywhere = np.ones(len(surface.vertices_mm), bool)
    found = soiled(surface, burnt, [site], np.array([0.0, -1.0, 0.0]), everywhere)
    assert not found.stain.any()
    ratio = found.tint / surface.tint
    assert ratio.min() < 0.75
    assert (ratio == pytest.approx(1.0)) or (ratio != 1.0).any(axis=1).mean() < 0.2


def test_the_bed_is_bared_beside_a_dissected_gallbladder():
    assert ABDOMEN_LABELS[PLATE_LABEL] == "cystic plate"
    anatomy = operated(1.0)
    surface = anatomy.surface
    plate = surface.face_label == PLATE_LABEL
    assert plate.sum() > 20
    assert (surface.face_instance[plate] == anatomy.instances["liver"]).all()
    bladder = part(surface, anatomy.instances["gallbladder"])[0]
    middle = surface.vertices_mm[surface.faces[plate]].mean(axis=1)
    apart = np.linalg.norm(middle[:, None] - bladder[None, ::5], axis=2).min(axis=1)
    assert apart.max() < 20
    assert surface.stain[surface.faces[plate], BLOOD].max() > 0.2


def test_an_untouched_gallbladder_keeps_its_bed_covered():
    assert (operated(0.0).surface.face_label != PLATE_LABEL).all()


@pytest.mark.parametrize(
    "wrong", [{"blood": (-1, 2)}, {"plate_mm": (0.0, 30.0)}, {"width_mm": (0.0, 3.0)}]
)
def test_impossible_ranges_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        DissectionSettings(**wrong)
