# SPDX-License-Identifier: Apache-2.0
"""Drawn transfer functions: plausible, the same for the same stream, and mixed exactly."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoforge.distributions import drawn
from endoforge.errors import SettingsError
from endoforge.optics.transfer import GradientRamp, check_transfer, properties
from endoforge.optics.transfer_draw import (
    TransferChange,
    blend,
    changed,
    sample_transfer,
    tinted,
)
from endoforge.optics.transfer_file import preset, preset_names, transfer_to_dict, write_transfer
from endoforge.optics.transfer_settings import TransferSettings
from endoforge.settings import validate
from endoforge.streams import stream

ONE = (1.0, 1.0)
STILL = TransferSettings(
    hu_shift=(0.0, 0.0), extinction=ONE, brightness=ONE, organ_brightness=ONE, hue_deg=(0.0, 0.0),
    saturation=ONE, roughness=ONE, f0=ONE, surfaces=ONE,
)  # fmt: skip
RAMP = GradientRamp(10.0, 40.0, 0.2)
HU = np.linspace(-1024, 2000, 300)


def test_settings_without_spread_give_the_preset():
    for name in preset_names():
        got = sample_transfer(STILL.model_copy(update={"preset": name}), stream(0, "x"))
        np.testing.assert_allclose(
            properties(got.curve, HU), properties(preset(name).curve, HU), atol=1e-12
        )
        assert got.organs.keys() == preset(name).organs.keys()


@pytest.mark.parametrize("name", preset_names())
def test_every_draw_can_be_drawn_and_differs(name):
    settings = TransferSettings(preset=name)
    draws = [sample_transfer(settings, stream(3, name, k)) for k in range(10)]
    for one in draws:
        check_transfer(one)
        assert one.curve.albedo.max() <= max(0.98, preset(name).curve.albedo.max())
    assert len({float(d.curve.extinction_per_mm.max()) for d in draws}) == 10
    again = sample_transfer(settings, stream(3, name, 4))
    assert transfer_to_dict(again) == transfer_to_dict(draws[4])


def test_a_fixed_draw_gives_the_same_again():
    settings = TransferSettings(preset={"choice": ["bone", "skin"]}, blend_with="airway")
    fixed = drawn(settings, 5, "transfer", 2)
    one, two = (sample_transfer(fixed, np.random.default_rng(k)) for k in (0, 1))
    assert one.curve.hu.tobytes() == two.curve.hu.tobytes()
    assert fixed.preset in ("bone", "skin")


def test_a_file_stands_in_for_the_preset_and_organs_can_be_left_out(tmp_path):
    write_transfer(tmp_path / "mine.json", preset("liver-vessels"))
    settings = STILL.model_copy(update={"file": tmp_path / "mine.json", "organs": False})
    got = sample_transfer(settings, stream(0, "x"))
    assert got.name == "liver-vessels" and not got.organs


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"preset": "bones"}, "preset.*'bones'"),
        ({"extinction": 0.0}, r"extinction must lie within 0\.01 to 100"),
        ({"anisotropy": 1.0}, r"anisotropy must lie within -0\.95 to 0\.95"),
        ({"colour": 1}, "unknown setting 'colour'"),
    ],
)
def test_implausible_settings_are_refused(wrong, said):
    with pytest.raises(SettingsError, match=said):
        validate(TransferSettings, wrong)


# ---- mixing -------------------------------------------------------------------------------------


@given(st.floats(0, 1))
def test_extinction_is_mixed_linearly_and_scattering_adds_up(share):
    first, second = preset("skin"), preset("airway")
    mixed = properties(blend(first, second, share).curve, HU)
    one, two = properties(first.curve, HU), properties(second.curve, HU)
    want = (1 - share) * one[:, 0] + share * two[:, 0]
    np.testing.assert_allclose(mixed[:, 0], want, atol=1e-9)
    points = np.union1d(first.curve.hu, second.curve.hu)
    mixed, one, two = (
        properties(f.curve, points) for f in (blend(first, second, share), first, second)
    )
    scattered = (1 - share) * one[:, :1] * one[:, 1:4] + share * two[:, :1] * two[:, 1:4]
    np.testing.assert_allclose(mixed[:, :1] * mixed[:, 1:4], scattered, atol=1e-9)


def test_both_ends_of_a_mixture_are_the_functions_themselves():
    first, second = preset("soft-tissue"), preset("bone")
    for share, want in ((0.0, first), (1.0, second)):
        got = blend(first, second, share)
        stops = properties(want.curve, HU)[:, 0] > 0
        np.testing.assert_allclose(
            properties(got.curve, HU)[stops], properties(want.curve, HU)[stops], atol=0.05
        )
        assert got.anisotropy == want.anisotropy
        np.testing.assert_allclose(
            properties(got.organs["liver"], HU)[:, 0],
            properties(want.organs.get("liver", want.curve), HU)[:, 0],
            atol=1e-9,
        )
    with pytest.raises(SettingsError, match=r"0 to 1, got 1\.5"):
        blend(first, second, 1.5)


def test_ramps_are_mixed_number_by_number_and_none_counts_as_one():
    plain, steep = preset("soft-tissue"), replace(preset("bone"), gradient=RAMP)
    assert blend(plain, steep, 0.25).gradient == GradientRamp(10.0, 40.0, 0.8)
    assert blend(steep, plain, 0.25).gradient == GradientRamp(10.0, 40.0, 0.4)
    assert blend(plain, steep, 0.0).gradient is None and blend(plain, steep, 1.0).gradient == RAMP
    other = replace(plain, gradient=GradientRamp(30.0, 80.0, 0.6))
    assert blend(steep, other, 0.5).gradient == GradientRamp(20.0, 60.0, 0.4)


# ---- changing -----------------------------------------------------------------------------------


def test_each_change_does_what_it_says():
    base = preset("soft-tissue")
    moved = changed(base, TransferChange(hu_shift=20.0, extinction=2.0, f0=1.5, surfaces=3.0))
    np.testing.assert_allclose(
        properties(moved.curve, HU + 20)[:, 0], 2 * properties(base.curve, HU)[:, 0], atol=1e-9
    )
    np.testing.assert_allclose(moved.curve.f0, 1.5 * base.curve.f0)
    assert moved.surface_hu_per_mm == 3 * base.surface_hu_per_mm
    assert changed(base, TransferChange(anisotropy=0.7)).anisotropy == 0.7
    bright = changed(base, TransferChange(brightness=3.0, roughness=10.0))
    check_transfer(bright)
    assert bright.curve.albedo.max() == 0.98


def test_a_ramp_is_stretched_and_raised_within_what_can_be(tmp_path):
    base = replace(preset("soft-tissue"), gradient=RAMP)
    wide = changed(base, TransferChange(steepness=2.0, floor=0.5)).gradient
    assert wide == GradientRamp(20.0, 80.0, 0.5)
    most = changed(base, TransferChange(steepness=1000.0))
    assert check_transfer(most).gradient == GradientRamp(1250.0, 5000.0, 0.2)
    assert changed(preset("soft-tissue"), TransferChange(steepness=2.0)).gradient is None
    write_transfer(tmp_path / "steep.json", base)
    settings = TransferSettings(file=tmp_path / "steep.json", gradient_floor=(0.3, 0.6))
    drawn_ones = [sample_transfer(settings, stream(3, "x", k)).gradient for k in range(20)]
    assert all(0.3 <= r.floor <= 0.6 and 7 <= r.from_hu_per_mm <= 14 for r in drawn_ones)
    assert len({r.from_hu_per_mm for r in drawn_ones}) == 20


def test_functions_without_a_ramp_draw_as_if_there_were_none():
    one, other = (
        sample_transfer(TransferSettings(steepness=s), stream(3, "x")) for s in (ONE, (0.5, 2.0))
    )
    assert transfer_to_dict(one) == transfer_to_dict(other)


@given(st.floats(-180, 180), st.floats(0, 3))
def test_a_turned_colour_keeps_its_mean(hue, saturation):
    albedo = np.array([[0.6, 0.2, 0.1], [0.3, 0.3, 0.3]])
    turned = tinted(albedo, hue, saturation)
    np.testing.assert_allclose(turned.mean(axis=1), albedo.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(turned[1], albedo[1], atol=1e-12)
    length = np.linalg.norm(turned[0] - 0.3)
    assert length == pytest.approx(saturation * np.linalg.norm(albedo[0] - 0.3), abs=1e-9)
