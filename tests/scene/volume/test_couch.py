# SPDX-License-Identifier: Apache-2.0
"""Taking the table away: it goes, the patient stays to the last voxel of skin."""

from pathlib import Path

import numpy as np
import pytest

from endoforge.errors import SceneError
from endoforge.scene.volume.couch import AIR_HU, without_couch
from endoforge.scene.volume.read import read_ct
from endoforge.scene.volume.records import CtVolume

_SIZE = (90, 80, 40)


def _axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = np.meshgrid(*(2.0 * np.arange(n) for n in _SIZE), indexing="ij")
    return x - 90.0, y - 80.0, z


def _cylinder(x_mm: float, y_mm: float, wide: float, deep: float) -> np.ndarray:
    x, y, _ = _axes()
    return ((x - x_mm) / wide) ** 2 + ((y - y_mm) / deep) ** 2 <= 1


def _scan(*, arm: bool = True, table: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """HU, and where the patient is: a trunk on a table of two plates that touches it, an arm."""
    patient = _cylinder(0, 5, 55, 40)
    if arm:
        patient |= _cylinder(72, 5, 12, 12)
    hu = np.full(_SIZE, -1000, np.int16)
    x, y, _ = _axes()
    if table:
        hu[(y <= -34) & (y >= -37)] = 120  # a plate, in touch with the back
        hu[(y <= -60) & (y >= -63)] = 400
        hu[(y < -37) & (y > -60) & (np.abs(x) < 70)] = -880  # foam
    hu[patient] = 40
    hu[_cylinder(15, 8, 14, 14)] = -850  # lung
    return hu, patient


def _volume(hu: np.ndarray, world: np.ndarray | None = None) -> CtVolume:
    return CtVolume(hu, np.diag([2.0, 2.0, 2.0, 1.0]) if world is None else world)


def test_table_and_foam_become_air_and_the_patient_keeps_every_voxel() -> None:
    hu, patient = _scan()
    cleaned = without_couch(_volume(hu)).hu
    assert (cleaned[patient] == hu[patient]).all()
    _, y, _ = _axes()
    x, _, _ = _axes()
    assert (cleaned[y < -45] == AIR_HU).all()
    beside = (y <= -34) & (y >= -37) & (np.abs(x) > 34)  # the plate, where no back lies on it
    assert (cleaned[beside] == AIR_HU).all()


def test_nothing_changes_where_there_is_no_table() -> None:
    hu, _ = _scan(table=False)
    volume = _volume(hu)
    cleaned = without_couch(volume)
    assert (cleaned.hu == hu).all()
    assert cleaned.provenance == volume.provenance


def test_the_orientation_of_the_grid_does_not_matter() -> None:
    hu, _ = _scan()
    world = np.array([[0, 0, -2.0, 9], [0, -2.0, 0, 3], [2.0, 0, 0, 1], [0, 0, 0, 1]])
    straight = without_couch(_volume(hu)).hu
    turned = without_couch(_volume(np.ascontiguousarray(hu.T[:, ::-1, ::-1]), world)).hu
    np.testing.assert_array_equal(turned[:, ::-1, ::-1].T, straight)


def test_finger_or_ear_stays_and_a_wire_goes() -> None:
    hu, patient = _scan(arm=False, table=False)
    finger, wire = patient.copy(), patient.copy()
    finger[44:46, 60:72, 20:22] = True  # 24 mm long, 4 mm thick, on the belly
    wire[44:45, 74:75, 2:38] = True  # in the air above it
    for shape, stays in ((finger, True), (wire, False)):
        scan = hu.copy()
        scan[shape & ~patient] = 30
        cleaned = without_couch(_volume(scan)).hu
        assert bool((cleaned[shape & ~patient] == 30).all()) is stays


def test_the_copy_is_new_and_what_went_is_told() -> None:
    hu, _ = _scan()
    before = hu.copy()
    volume = _volume(hu)
    told = without_couch(volume).provenance["changes"]
    assert (volume.hu == before).all()
    assert told.endswith("replaced by air")


def test_an_empty_scan_is_refused() -> None:
    with pytest.raises(SceneError, match="body"):
        without_couch(_volume(np.full(_SIZE, -1000, np.int16)))


def test_patients_table_goes_and_lung_and_skin_stay(shared_data: Path) -> None:
    volume = read_ct(shared_data / "ct_totalsegmentator_example" / "example_ct.nii.gz")
    cleaned = without_couch(volume).hu
    changed = cleaned != volume.hu
    dense = changed & (volume.hu > -300)
    _, y, _ = np.nonzero(dense)
    assert 100 < dense.sum() * 0.027 < 400  # ml of table
    assert (cleaned <= volume.hu).all()
    assert np.median(y) < 0.3 * volume.hu.shape[1]  # behind the back
