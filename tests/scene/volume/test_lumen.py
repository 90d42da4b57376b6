# SPDX-License-Identifier: Apache-2.0
"""Centre lines through gas: tubes, rings, forks, gaps and touching loops whose course is known."""

from functools import lru_cache

import nibabel as nib
import numpy as np
import pytest

from endoforge.errors import SceneError
from endoforge.scene.volume.air import label_gas
from endoforge.scene.volume.lumen import lumen_lines
from endoforge.scene.volume.lumen_settings import LumenSettings
from endoforge.scene.volume.records import CtVolume
from scene.volume.gas_volumes import SPACING, around, around_ring, ct, named, on_ring, to_chain

HALF_VOXEL = 0.5 * SPACING.min()


def lines_of(volume, **settings):
    return lumen_lines(volume, label_gas(volume), LumenSettings(**settings))


@pytest.mark.parametrize("radius", [4.0, 9.0])
def test_the_line_of_a_slanting_tube_is_its_axis(radius):
    axis = [(-12, -16, -36), (12, 16, 36)]
    (line,) = lines_of(named(ct(around(axis, radius)), "colon")).lines
    assert to_chain(line.points_mm[5:-5], axis).max() < HALF_VOXEL
    middle = line.radius_mm[15:-15]
    assert np.abs(middle - radius).max() < HALF_VOXEL
    assert line.length_mm > 80 - radius
    assert line.points_mm[0, 2] < line.points_mm[-1, 2]


def test_the_line_of_a_ring_is_its_core():
    (line,) = lines_of(named(ct(around_ring(30.0, 8.0), (116, 80, 85)), "colon")).lines
    inner = line.points_mm[8:-8]
    angle = np.arctan2(inner[:, 2], inner[:, 0])
    assert np.linalg.norm(inner - on_ring(30.0, angle), axis=1).max() < HALF_VOXEL
    assert line.length_mm > 0.85 * 30.0 * (2 * np.pi - 0.6)
    steps = np.linalg.norm(np.diff(line.points_mm, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.05)


FORK = {
    "left": [(0, 0, 42), (0, 0, 0), (-26, 3, -38)],
    "right": [(0, 0, 42), (0, 0, 0), (20, -3, -30)],
}


@lru_cache(maxsize=1)
def fork():
    volume = ct(lambda p: np.minimum(*[around(way, 7.0)(p) for way in FORK.values()]))
    return named(volume, "trachea")


@pytest.mark.parametrize(
    ("branch", "way"), [("left", "left"), ("right", "right"), ("deepest", "left")]
)
def test_an_airway_is_followed_from_the_top_into_the_branch_asked_for(branch, way):
    (line,) = lines_of(fork(), kind="airway", branch=branch).lines
    away = to_chain(line.points_mm[5:-5], FORK[way])
    beside_fork = np.linalg.norm(line.points_mm[5:-5], axis=1) > 14.0
    assert away[beside_fork].max() < HALF_VOXEL
    assert away.max() < 5.0  # the corner is rounded within the lumen
    assert line.points_mm[0, 2] > 25 and np.linalg.norm(line.points_mm[-1] - FORK[way][-1]) < 12


def collapsed(gap_mm):
    ends = [(0, 0, -45), (0, 0, -gap_mm / 2 - 9)], [(0, 0, gap_mm / 2 + 9), (0, 0, 45)]
    return named(
        ct(lambda p: np.minimum(*[around(e, 9.0)(p) for e in ends]), (70, 70, 110)), "colon"
    )


def test_a_collapsed_gap_is_bridged_with_radius_0_if_short_and_left_open_if_long():
    short = lines_of(collapsed(3.0), least_mm=20, stitch_mm=30)
    (line,) = short.lines
    closed = line.points_mm[line.radius_mm == 0]
    assert len(closed) and np.abs(closed[:, 2]).max() < 15
    assert any("collapsed gap" in note for note in short.notes)
    assert len(lines_of(collapsed(3.0), least_mm=20, stitch_mm=5).lines) == 2


def touching(window_mm):
    """A hairpin whose legs share a wall, with a hole in it."""
    hairpin = around([(-10, 0, -40), (-10, 0, 30), (10, 0, 30), (10, 0, -40)], 8.6)
    hole = around([(-6, 0, -15), (6, 0, -15)], window_mm)
    return named(ct(lambda p: np.minimum(hairpin(p), hole(p)), (80, 60, 110)), "colon")


def test_a_window_between_touching_loops_is_closed_and_the_way_goes_round():
    found = lines_of(touching(4.0))
    (line,) = found.lines
    assert line.length_mm > 130
    assert any("windows between touching loops" in note for note in found.notes)
    through = np.array([[x, 0.0, -15.0] for x in np.arange(-6.0, 6.0, 0.2)])
    assert not found.tissue.holds(through).all()
    leg = np.array([[-10.0, 0.0, -15.0]])
    assert found.tissue.distance(leg)[0] < 11.0  # the closed window counts as wall


def test_touching_loops_are_refused_on_demand():
    with pytest.raises(SceneError, match="two of its loops merge through a window of"):
        lines_of(touching(4.0), loops="refuse")


def test_gas_of_another_kind_or_none_is_refused_with_what_there_is():
    volume = named(ct(around([(-12, -16, -36), (12, 16, 36)], 9.0)), "colon")
    with pytest.raises(SceneError, match=r"airway .* this CT has colon gas"):
        lines_of(volume, kind="airway")
    solid = ct(lambda p: np.full(len(p), 50.0), (70, 70, 70))
    with pytest.raises(SceneError, match="no gas at all"):
        lines_of(solid)


@pytest.mark.real
def test_real_lumens_have_their_ways(shared_data):
    for file, kind, length in (
        ("ct_lidc_idri_0314/ct_256x256x275.nii.gz", "airway", 177),
        ("ct_totalsegmentator_example/example_ct.nii.gz", "colon", 207),
    ):
        image = nib.load(shared_data / file)
        hu = np.clip(np.asarray(image.dataobj), -1024, 32767).astype(np.int16)
        volume = CtVolume(hu, np.asarray(image.affine, dtype=np.float64))
        found = lines_of(volume, kind=kind)
        assert found.lines[0].length_mm == pytest.approx(length, rel=0.1)
        assert found.tissue.holds(found.lines[0].points_mm).all()
