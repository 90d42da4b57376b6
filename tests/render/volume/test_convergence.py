# SPDX-License-Identifier: Apache-2.0
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import SettingsError
from endoforge.render.volume.convergence import displayed, exposed, merged, noise_of, tally
from endoforge.render.volume.settings import QualitySettings
from endoforge.render.volume.view import Exposure, VolumeView
from endoforge.settings import validate
from endoforge.streams import stream

HEIGHT, WIDTH = 16, 24


def truth() -> np.ndarray:
    """A picture from dark to bright."""
    ramp = np.linspace(0.05, 1.0, WIDTH, dtype=np.float64)
    return np.broadcast_to(ramp[None, :, None] * [1.0, 0.7, 0.5], (HEIGHT, WIDTH, 3)).copy()


def taken(values: np.ndarray) -> Exposure:
    """The exposure of given samples, by the textbook's formulas."""
    n = len(values)
    variance = values.var(axis=0, ddof=1) / n if n > 1 else None
    return Exposure(
        radiance=values.mean(axis=0).astype(np.float32),
        samples=n,
        variance=None if variance is None else variance.astype(np.float32),
        albedo=np.full((HEIGHT, WIDTH, 3), 0.5, np.float32),
        seconds=0.25,
    )


@dataclass
class Dice:
    """Every sample is twice the truth or nothing; each has a number and is its own stream."""

    pause_s: float = 0.0
    per_pass_s: float = 0.0
    asked: list[tuple[int, int]] = field(default_factory=list)

    def samples(self, view: VolumeView, first: int, count: int) -> np.ndarray:
        shape = (HEIGHT, WIDTH, 1)
        draws = [
            stream(view.seed, "dice", k).random(shape) < 0.5 for k in range(first, first + count)
        ]
        return 2 * truth() * np.stack(draws)

    def expose(
        self, view: VolumeView, samples: int, max_bounces: int = 16, first_sample: int = 0
    ) -> Exposure:
        self.asked.append((first_sample, samples))
        time.sleep(self.pause_s * samples + self.per_pass_s)
        return taken(self.samples(view, first_sample, samples))


def view(seed: int = 0) -> VolumeView:
    return VolumeView(np.eye(4), seed=seed)


def error(exposure: Exposure) -> float:
    """Root mean square error of what is displayed."""
    white = float(np.percentile(truth(), 99))
    apart = displayed(exposure.radiance, white) - displayed(truth().astype(np.float32), white)
    return float(np.sqrt(np.mean(np.square(apart))))


# ---- merging ------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_merged_passes_are_as_good_as_one_pass_of_all_samples(sizes):
    values = Dice().samples(view(3), 0, sum(sizes))
    parts = np.split(values, np.cumsum(sizes)[:-1])
    total = tally(taken(parts[0]))
    for part in parts[1:]:
        total = merged(total, tally(taken(part)))
    one, all_at_once = total.exposure(), taken(values)
    assert one.samples == len(values)
    assert one.seconds == pytest.approx(0.25 * len(sizes))
    np.testing.assert_allclose(one.radiance, all_at_once.radiance, rtol=1e-6)
    if len(values) == 1:
        assert one.variance is None
    else:
        np.testing.assert_allclose(one.variance, all_at_once.variance, rtol=1e-5, atol=1e-12)


def test_a_pass_without_its_variance_is_not_merged():
    blind = Exposure(
        *(np.ones((2, 2, 3), np.float32), 4, None), np.ones((2, 2, 3), np.float32), 0.0
    )
    with pytest.raises(SettingsError, match="4 samples needs its variance"):
        tally(blind)


@pytest.mark.parametrize(
    "quality", [QualitySettings(samples=6, progressive=True), QualitySettings(noise=0.12)]
)
def test_pictures_are_unbiased_and_say_rightly_how_noisy_they_are(quality):
    shots = [exposed(Dice(), view(seed), quality) for seed in range(60)]
    means = np.stack([shot.radiance for shot in shots]).astype(np.float64)
    spread = np.stack([shot.variance for shot in shots]).mean(axis=0)
    z = (means.mean(axis=0) - truth()) / np.sqrt(spread / len(shots))
    assert abs(z[..., 0].mean()) < 4 / np.sqrt(HEIGHT * WIDTH)
    assert np.abs(z).max() < 5
    assert spread.mean() == pytest.approx(means.var(axis=0, ddof=1).mean(), rel=0.05)


# ---- rules --------------------------------------------------------------------------------------


def test_a_progressive_picture_doubles_and_ends_at_the_number_asked_for():
    dice, seen = Dice(), []
    picture = exposed(dice, view(), QualitySettings(samples=21, progressive=True), seen.append)
    assert dice.asked == [(0, 1), (1, 1), (2, 2), (4, 4), (8, 8), (16, 5)]
    assert [s.samples for s in seen] == [1, 2, 4, 8, 16, 21]
    assert np.array_equal(seen[-1].radiance, picture.radiance)
    assert picture.samples == 21


def test_a_number_of_samples_is_one_pass():
    dice = Dice()
    assert exposed(dice, view(), QualitySettings(samples=21)).samples == 21
    assert dice.asked == [(0, 21)]


@pytest.mark.parametrize("target", [0.08, 0.04])
def test_a_noise_target_is_reached_and_not_overdone(target):
    dice = Dice()
    picture = exposed(dice, view(5), QualitySettings(noise=target))
    assert noise_of(picture) <= target
    assert 0.75 * target < error(picture) < 1.15 * target
    assert len(dice.asked) <= 5


def test_the_noise_of_few_samples_is_the_error_that_they_have():
    for samples in (16, 64):
        shots = [exposed(Dice(), view(k), QualitySettings(samples=samples)) for k in range(6)]
        stated = np.sqrt(np.mean([noise_of(shot) ** 2 for shot in shots]))
        real = np.sqrt(np.mean([error(shot) ** 2 for shot in shots]))
        assert stated == pytest.approx(real, rel=0.15)


def test_noise_of_one_sample_is_unknown_and_of_darkness_none():
    one = exposed(Dice(), view(), QualitySettings(samples=1))
    assert noise_of(one) == float("inf")
    black = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    assert noise_of(Exposure(black, 4, black, black, 0.0)) == 0.0


def test_an_evenly_bright_picture_is_noisy_too():
    even = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    noisy = Exposure(even, 4, np.full_like(even, 0.05**2), even, 0.0)
    assert noise_of(noisy) == pytest.approx(0.05 / 0.5 / 2.2, rel=1e-3)


def test_the_same_view_gives_the_same_bits_watched_or_not():
    for quality in (QualitySettings(samples=9), QualitySettings(noise=0.1)):
        alone = exposed(Dice(), view(4), quality)
        watched = exposed(Dice(), view(4), quality, lambda so_far: None)
        assert np.array_equal(alone.radiance, watched.radiance)
        assert np.array_equal(alone.variance, watched.variance)
        other = exposed(Dice(), view(5), quality)
        assert not np.array_equal(alone.radiance, other.radiance)


@pytest.mark.parametrize("per_pass_s", [0.0, 0.02])
def test_a_time_budget_is_kept_within_a_fifth(per_pass_s):
    dice = Dice(pause_s=0.004, per_pass_s=per_pass_s)
    begin = time.perf_counter()
    picture = exposed(dice, view(), QualitySettings(seconds=0.6, denoise="off"))
    assert 0.8 * 0.6 < time.perf_counter() - begin < 1.2 * 0.6
    assert picture.samples > 50


def test_a_time_budget_keeps_room_for_denoising(monkeypatch):
    monkeypatch.setattr(
        "endoforge.render.volume.convergence.smoothing_s", lambda pixels, method: 0.3
    )
    begin = time.perf_counter()
    exposed(Dice(pause_s=0.004), view(), QualitySettings(seconds=0.6))
    assert 0.2 < time.perf_counter() - begin < 0.36


def test_every_picture_has_a_sample_and_none_has_more_than_the_cap():
    assert exposed(Dice(pause_s=0.01), view(), QualitySettings(seconds=1e-3)).samples == 1
    for rule in ({"noise": 1e-4}, {"seconds": 60.0}):
        quality = QualitySettings(max_samples=20, **rule)
        assert exposed(Dice(), view(), quality).samples == 20
    assert exposed(Dice(), view(), QualitySettings(noise=1e-4, max_samples=2)).samples == 2


# ---- settings -----------------------------------------------------------------------------------


def test_sixteen_samples_when_nothing_is_asked_for():
    assert QualitySettings().samples == 16
    assert QualitySettings(noise=0.05).samples is None
    assert validate(QualitySettings, QualitySettings(seconds=2.0).model_dump()).seconds == 2.0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"samples": 4, "noise": 0.1}, "exactly one of samples, noise and seconds.*4.*0.1"),
        ({"samples": 4, "seconds": 1.0}, "exactly one"),
        ({"samples": 0}, "greater than or equal to 1"),
        ({"noise": 0.0}, "greater than or equal to 0.0001"),
        ({"seconds": -1.0}, "greater than 0"),
        ({"sample": 3}, "did you mean 'samples'"),
        ({"denoise": "nlm"}, "'guided', 'oidn' or 'off'"),
        ({"max_bounces": 0}, "greater than or equal to 1"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(values, says):
    with pytest.raises(SettingsError, match=says) as refusal:
        validate(QualitySettings, values)
    assert "\n" not in str(refusal.value)
