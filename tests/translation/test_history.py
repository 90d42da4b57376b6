# SPDX-License-Identifier: Apache-2.0
"""The history of pictures follows its papers, forgets bad steps and goes on exactly."""

import pytest
import torch

from endoforge.errors import CheckpointError
from endoforge.translation.history import PictureHistory


def numbered(*numbers):
    return torch.stack([torch.full((1, 2, 2), float(number)) for number in numbers])


def values(pictures):
    return pictures[:, 0, 0, 0].tolist()


def filled(capacity=3, rule="swap"):
    history = PictureHistory(capacity, rule)
    for number in range(capacity):
        history.mixed(numbered(number))
        history.settle(True)
    return history


def test_until_it_is_full_it_gives_back_what_it_gets():
    history = PictureHistory(4)
    for pair in ((1, 2), (3, 4)):
        assert values(history.mixed(numbered(*pair))) == list(pair)
        history.settle(True)
    assert len(history) == 4


def test_once_full_half_of_the_pictures_change_places():
    torch.manual_seed(0)
    history = filled(50)
    swapped = 0
    for number in range(100, 1100):
        (given,) = values(history.mixed(numbered(number)))
        swapped += given != number
        history.settle(True)
    assert 430 < swapped < 570


def test_no_picture_is_lost_or_doubled():
    torch.manual_seed(0)
    history = filled(5)
    given = []
    for number in range(100, 140):
        given += values(history.mixed(numbered(number)))
        history.settle(True)
    kept = values(history.state()["pictures"])
    assert sorted([*given, *kept]) == sorted([*range(5), *range(100, 140)])


def test_half_of_each_batch_is_replaced_and_half_of_it_kept():
    torch.manual_seed(0)
    history = PictureHistory(20, "half")
    for start in range(0, 20, 4):
        history.mixed(numbered(*range(start, start + 4)))
        history.settle(True)
    given = values(history.mixed(numbered(100, 101, 102, 103)))
    history.settle(True)
    assert sum(value >= 100 for value in given) == 2
    assert sum(value >= 100 for value in values(history.state()["pictures"])) == 2


def test_a_bad_step_is_forgotten():
    history = filled(3)
    before = history.state()["pictures"].clone()
    for _ in range(20):
        history.mixed(numbered(float("nan")))
        history.settle(False)
    assert torch.equal(history.state()["pictures"], before)
    empty = PictureHistory(3)
    empty.mixed(numbered(1))
    empty.settle(False)
    assert len(empty) == 0


@pytest.mark.parametrize("steps", [0, 2, 3, 9])
def test_it_goes_on_as_if_it_had_never_stopped(steps):
    torch.manual_seed(0)
    history = PictureHistory(3)
    for number in range(steps):
        history.mixed(numbered(number))
        history.settle(True)
    state, rng = history.state(), torch.get_rng_state()
    state = {name: value.clone() for name, value in state.items()}
    resumed = PictureHistory(3)
    resumed.load_state(state, torch.device("cpu"))
    results = []
    for one in (history, resumed):
        torch.set_rng_state(rng)
        given = []
        for number in range(50, 70):
            given += values(one.mixed(numbered(number)))
            one.settle(True)
        results.append(given)
    assert results[0] == results[1]


def test_another_capacity_is_refused():
    with pytest.raises(CheckpointError, match="holds 3 pictures but 4 are set"):
        PictureHistory(4).load_state(filled(3).state(), torch.device("cpu"))


def test_what_it_gives_has_no_gradient():
    pictures = numbered(1, 2).requires_grad_(True)
    assert not PictureHistory(3).mixed(pictures).requires_grad
