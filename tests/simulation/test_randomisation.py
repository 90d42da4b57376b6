# SPDX-License-Identifier: Apache-2.0
import pytest

from endoforge.errors import SettingsError
from endoforge.settings import validate
from endoforge.simulation.randomisation import (
    POSE_DOMAINS,
    SURFACE_DOMAINS,
    VOLUME_DOMAINS,
    RandomisationSettings,
)


def test_together_every_domain_counts_the_sequences():
    assert set(RandomisationSettings().counters(5).values()) == {5}


def test_a_held_domain_keeps_the_first_draw():
    counters = RandomisationSettings(held=("light", "tissue")).counters(5)
    assert {domain for domain in SURFACE_DOMAINS if counters[domain] == 0} == {"light", "tissue"}


def test_one_at_a_time_moves_a_single_domain_away_from_the_reference():
    settings = RandomisationSettings(mode="one_at_a_time", held=("camera",))
    assert set(settings.counters(0).values()) == {0}
    seen = []
    for sequence in range(1, 2 * (len(SURFACE_DOMAINS) - 1) + 1):
        counters = settings.counters(sequence)
        moved = {domain: count for domain, count in counters.items() if count}
        assert len(moved) == 1 and "camera" not in moved
        seen.append(next(iter(moved.items())))
    assert len(set(seen)) == len(seen)  # every factor twice, with two different draws
    assert {count for _, count in seen} == {1, 2}


def test_a_number_of_anatomies_is_used_in_turn():
    settings = RandomisationSettings(anatomies=3)
    assert [settings.counters(s)["anatomy"] for s in range(5)] == [0, 1, 2, 0, 1]
    assert settings.counters(4)["light"] == 4


@pytest.mark.parametrize("domains", [SURFACE_DOMAINS, VOLUME_DOMAINS])
def test_conditions_share_the_pose_and_differ_in_every_look(domains):
    settings = RandomisationSettings(conditions=3)
    counters = [settings.counters(sequence, domains) for sequence in range(6)]
    for domain in domains:
        drawn = [c[domain] for c in counters]
        assert drawn == ([0, 0, 0, 1, 1, 1] if domain in POSE_DOMAINS else [0, 1, 2, 3, 4, 5])


def test_conditions_and_one_factor_at_a_time_exclude_each_other():
    with pytest.raises(SettingsError, match="conditions need mode together"):
        validate(RandomisationSettings, {"conditions": 2, "mode": "one_at_a_time"})
