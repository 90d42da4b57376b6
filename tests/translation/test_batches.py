# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from endoforge.errors import DataError
from endoforge.translation.batches import (
    ENOUGH,
    Crop,
    NoiseBatches,
    PairedBatches,
    UnpairedBatches,
    cropped,
    draw_crop,
)
from endoforge.translation.domains import Domain, open_domain
from endoforge.translation.settings import TranslationSettings
from frames.media.samples import tissue

SETTINGS = TranslationSettings.model_validate(
    {"batch": 4, "seed": 3, "pictures": {"height": 48, "crop": 32}}
)


def opened(path: Path, cache: Path, side="target", **pictures) -> Domain:
    settings = SETTINGS.pictures.model_copy(update=pictures)
    return open_domain([path], settings, cache, side)


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Domain:
    folder = tmp_path_factory.mktemp("real")
    for number in range(5):
        Image.fromarray(tissue(80, 60, 7 * number)).save(folder / f"{number}.png")
    return opened(folder, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def sim(simulated, tmp_path_factory) -> Domain:
    planes = {"source_planes": ("image", "normals")}
    return opened(simulated, tmp_path_factory.mktemp("cache"), "source", **planes)


def test_a_batch_has_the_keys_shapes_and_range_of_the_contract(real, sim):
    batch = UnpairedBatches(sim, real, SETTINGS)(0)
    shapes = {name: tuple(value.shape) for name, value in batch.items()}
    assert shapes == {
        "source": (4, 6, 32, 32),
        "source_counts": (4, 1, 32, 32),
        "target": (4, 3, 32, 32),
        "target_counts": (4, 1, 32, 32),
    }
    for name, value in batch.items():
        assert value.dtype == torch.float32
        low, high = (0, 1) if name.endswith("counts") else (-1.001, 1.001)
        assert float(value.min()) >= low
        assert float(value.max()) <= high
        if name.endswith("counts"):
            assert set(value.unique().tolist()) <= {0.0, 1.0}


def test_a_batch_is_a_pure_function_of_the_step(real, sim):
    first, again = UnpairedBatches(sim, real, SETTINGS), UnpairedBatches(sim, real, SETTINGS)
    for _ in range(3):
        first(0)
    for step in (7, 2, 7):
        one, other = first(step), again(step)
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(first(7)["source"], first(8)["source"])


def test_the_two_sides_are_drawn_independently(real):
    """Else picture k of one side would always meet picture k of the other."""
    batch = UnpairedBatches(real, real, SETTINGS)(0)
    assert not torch.equal(batch["source"], batch["target"])


def test_every_picture_is_seen_once_per_epoch(real):
    one = SETTINGS.model_copy(update={"batch": 1})
    whole = one.model_copy(
        update={"pictures": one.pictures.model_copy(update={"crop": 48, "flip": False})}
    )
    batches = NoiseBatches(real, whole)
    seen = {batches(step)["target"].numpy().tobytes() for step in range(5)}
    assert len(seen) == 5
    assert set(batches(0)) == {"target", "target_counts"}


def test_pairs_are_cropped_and_mirrored_alike(simulated, tmp_path):
    source = opened(simulated, tmp_path, "source")
    target = opened(simulated, tmp_path, "target")
    for step in range(3):
        batch = PairedBatches(source, target, SETTINGS)(step)
        assert torch.equal(batch["source"], batch["target"])


def test_pairs_that_do_not_belong_together_are_refused(real, sim):
    with pytest.raises(DataError, match="same names and sizes"):
        PairedBatches(sim, real, SETTINGS)
    with pytest.raises(DataError, match="got 5 and 4 pictures"):
        PairedBatches(real, real.chosen([0, 1, 2, 3]), SETTINGS)


def test_mirroring_turns_the_normals_round(sim):
    plain, _ = cropped(sim, 0, Crop(3, 5, 32, False))
    mirrored, _ = cropped(sim, 0, Crop(3, 5, 32, True))
    back = mirrored[..., ::-1]
    assert np.array_equal(back[3], -plain[3])
    assert np.array_equal(back[[0, 1, 2, 4, 5]], plain[[0, 1, 2, 4, 5]])


def test_crops_that_show_mostly_surround_are_avoided(tmp_path):
    """Only a quarter of the picture counts; a blind draw would often show none of it."""
    picture = tissue(144, 48)
    picture[:, 40:] = 0
    (tmp_path / "a").mkdir()
    Image.fromarray(picture).save(tmp_path / "a" / "x.png")
    domain = opened(tmp_path / "a", tmp_path / "cache")
    shares = []
    for step in range(60):
        crop = draw_crop(domain, 0, SETTINGS, ("target", step, 0))
        shares.append(domain.counts(0, crop.rows, crop.columns).mean())
    assert np.mean(np.array(shares) > ENOUGH) > 0.5
    assert np.median(shares) > 0.5


def test_crops_reach_every_edge_and_flips_are_even(real):
    crops = [draw_crop(real, 0, SETTINGS, ("target", step, 0)) for step in range(300)]
    assert {crop.top for crop in crops} == set(range(17))
    assert {crop.left for crop in crops} == set(range(33))
    assert 0.4 < np.mean([crop.mirrored for crop in crops]) < 0.6
