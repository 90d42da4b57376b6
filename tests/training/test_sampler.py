# SPDX-License-Identifier: Apache-2.0
"""The order of items: complete per epoch, different per epoch, and addressable at any place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import DataError
from endoforge.training.sampler import BatchOrder


@given(items=st.integers(1, 60), batch=st.integers(1, 25), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_each_epoch_holds_each_item_once(items, batch, seed):
    order = BatchOrder(items, batch, seed)
    steps = -(-3 * items // batch)
    seen = np.concatenate([order.indices(step) for step in range(steps)])
    for epoch in range(3):
        assert sorted(seen[epoch * items : (epoch + 1) * items]) == list(range(items))


def test_any_step_can_be_asked_for_alone():
    in_order = [BatchOrder(100, 16, 3).indices(step) for step in range(50)]
    assert np.array_equal(BatchOrder(100, 16, 3).indices(37), in_order[37])


def test_epochs_and_seeds_differ():
    order = BatchOrder(64, 64, 0)
    assert not np.array_equal(order.indices(0), order.indices(1))
    assert not np.array_equal(order.indices(0), BatchOrder(64, 64, 1).indices(0))


def test_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match="got 0"):
        BatchOrder(0, 16, 0)
