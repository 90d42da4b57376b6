# SPDX-License-Identifier: Apache-2.0
from endoforge.simulation.randomisation import DOMAINS, RandomisationSettings


def test_together_every_domain_counts_the_sequences():
    assert set(RandomisationSettings().counters(5).values()) == {5}


def test_a_held_domain_keeps_the_first_draw():
    counters = RandomisationSettings(held=("light", "tissue")).counters(5)
    assert {domain for domain in DOMAINS if counters[domain] == 0} == {"light", "tissue"}


def test_one_at_a_time_moves_a_single_domain_away_from_the_reference():
    settings = RandomisationSettings(mode="one_at_a_time", held=("camera",))
    assert set(settings.counters(0).values()) == {0}
    seen = []
    for sequence in range(1, 2 * (len(DOMAINS) - 1) + 1):
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
