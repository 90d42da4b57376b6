# SPDX-License-Identifier: Apache-2.0
from typing import Literal

import numpy as np
import pytest
from pydantic import Field

from endoforge.distributions import (
    Count,
    Distribution,
    LogUniform,
    Normal,
    Option,
    Spread,
    check_ends,
    draw,
    draw_count,
    drawn,
    ends_of,
)
from endoforge.errors import SettingsError
from endoforge.settings import Settings, validate


class Lamp(Settings):
    power: Distribution = (1.0, 3.0)
    balance: Spread = (0.9, 1.1)
    tilt: Distribution | None = None


class Look(Settings):
    gain: Distribution = (1.0, 1.0)
    count: Count = (0, 9)
    way: Option[Literal["in", "out"]] = "in"
    lamp: Lamp = Lamp()
    lamps: tuple[Lamp, ...] = (Lamp(), Lamp())
    width: int = Field(320)


def values(distribution, count=4000):
    rng = np.random.default_rng(0)
    gain = validate(Look, {"gain": distribution}).gain
    return np.array([draw(gain, rng) for _ in range(count)])


def test_a_number_is_fixed():
    assert set(values(1.5, 20)) == {1.5}


def test_a_uniform_has_its_mean_and_ends():
    found = values([2.0, 4.0])
    assert found.min() >= 2.0 and found.max() <= 4.0
    assert found.mean() == pytest.approx(3.0, abs=0.03)


def test_a_log_uniform_has_half_its_values_below_the_geometric_mean():
    found = values({"log_uniform": [0.1, 10.0]})
    assert found.min() >= 0.1 and found.max() <= 10.0
    assert np.mean(found < 1.0) == pytest.approx(0.5, abs=0.03)


def test_a_normal_has_its_moments_and_is_cut_off():
    found = values({"normal": [5.0, 2.0]})
    assert (found.mean(), found.std()) == pytest.approx((5.0, 2.0), abs=0.1)
    assert np.abs(found - 5.0).max() <= 8.0
    cut = values({"normal": [5.0, 2.0], "within": [4.0, 20.0]})
    assert cut.min() >= 4.0
    assert values({"normal": [5.0, 0.0]}, 3).tolist() == [5.0] * 3


def test_a_choice_follows_its_weights():
    found = values({"choice": [1.0, 2.0], "weights": [1, 3]})
    assert set(found) == {1.0, 2.0}
    assert np.mean(found == 2.0) == pytest.approx(0.75, abs=0.03)


def test_a_count_includes_both_ends():
    rng = np.random.default_rng(0)
    assert {draw_count((2, 4), rng) for _ in range(100)} == {2, 3, 4}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"gain": [2.0, 1.0]}, "the lower end 2.0 is above the upper end 1.0"),
        ({"gain": {"log_uniform": [0.0, 1.0]}}, "above 0"),
        ({"gain": {"normal": [0.0, -1.0]}}, "0 or more"),
        ({"gain": {"normal": [0.0, 1.0], "within": [50, 60]}}, "hardly ever"),
        ({"gain": {"choice": [1.0], "weights": [1, 2]}}, "1 values need as many weights"),
        ({"gain": {"choice": []}}, "at least 1"),
        ({"count": [3, 1]}, "the lower end 3 is above the upper end 1"),
        ({"way": "sideways"}, "way"),
        ({"gain": "bright"}, "gain"),
    ],
)
def test_a_wrong_distribution_is_refused_in_one_line(wrong, sentence):
    with pytest.raises(SettingsError, match=sentence) as caught:
        validate(Look, wrong)
    assert "\n" not in str(caught.value)


def test_limits_hold_for_every_kind():
    class Narrow(Settings):
        a: Distribution = Normal(normal=(1.0, 0.1))

    check_ends(Narrow(), {"a": (0.5, 1.5)})
    with pytest.raises(ValueError, match=r"a must lie within 0\.5 to 1\.5"):
        check_ends(Narrow(a=LogUniform(log_uniform=(0.4, 1.0))), {"a": (0.5, 1.5)})
    assert ends_of(LogUniform(log_uniform=(0.4, 1.0))) == (0.4, 1.0)


def test_drawn_settings_are_fixed_and_draw_themselves_again():
    look = validate(
        Look,
        {
            "way": {"choice": ["in", "out"]},
            "lamp": {"power": {"normal": [2.0, 0.2]}, "tilt": [0.0, 1.0]},
        },
    )
    once = drawn(look, 7, "look", 3)
    assert once == drawn(look, 7, "look", 3)
    assert once == drawn(once, 11, "other", 5)
    assert once == validate(Look, once.model_dump(mode="json"))
    (low, high), (least, most) = once.lamp.power, once.lamp.tilt
    assert (low, least) == (high, most) and once.lamps[0].tilt is None
    assert once.way in ("in", "out") and once.count[0] == once.count[1]
    assert once.lamp.balance == look.lamp.balance  # drawn per item, later
    assert once.lamps[0].power != once.lamps[1].power


def test_each_parameter_has_a_stream_of_its_own():
    """Fixing one parameter leaves all others as they were."""
    free = drawn(Look(), 7, "look", 3)
    held = drawn(validate(Look, {"count": 4}), 7, "look", 3)
    assert held.count == (4, 4)
    assert held.model_copy(update={"count": free.count}) == free
    assert drawn(Look(), 7, "look", 4).lamp.power != free.lamp.power


def test_a_word_that_is_no_choice_is_refused_in_a_choice_too():
    with pytest.raises(SettingsError, match=r"way\.choice\.1'.*'in' or 'out'.*'sideways'"):
        validate(Look, {"way": {"choice": ["in", "sideways"]}})
