# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from endoforge.streams import stream


@given(st.integers(0, 2**63), st.integers(0, 10_000))
def test_a_stream_depends_on_nothing_but_its_name(seed, sequence):
    assert stream(seed, "anatomy", sequence).random() == stream(seed, "anatomy", sequence).random()


def test_streams_of_other_purposes_seeds_and_counters_differ():
    draws = {
        stream(seed, purpose, sequence).random()
        for seed in (0, 1)
        for purpose in ("anatomy", "tissue", "light")
        for sequence in range(5)
    }
    assert len(draws) == 2 * 3 * 5
