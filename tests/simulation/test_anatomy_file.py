# SPDX-License-Identifier: Apache-2.0
from dataclasses import fields

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.scene.anatomy.build import Anatomy, build_anatomy
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.records import Surface
from endoforge.settings import validate
from endoforge.simulation.anatomy_file import read_anatomy, write_anatomy
from endoforge.streams import stream

RICH = {
    "length_mm": 160,
    "around_spacing_mm": 1.6,
    "polyps": {"count": 2},
    "stains": {"blood": 1},
    "fluid": {"pools": 1},
}


@pytest.mark.parametrize("values", [{"length_mm": 160, "around_spacing_mm": 1.6}, RICH])
def test_an_anatomy_comes_back_as_it_was_written(tmp_path, values):
    anatomy = build_anatomy(validate(ColonSettings, values), stream(1, "anatomy"))
    write_anatomy(tmp_path / "anatomy.npz", anatomy)
    again = read_anatomy(tmp_path / "anatomy.npz")
    for field in fields(Surface):
        one, two = getattr(anatomy.surface, field.name), getattr(again.surface, field.name)
        assert (one is None) == (two is None)
        if one is not None:
            assert one.dtype == two.dtype
            np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(anatomy.centreline.points_mm, again.centreline.points_mm)
    assert anatomy.materials == again.materials
    assert dict(anatomy.provenance) == dict(again.provenance)
    assert [t.name for t in anatomy.targets] == [t.name for t in again.targets]
    for one, two in zip(anatomy.targets, again.targets, strict=True):
        np.testing.assert_allclose(one.point_mm, two.point_mm)
        np.testing.assert_allclose(one.normal, two.normal)
        assert one.radius_mm == pytest.approx(two.radius_mm)
    assert isinstance(again, Anatomy)


def test_a_cut_file_is_refused(tmp_path):
    path = tmp_path / "anatomy.npz"
    write_anatomy(path, build_anatomy(validate(ColonSettings, RICH), stream(1, "anatomy")))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match="remove it and run again"):
        read_anatomy(path)
