# SPDX-License-Identifier: Apache-2.0
import hashlib

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.scene.anatomy.build import build_anatomy
from endoforge.scene.anatomy.settings import MaskAnatomy, MeshAnatomy
from endoforge.scene.settings import TrajectorySettings
from endoforge.scene.trajectory import fly_through
from endoforge.streams import stream
from scene.tubes import SMALL, cylinder, stl_bytes, straight, tube_mask, write_nifti


@pytest.fixture
def mask(tmp_path):
    return write_nifti(tmp_path / "colon.nii.gz", tube_mask(straight(), 10.0, (40, 40, 110)))


@pytest.fixture
def mesh(tmp_path):
    path = tmp_path / "colon.stl"
    path.write_bytes(stl_bytes(*cylinder()))
    return path


def test_a_drawn_colon_says_so():
    anatomy = build_anatomy(SMALL, stream(1, "anatomy"))
    assert "drawn" in anatomy.provenance["source"]
    assert anatomy.provenance["licence"] == "Apache-2.0"


def test_files_are_named_with_their_hash(mask, mesh):
    for settings, file in (
        (MaskAnatomy(mask=mask), mask),
        (MeshAnatomy(mesh=mesh, unit="mm"), mesh),
    ):
        anatomy = build_anatomy(settings, stream(1, "anatomy"))
        assert anatomy.provenance["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert file.name in anatomy.provenance["source"]
        assert all(isinstance(v, str) for v in anatomy.provenance.values())
        poses = fly_through(anatomy.centreline, TrajectorySettings(), stream(1, "path"), 20)
        assert np.isfinite(poses).all()


def test_a_file_gives_the_same_anatomy_whatever_the_random_numbers(mask):
    one, two = (build_anatomy(MaskAnatomy(mask=mask), stream(s, "anatomy")) for s in (1, 2))
    assert one.surface.vertices_mm.tobytes() == two.surface.vertices_mm.tobytes()
    assert one.centreline.points_mm.tobytes() == two.centreline.points_mm.tobytes()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.nii"):
        build_anatomy(MaskAnatomy(mask=tmp_path / "gone.nii"), stream(1, "anatomy"))
