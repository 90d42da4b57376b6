# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.errors import SceneError
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.mask import colon_from_mask, surface_from_mask
from endoforge.scene.anatomy.settings import MaskAnatomy
from endoforge.scene.anatomy.surfaces import open_edges, wall_distance
from scene.tubes import hairpin, straight, tube_mask, write_nifti

HERE = MaskAnatomy(mask="unused.nii")


def tube():
    return tube_mask(straight(), 9.0, (40, 40, 110)).view(bool)


def test_a_straight_tube_becomes_a_closed_wall_of_its_radius():
    found = surface_from_mask(tube(), np.eye(4), HERE)
    assert open_edges(found.faces) == 0 and found.handles == 0
    assert signed_volume(found.vertices_mm, found.faces) < 0
    assert -signed_volume(found.vertices_mm, found.faces) == pytest.approx(tube().sum(), rel=0.03)
    middle = np.stack([np.full(20, 20.0), np.full(20, 20.0), np.linspace(30, 80, 20)], axis=1)
    radius = wall_distance(found.vertices_mm, found.faces, middle)
    np.testing.assert_allclose(radius, 9.0, atol=0.4)


@pytest.mark.parametrize(
    "affine",
    [
        np.diag([0.8, 0.8, 1.25, 1]),
        np.array([[-0.9, 0, 0, 224], [0, -0.9, 0, 99], [0, 0, 1.0, 1249], [0, 0, 0, 1]]),
        np.array([[0, 0.9, 0, 5], [0, 0, 0.7, 6], [1.1, 0, 0, 7], [0, 0, 0, 1.0]]),
    ],
)
def test_voxels_lie_where_the_affine_says_and_the_wall_faces_inwards(affine):
    found = surface_from_mask(tube(), affine, HERE)
    inside = np.argwhere(tube()) @ affine[:3, :3].T + affine[:3, 3]
    np.testing.assert_allclose(found.vertices_mm.min(0), inside.min(0), atol=1.6)
    np.testing.assert_allclose(found.vertices_mm.max(0), inside.max(0), atol=1.6)
    volume = tube().sum() * abs(np.linalg.det(affine))
    assert -signed_volume(found.vertices_mm, found.faces) == pytest.approx(volume, rel=0.04)


def test_a_lumen_cut_by_the_edge_of_the_volume_is_closed_there():
    found = surface_from_mask(tube()[:, :, 20:80], np.eye(4), HERE)
    assert open_edges(found.faces) == 0
    assert found.handles == 0


def test_there_are_no_more_triangles_than_asked_for():
    many = surface_from_mask(tube(), np.eye(4), HERE)
    few = surface_from_mask(tube(), np.eye(4), HERE.model_copy(update={"triangles": 2000}))
    assert len(few.faces) <= 2000 < len(many.faces)
    assert few.lumen.step_mm > many.lumen.step_mm == 1.5


def test_an_empty_mask_is_refused():
    with pytest.raises(SceneError, match="empty"):
        surface_from_mask(np.zeros((20, 20, 20), bool), np.eye(4), HERE)


def test_a_tiny_mask_is_refused_with_its_volume():
    mask = np.zeros((20, 20, 20), bool)
    mask[5:10, 5:10, 5:10] = True
    with pytest.raises(SceneError, match=r"0\.125 ml"):
        surface_from_mask(mask, np.eye(4), HERE)


def test_two_lumens_are_refused_with_their_volumes():
    mask = np.concatenate([tube(), tube()])
    with pytest.raises(SceneError, match=r"two lumens, of \d+\.\d and \d+\.\d ml"):
        surface_from_mask(mask, np.eye(4), HERE)


def test_crumbs_are_left_out_and_islands_filled_and_both_are_said():
    mask = tube()
    mask[2:4, 2:4, 2:4] = True
    mask[18:22, 18:22, 50:54] = False
    found = surface_from_mask(mask, np.eye(4), HERE)
    assert open_edges(found.faces) == 0 and found.handles == 0
    said = "; ".join(found.lumen.notes)
    assert "left out 1 crumbs of 0.01 ml" in said and "islands" in said


def test_touching_loops_are_counted_and_the_line_goes_round(tmp_path):
    mask = tube_mask(hairpin(), 10.0, (58, 34, 150))
    mask[24:34, 10:22, 28:38] = 1  # a window between the legs near their ends
    path = write_nifti(tmp_path / "loops.nii.gz", mask)
    surface, centreline, record = colon_from_mask(MaskAnatomy(mask=path))
    assert record["handles"] == "1" and "loops touch" in record["repairs"]
    length = 2 * 90 + np.pi * 12
    assert length - 25 < centreline.length_mm < length + 25
    assert centreline.points_mm[:, 2].max() > 110
    assert centreline.radius_mm.min() > 5
    assert open_edges(surface.faces) == 0


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(("name", "shortest_mm"), [("new_seg", 1250), ("di2", 2200)])
def test_a_real_colon_has_a_closed_wall_and_a_line_that_stays_inside(
    shared_data, name, shortest_mm
):
    path = shared_data / "colon_ctc_segmentations" / f"{name}_mask.nii.gz"
    surface, centreline, record = colon_from_mask(MaskAnatomy(mask=path, resolution_mm=2.0))
    assert open_edges(surface.faces) == 0
    assert 100_000 < len(surface.faces) <= 300_000
    assert shortest_mm < centreline.length_mm
    assert centreline.radius_mm.min() > 4.0
    assert int(record["handles"]) > 5  # loops touch in both
    if name == "new_seg":
        reference = vmtk_line(shared_data / "colon_ctc_segmentations" / "new_seg_centerline.vtp")
        check_against(reference, path, centreline)


def check_against(reference, path, centreline):
    """VMTK's line lies in voxel index times spacing; ours must follow it through the lumen."""
    import nibabel as nib
    from scipy.spatial import cKDTree

    image = nib.load(path)
    world = reference / image.header.get_zooms() @ image.affine[:3, :3].T + image.affine[:3, 3]
    away, nearest = cKDTree(world).query(centreline.points_mm)
    assert np.median(away) < 4.0
    assert np.percentile(away, 95) < 12.0
    assert np.mean(np.diff(nearest) >= -3) > 0.97  # the same order, no short cut
    back = cKDTree(centreline.points_mm).query(world)[0]
    assert np.percentile(back, 95) < 15.0


def vmtk_line(path):
    """Points of a VTP file with packed, base64 arrays."""
    import base64
    import re
    import struct
    import zlib

    text = path.read_bytes().decode("latin1")
    offset = int(re.search(r'Name="Points".*?offset="(\d+)"', text, re.DOTALL).group(1))
    data = text[text.index("_", text.index("<AppendedData")) + 1 :][offset:]
    blocks = struct.unpack("<I", base64.b64decode(data[:8])[:4])[0]
    head = -(-4 * (3 + blocks) // 3) * 4
    sizes = struct.unpack(f"<{3 + blocks}I", base64.b64decode(data[:head])[: 4 * (3 + blocks)])[3:]
    packed = base64.b64decode(data[head : head + -(-sum(sizes) // 3) * 4])
    starts = np.cumsum([0, *sizes[:-1]])
    raw = b"".join(zlib.decompress(packed[a : a + n]) for a, n in zip(starts, sizes, strict=True))
    return np.frombuffer(raw, "<f4").reshape(-1, 3).astype(np.float64)
