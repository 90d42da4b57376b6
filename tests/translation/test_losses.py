# SPDX-License-Identifier: Apache-2.0
"""Losses between pictures agree with other libraries; what is masked has no influence at all."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from endoforge.streams import stream
from endoforge.translation.losses import (
    MS_SSIM_WEIGHTS,
    colour_difference,
    counted_together,
    hide,
    masked_l1,
    ms_ssim,
)


def pair(side=176, channels=3, batch=2, noise=0.2):
    generator = torch.Generator().manual_seed(0)
    one = torch.rand(batch, channels, side, side, generator=generator)
    one = torch.nn.functional.avg_pool2d(one, 5, 1, 2)
    return one, one + noise * torch.randn(one.shape, generator=generator)


def from_other_libraries(one, other, normalised):
    """Contrast of four scales from TorchMetrics, similarity of the fifth from scikit-image.

    TorchMetrics' own product takes its last similarity over a border of mirrored pixels too.
    """
    terms = []
    for scale in range(5):
        _, contrast = structural_similarity_index_measure(
            one, other, data_range=1.0, return_contrast_sensitivity=True, reduction="none"
        )
        if scale == 4:
            contrast = torch.tensor([_skimage(a, b) for a, b in zip(one, other, strict=True)])
        terms.append((contrast + 1) / 2 if normalised else contrast.clamp(min=0))
        one, other = (torch.nn.functional.avg_pool2d(picture, 2) for picture in (one, other))
    weights = torch.tensor(MS_SSIM_WEIGHTS)[:, None]
    return (torch.stack(terms) ** weights).prod(dim=0).mean()


def _skimage(one, other):
    return structural_similarity(
        one.numpy(), other.numpy(), data_range=1.0, channel_axis=0, gaussian_weights=True,
        sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_structural_similarity_agrees_with_other_libraries(normalised, channels):
    one, other = pair(channels=channels)
    ours = ms_ssim(one, other, normalised=normalised, value_range=1.0)
    theirs = from_other_libraries(one, other, normalised)
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


@pytest.mark.parametrize("side", [16, 64, 128])
def test_equal_pictures_are_wholly_alike_at_any_size(side):
    one, _ = pair(side)
    assert float(ms_ssim(one, one)) == pytest.approx(1.0, abs=1e-5)


def test_opposite_structure_has_a_slope_in_the_normalised_form():
    one, _ = pair(64)
    other = (-one).requires_grad_(True)
    value = ms_ssim(one, other)
    assert float(value.detach()) < 0.5
    value.backward()
    assert float(other.grad.abs().max()) > 0


def ring(side, batch=2):
    line = torch.linspace(-1, 1, side)
    inside = (line[:, None].square() + line.square() < 0.7).float()
    return inside.expand(batch, 1, side, side).contiguous()


def test_masked_pixels_have_exactly_no_influence():
    one, other = pair(64)
    counts = ring(64)
    spoilt = torch.where(counts > 0, other, 1000.0)
    for loss in (ms_ssim, masked_l1):
        assert torch.equal(loss(one, other, counts), loss(one, spoilt, counts))
    nan = torch.where(counts > 0, other, float("nan"))
    assert torch.equal(masked_l1(one, other, counts), masked_l1(one, nan, counts))


def test_masked_pixels_get_no_gradient():
    one, other = pair(64)
    counts = ring(64)
    other.requires_grad_(True)
    (masked_l1(one, other, counts) - ms_ssim(one, other, counts)).backward()
    outside = other.grad * (1 - counts)
    assert float(outside.abs().max()) == 0
    assert float((other.grad * counts).abs().max()) > 0


def test_a_mask_of_ones_changes_nothing():
    one, other = pair(64)
    ones = torch.ones(2, 1, 64, 64)
    torch.testing.assert_close(ms_ssim(one, other, ones), ms_ssim(one, other))
    torch.testing.assert_close(masked_l1(one, other, ones), masked_l1(one, other))


def test_the_absolute_difference_is_a_mean_over_what_counts():
    one, counts = torch.zeros(1, 3, 2, 2), torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    other = torch.tensor([1.0, 9.0, 3.0, 9.0]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2)
    assert float(masked_l1(one, other, counts)) == pytest.approx(2.0)
    assert float(masked_l1(one, other, 0 * counts)) == 0.0


def test_what_a_judge_sees_does_not_tell_whose_mask_it_is():
    source_counts, target_counts = ring(16, 1), torch.ones(1, 1, 16, 16)
    target_counts[..., :4] = 0
    both = counted_together(source_counts, target_counts)
    shown = [hide(torch.ones(1, 3, 16, 16), both) for _ in ("true", "made")]
    assert torch.equal(shown[0], shown[1])
    assert float((hide(torch.ones(1, 3, 16, 16), both) * (1 - both)).abs().max()) == 0


# ---- colours of two domains ----


def flat_pictures(rng, count, mean):
    """Pictures of one colour each, around a mean: means and products are known exactly."""
    colours = rng.normal(mean, 0.3, (count, 3, 1, 1)).astype(np.float32)
    return torch.from_numpy(colours).expand(-1, -1, 4, 4)


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_the_difference_of_colours_is_on_average_that_of_the_domains(shift):
    """Of normal colours: means differ by s each, squares by s², mixed products by s²."""
    rng, counts = stream(5, "colours"), torch.ones(4, 1, 4, 4)
    found = [
        colour_difference(flat_pictures(rng, 4, shift), flat_pictures(rng, 4, 0.0), counts).item()
        for _ in range(4000)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert error < 0.02
    assert np.mean(found) == pytest.approx(3 * shift**2 + 9 * shift**4, abs=4 * error)


def test_the_difference_of_colours_is_that_of_each_half_when_both_are_alike():
    counts = torch.ones(2, 1, 4, 4)
    made, wanted = torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, 3, 4, 4)
    assert colour_difference(made, wanted, counts).item() == pytest.approx(3 * 0.25 + 9 * 0.0625)
    assert colour_difference(made, made, counts).item() == 0


def test_colours_that_do_not_count_have_no_influence():
    rng, counts = stream(6, "colours"), torch.ones(2, 1, 4, 4)
    counts[..., :2] = 0
    made, wanted = flat_pictures(rng, 2, 0.2).clone(), flat_pictures(rng, 2, 0.0)
    before = colour_difference(made, wanted, counts)
    made[..., :2] = 1.0
    assert torch.equal(colour_difference(made, wanted, counts), before)
