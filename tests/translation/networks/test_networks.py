# SPDX-License-Identifier: Apache-2.0
"""Generators, judges and encoders have the sizes and the reach that their papers say."""

import pytest
import torch
from torch.nn import functional

from endoforge.errors import SettingsError, ShapeError
from endoforge.translation.networks.build import build_generator
from endoforge.translation.networks.discriminators import (
    DcganDiscriminator,
    MlpDiscriminator,
    PatchDiscriminator,
)
from endoforge.translation.networks.encoders import (
    AdaptiveDecoder,
    ContentEncoder,
    PlainDecoder,
    StyleEncoder,
    fine_detail,
    with_noise,
)
from endoforge.translation.networks.generators import DcganGenerator, MlpGenerator
from endoforge.translation.networks.settings import (
    CodeSettings,
    DcganSettings,
    MlpSettings,
    MunitPatchSettings,
    PatchSettings,
    ResNetSettings,
    UNetGeneratorSettings,
)


def size_of(network):
    return sum(parameter.numel() for parameter in network.parameters())


def narrow(**changes):
    return CodeSettings(**({"width": 4, "blocks": 1, "mlp_width": 8} | changes))


@pytest.mark.parametrize(
    ("network", "published_millions"),
    [
        (lambda: build_generator(3, 3, ResNetSettings()), 11.378),
        (lambda: build_generator(3, 3, ResNetSettings(blocks=6)), 7.838),
        (lambda: build_generator(3, 3, UNetGeneratorSettings()), 54.414),
        (lambda: PatchDiscriminator(3, PatchSettings()), 2.765),
        (lambda: PatchDiscriminator(6, PatchSettings(norm="instance-affine")), 2.769),
    ],
    ids=["resnet-9", "resnet-6", "unet-256", "patch-70", "patch-of-pairs"],
)
def test_networks_have_the_published_number_of_weights(network, published_millions):
    """Biases before a normalisation, which have no effect, are left out here."""
    with torch.device("meta"):
        found = size_of(network())
    assert found == pytest.approx(1e6 * published_millions, rel=1.5e-3)


def test_munit_has_its_published_size():
    with torch.device("meta"):
        settings = CodeSettings()
        found = sum(
            size_of(part(3, settings)) for part in (ContentEncoder, StyleEncoder, AdaptiveDecoder)
        )
    assert found == pytest.approx(15.03e6, rel=2e-3)


@pytest.mark.parametrize(
    "settings",
    [
        ResNetSettings(width=4, blocks=1),
        ResNetSettings(width=4, blocks=1, upsampling="resize", antialias=True),
        UNetGeneratorSettings(width=4, levels=3),
        UNetGeneratorSettings(width=4, levels=2, upsampling="resize", norm="batch"),
    ],
)
def test_pictures_keep_their_size_and_any_channels_do(settings):
    made = build_generator(5, 2, settings)(torch.randn(2, 5, 16, 24))
    assert made.shape == (2, 2, 16, 24)
    assert float(made.detach().abs().max()) <= 1


@pytest.mark.parametrize("settings", [ResNetSettings(width=4), UNetGeneratorSettings(width=4)])
def test_a_size_that_does_not_fit_is_refused(settings):
    with pytest.raises(ShapeError, match="multiples of"):
        build_generator(3, 3, settings)(torch.randn(1, 3, 18, 20))


def test_features_are_those_on_the_way_to_the_picture():
    generator = build_generator(3, 3, ResNetSettings(width=4, blocks=2))
    picture, taps = torch.randn(1, 3, 16, 16), (0, 2, 3, 4)
    made, along = generator.with_features(picture, taps)
    alone = generator.features(picture, taps)
    assert torch.equal(made, generator(picture))
    assert all(torch.equal(a, b) for a, b in zip(along, alone, strict=True))
    assert [f.shape[1] for f in along] == generator.tap_widths(3, taps)


@pytest.mark.parametrize(("layers", "reach"), [(1, 16), (2, 34), (3, 70)])
def test_a_patch_has_its_stated_size(layers, reach):
    """One score depends on exactly so many pixels a side; Isola 2017, appendix 6.1.2."""
    torch.manual_seed(0)
    judge = PatchDiscriminator(1, PatchSettings(width=4, layers=layers, norm="none"))
    picture = torch.randn(1, 1, 128, 128, requires_grad=True)
    (scores,) = judge(picture)
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    seen = picture.grad[0, 0].abs().sum(dim=0) > 0
    assert int(seen.sum()) == reach


def test_three_scales_judge_ever_smaller_pictures():
    judge = PatchDiscriminator(3, MunitPatchSettings(width=4))
    assert [tuple(s.shape[1:]) for s in judge(torch.randn(2, 3, 64, 64))] == [
        (1, 4, 4),
        (1, 2, 2),
        (1, 1, 1),
    ]


@pytest.mark.parametrize("channels", [0, 8])
def test_codes_become_pictures_of_the_same_size(channels):
    settings = narrow(content_channels=channels)
    picture = torch.randn(2, 3, 32, 48)
    content = ContentEncoder(3, settings)(picture)
    style = StyleEncoder(3, settings)(picture)
    assert content.shape == (2, channels or 16, 8, 12)
    assert style.shape == (2, 8)
    assert AdaptiveDecoder(5, settings)(content, style).shape == (2, 5, 32, 48)
    assert PlainDecoder(5, settings)(content).shape == (2, 5, 32, 48)


@pytest.mark.parametrize("halvings", [1, 2])
def test_fine_detail_is_content_as_it_is_and_reaches_the_picture(halvings):
    torch.manual_seed(0)
    settings = narrow(content_channels=8, halvings=halvings, detail=True)
    picture = torch.rand(1, 3, 32, 48)
    content = ContentEncoder(3, settings)(picture)
    assert content.shape[1] == 8 + settings.details == 8 + 4**halvings
    shown = functional.pixel_shuffle(content[:, 8:], 2**halvings)
    torch.testing.assert_close(shown, fine_detail(picture))
    decoder = PlainDecoder(3, settings)
    (kernel,) = (p for p in decoder.widen.parameters() if p.ndim == 4)
    with torch.no_grad():
        kernel[:, 8:] = 0.0  # so that only the last layer, which reaches 3 px, sees detail
    other = content.clone()
    other[:, 8, 4, 5] += 1.0
    rows, columns = (decoder(content) - decoder(other)).abs().mean(dim=1)[0].nonzero().T
    assert (rows - 4 * 2**halvings).abs().max() == 3
    assert (columns - 5 * 2**halvings).abs().max() == 3


def test_detail_is_what_a_mean_over_the_neighbourhood_takes_away():
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 32, 64)
    assert fine_detail(ramp)[..., 8:-8].abs().max() < 1e-5
    checks = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    found = fine_detail(checks.expand(1, 3, 32, 32))[0, 0, 8:-8, 8:-8]
    torch.testing.assert_close(found, checks[8:-8, 8:-8] * (1 - 1 / 625))


def test_a_generator_from_its_input_answers_with_it_where_its_last_layer_says_nothing():
    settings = ResNetSettings(width=4, blocks=1, from_input=True)
    generator = build_generator(3, 3, settings)
    picture = torch.rand(1, 3, 16, 24) * 1.9 - 0.95
    assert not torch.allclose(generator(picture), picture, atol=0.01)
    with torch.no_grad():
        for parameter in generator.stages[-1].parameters():
            parameter.zero_()
    torch.testing.assert_close(generator(picture), picture)
    with pytest.raises(SettingsError, match="got 3 and 1; set it to false"):
        build_generator(3, 1, settings)


def test_content_does_not_know_brightness_but_style_does():
    torch.manual_seed(0)
    settings = narrow()
    picture = torch.rand(1, 3, 32, 32)
    content, style = ContentEncoder(3, settings), StyleEncoder(3, settings)
    torch.testing.assert_close(content(picture), content(0.5 * picture), atol=2e-3, rtol=0)
    assert not torch.allclose(style(picture), style(0.5 * picture), atol=1e-3)


def test_a_style_leaves_out_what_does_not_count():
    torch.manual_seed(0)
    encoder = StyleEncoder(3, narrow(style_halvings=2))
    picture, ones = torch.randn(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    torch.testing.assert_close(encoder(picture, ones), encoder(picture), atol=1e-6, rtol=1e-5)
    counts, spoilt = ones.clone(), picture.clone()
    counts[..., 32:] = 0
    spoilt[..., 48:] = 9  # farther away than a patch reaches
    assert torch.allclose(encoder(picture, counts), encoder(spoilt, counts), atol=1e-6)
    assert not torch.allclose(encoder(picture), encoder(spoilt), atol=1e-3)


def test_noise_has_the_stated_deviation_and_none_is_none():
    torch.manual_seed(0)
    picture = torch.zeros(1, 3, 64, 64)
    assert float(with_noise(picture, 0.1).std()) == pytest.approx(0.1, rel=0.05)
    assert with_noise(picture, 0.0) is picture


@pytest.mark.parametrize("side", [16, 32])
def test_noise_becomes_pictures_and_pictures_scores(side):
    small, dcgan = MlpSettings(noise=4, generator_width=8, judge_width=8), DcganSettings(width=4)
    for made, judge in (
        (MlpGenerator(2, side, small)(torch.randn(3, 4)), MlpDiscriminator(2, side, small)),
        (DcganGenerator(2, side, dcgan)(torch.randn(3, 100)), DcganDiscriminator(2, side, dcgan)),
    ):
        assert made.shape == (3, 2, side, side)
        assert judge(made)[0].shape == (3, 1, 1, 1)


def test_a_side_that_cannot_be_doubled_to_is_refused():
    with pytest.raises(SettingsError, match=r"pictures\.crop=24"):
        DcganGenerator(3, 24, DcganSettings(width=4))
