# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
import torch

from endoforge.errors import DataError
from endoforge.evaluation.features.choose import INCEPTION, FeatureNetwork
from endoforge.evaluation.realism import Realism, measure_realism, pictures_of
from endoforge.evaluation.realism_settings import RealismSettings
from frames.analytic import write_analytic_dataset

SETTINGS = RealismSettings(count=14, neighbours=2)


def folder_of(path, shift=0, count=14):
    """Soft random pictures; `shift` makes them redder."""
    path.mkdir()
    rng = np.random.default_rng(shift)
    for number in range(count):
        grain = cv2.resize(rng.normal(0, 40, (6, 8, 3)), (64, 48), interpolation=cv2.INTER_CUBIC)
        colour = np.array([120, 110, 100 + shift])  # BGR
        picture = np.clip(grain + colour, 0, 255).astype(np.uint8)
        cv2.imwrite(str(path / f"{number:03d}.png"), picture)
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    root = tmp_path_factory.mktemp("realism")
    sets = {"near": folder_of(root / "near", 1), "far": folder_of(root / "far", 90)}
    return measure_realism(sets, [folder_of(root / "real", 0)], None, SETTINGS)


def test_nearer_pictures_have_smaller_distances_and_more_coverage(result):
    near, far = result.sets["near"], result.sets["far"]
    assert near.frechet < far.frechet
    assert near.kernel.value < far.kernel.value
    assert near.coverage.coverage >= far.coverage.coverage
    assert set(result.sets) == {"real halves", "near", "far"}


def test_nothing_is_called_fid_that_is_not(result):
    assert "FID" not in result.table()
    assert "KID" not in str(result.to_dict())
    assert result.network in result.table()


def test_with_inception_it_is_called_fid():
    named = Realism(INCEPTION, True, "00", 4, {}, SETTINGS)
    assert named.names == ("FID", "KID")
    assert FeatureNetwork(INCEPTION, "00", torch.nn.Identity()).is_inception


def test_pictures_come_from_data_sets_folders_and_not_from_masks(tmp_path):
    dataset = write_analytic_dataset(tmp_path / "set", 1, 4)
    assert len(list(pictures_of(dataset, 3, 0.7))) == 3
    folder = folder_of(tmp_path / "real", count=5)
    (folder / "masks").mkdir()
    cv2.imwrite(str(folder / "masks" / "000.png"), np.zeros((8, 8), np.uint8))
    cv2.imwrite(str(folder / "001_mask.png"), np.zeros((8, 8), np.uint8))
    assert len(list(pictures_of(folder, 100, 1.0))) == 5


def test_large_pictures_are_reduced_to_the_height_of_small_ones(tmp_path):
    (tmp_path / "one").mkdir()
    fine = np.indices((256, 320)).sum(0) % 2 * np.full((256, 320), 255.0)
    cv2.imwrite(str(tmp_path / "one/a.png"), np.repeat(fine[..., None], 3, -1).astype(np.uint8))
    (sharp,) = pictures_of(tmp_path / "one", 1, 1.0)
    (reduced,) = pictures_of(tmp_path / "one", 1, 1.0, 64)
    (as_it_is,) = pictures_of(tmp_path / "one", 1, 1.0, 300)
    assert sharp.std() > 20
    assert reduced.std() < 1
    assert np.array_equal(as_it_is, sharp)


def test_the_middle_is_looked_at(tmp_path):
    tmp_path.joinpath("one").mkdir()
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[20:80, 70:130] = 255
    cv2.imwrite(str(tmp_path / "one" / "a.png"), picture)
    (middle,) = pictures_of(tmp_path / "one", 1, 0.6)
    assert middle.min() == 255


def test_too_few_pictures_and_none_are_refused(tmp_path):
    few = folder_of(tmp_path / "few", count=3)
    with pytest.raises(DataError, match="at least 8 pictures"):
        measure_realism({"made": few}, [few], None, SETTINGS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="must hold pictures"):
        list(pictures_of(tmp_path / "empty", 3, 1.0))
