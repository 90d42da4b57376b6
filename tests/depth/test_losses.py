# SPDX-License-Identifier: Apache-2.0
"""Losses on log depth: hand values, laws, and that invalid pixels weigh nothing."""

import math

import pytest
import torch

from endoforge.depth.losses import absolute_loss, gradient_loss, log_error, scale_invariant_loss


def image(rows):
    return torch.tensor(rows)[None, None]


ALL = torch.ones(1, 1, 2, 2, dtype=torch.bool)


def test_the_error_is_the_logarithm_of_the_ratio():
    error = log_error(image([[math.log(20.0)]]), image([[10.0]]), image([[True]]))
    assert error.item() == pytest.approx(math.log(2.0))


def test_the_absolute_loss_is_the_mean_over_valid_pixels():
    error, valid = image([[1.0, -3.0], [9.0, 0.5]]), image([[True, True], [False, True]])
    error = torch.where(valid, error, 0.0)
    assert absolute_loss(error, valid).item() == pytest.approx(4.5 / 3)


def test_the_scale_invariant_loss_is_the_root_of_what_eigen_wrote():
    error = image([[1.0, 2.0], [3.0, 4.0]])
    found = scale_invariant_loss(error, ALL, variance_focus=0.5).item()
    assert found == pytest.approx(math.sqrt(7.5 - 0.5 * 2.5**2), abs=2e-3)


def test_full_variance_focus_forgives_any_scale():
    error = image([[1.0, 2.0], [3.0, 4.0]])
    losses = [scale_invariant_loss(error + shift, ALL, 1.0).item() for shift in (0.0, 5.0)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert scale_invariant_loss(torch.full((1, 1, 2, 2), 3.0), ALL, 1.0).item() < 1e-3


def test_the_gradient_loss_sums_mean_steps_right_and_down():
    error = image([[0.0, 1.0], [3.0, 3.5]])
    found = gradient_loss(error, ALL, scales=1).item()
    assert found == pytest.approx((1.0 + 0.5) / 2 + (3.0 + 2.5) / 2)


def test_a_constant_error_has_no_gradient_loss_at_any_scale():
    error, valid = torch.full((2, 1, 16, 16), 0.7), torch.ones(2, 1, 16, 16, dtype=torch.bool)
    assert gradient_loss(error, valid, scales=4).item() == 0.0


def test_a_ramp_costs_twice_as_much_at_each_coarser_scale():
    error = torch.arange(16.0).expand(1, 1, 16, 16).clone()
    valid = torch.ones_like(error, dtype=torch.bool)
    found = [gradient_loss(error, valid, scales=k).item() for k in (1, 2, 3)]
    assert found == pytest.approx([1.0, 1.0 + 2.0, 1.0 + 2.0 + 4.0])


def losses(log_depth, depth, valid):
    error = log_error(log_depth, depth, valid)
    return (
        absolute_loss(error, valid)
        + scale_invariant_loss(error, valid, 0.5)
        + gradient_loss(error, valid, 3)
    )


def test_invalid_pixels_get_exactly_no_gradient_even_where_depth_is_zero():
    generator = torch.Generator().manual_seed(0)
    log_depth = torch.randn(2, 1, 16, 16, generator=generator).requires_grad_()
    valid = torch.rand(2, 1, 16, 16, generator=generator) < 0.6
    depth = torch.where(valid, torch.rand(2, 1, 16, 16, generator=generator) * 50 + 1, 0.0)
    losses(log_depth, depth, valid).backward()
    assert torch.isfinite(log_depth.grad).all()
    assert (log_depth.grad[~valid] == 0).all()
    assert (log_depth.grad[valid] != 0).float().mean() > 0.99


def test_what_lies_under_the_mask_changes_no_loss():
    generator = torch.Generator().manual_seed(1)
    log_depth, depth = torch.randn(1, 1, 8, 8, generator=generator), torch.full((1, 1, 8, 8), 9.0)
    valid = torch.rand(1, 1, 8, 8, generator=generator) < 0.5
    plain = losses(log_depth, depth, valid)
    depth[~valid], log_depth[~valid] = float("nan"), 1e4
    assert losses(log_depth, depth, valid).item() == plain.item()


def test_a_picture_without_valid_pixels_costs_nothing_and_teaches_nothing():
    log_depth = torch.randn(1, 1, 8, 8, requires_grad=True)
    total = losses(log_depth, torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.bool))
    total.backward()
    assert total.item() == pytest.approx(0.0, abs=1e-9)
    assert (log_depth.grad == 0).all()


def test_gradients_agree_with_finite_differences():
    generator = torch.Generator().manual_seed(2)
    log_depth = torch.randn(1, 1, 4, 4, generator=generator, dtype=torch.float64)
    depth = torch.rand(1, 1, 4, 4, generator=generator, dtype=torch.float64) * 30 + 5
    valid = torch.rand(1, 1, 4, 4, generator=generator) < 0.8
    torch.autograd.gradcheck(lambda x: losses(x, depth, valid), log_depth.requires_grad_())
