# SPDX-License-Identifier: Apache-2.0
"""The reverse method: a known tint is undone, structure stays; none of its port's two bugs."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn import functional

from endoforge.errors import SettingsError
from endoforge.settings import validate
from endoforge.streams import stream
from endoforge.training.task import train_step
from endoforge.translation.networks.refiner import LocalJudge, Refiner
from endoforge.translation.networks.refiner_settings import LocalJudgeSettings, RefinerSettings
from endoforge.translation.objectives import generator_loss, judge_losses
from endoforge.translation.tasks.reverse import ReverseTask, kept_of, luminance, turn_of
from endoforge.translation.tasks.reverse_settings import ReverseSettings, TurnSettings
from endoforge.translation.translator import Channels

RGB = Channels(3, 3)
GAINS = torch.tensor([1.5, 0.9, (1 - 0.299 * 1.5 - 0.587 * 0.9) / 0.114])
NO_LIGHT = torch.tensor([1.0, -1.0, (0.587 - 0.299) / 0.114])  # a tint without luminance
SIDE = 16


def small(**changes):
    values = {
        "batch": 8,
        "learning_rate": 3e-3,
        "judge_rate": 3e-3,
        "judge_optimiser": "adam",
        "betas": (0.5, 0.99),
        "refiner": {"width": 12, "blocks": 1},
        "judge": {"width": 24},
        "turns": {"refiner_alone": 0, "judge_alone": 10, "refiner": 1, "judge": 1},
        "keep_weight": 10.0,
        "history": 32,
    }
    return ReverseSettings.model_validate(values | changes)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def grey_scenes(rng, count):
    """Simulated pictures: grey patches, the same in all channels."""
    patches = rng.uniform(-0.55, 0.55, (count, 1, SIDE // 4, SIDE // 4))
    return torch.from_numpy(np.kron(patches, np.ones((4, 4))).astype(np.float32))


def made_real(grey, rng):
    """Real pictures: another gain per channel, and a smooth stain that changes no luminance."""
    waves = rng.uniform(-0.06, 0.06, (len(grey), 1, 1, 1)) * np.ones((1, 1, SIDE, SIDE))
    waves *= 1 + np.cos(np.linspace(0, 4, SIDE))
    gains, tint = GAINS.view(1, 3, 1, 1), NO_LIGHT.view(1, 3, 1, 1)
    return grey * gains + torch.from_numpy(waves.astype(np.float32)) * tint


def toy_batch(step):
    rng = stream(3, "toy", step)
    whole = torch.ones(8, 1, SIDE, SIDE)
    return {
        "source": made_real(grey_scenes(rng, 8), rng),
        "source_counts": whole,
        "target": grey_scenes(rng, 8).expand(-1, 3, -1, -1),
        "target_counts": whole,
    }


def test_it_undoes_a_known_tint_and_keeps_luminance():
    """Grey simulation, tinted reality of the same luminance: T(x) must be that luminance."""
    torch.manual_seed(0)
    settings = small(keep_weight=20.0)
    task = ReverseTask(settings, RGB)
    for step in range(300):
        for player in task.players.values():
            for group in player.optimiser.param_groups:
                group["lr"] = 1e-2 * min(1.0, 2 - step / 150)
        train_step(task, toy_batch(step))
    rng = stream(4, "toy", 0)
    answer = grey_scenes(rng, 16)
    real = made_real(answer, rng)
    with torch.no_grad():
        found = task.translator(real)
    before, after = ((x - answer).abs().mean().item() for x in (real, found))
    assert before > 0.12
    assert after < 0.25 * before
    assert (luminance(found) - luminance(real)).abs().mean() < 0.02


# ---- turns ----


def test_the_refiner_begins_alone_then_the_judge_then_they_take_turns():
    turns = TurnSettings(refiner_alone=2, judge_alone=1, refiner=2, judge=1)
    names = [turn_of(step, turns) for step in range(9)]
    assert names[:3] == ["refiner alone", "refiner alone", "judge alone"]
    assert names[3:] == 2 * ["refiner", "refiner", "judge"]


def test_only_whose_turn_it_is_moves():
    turns = {"refiner_alone": 1, "judge_alone": 1, "refiner": 1, "judge": 1}
    task = ReverseTask(
        small(turns=turns, refiner={"width": 8, "blocks": 1, "from_input": False}), RGB
    )
    for step, mover in enumerate(["refiner", "judge", "refiner", "judge"]):
        before = {n: [p.clone() for p in q.networks.parameters()] for n, q in task.players.items()}
        report = train_step(task, toy_batch(step))
        assert report.trouble == ""
        assert {key.partition("/")[0] for key in report.losses} == {mover}
        for name, player in task.players.items():
            pairs = zip(before[name], player.networks.parameters(), strict=True)
            assert any(not torch.equal(a, b) for a, b in pairs) == (name == mover)


def test_alone_the_refiner_only_keeps_its_input():
    turns = {"refiner_alone": 5, "judge_alone": 0}
    report = train_step(ReverseTask(small(turns=turns), RGB), toy_batch(0))
    assert set(report.losses) == {"refiner/keep"}


def test_alone_the_refiner_can_learn_the_colours_of_the_simulation_too():
    """Grey simulation: the channels of what is made come together before there is a judge."""
    torch.manual_seed(0)
    settings = small(turns={"refiner_alone": 200}, keep_weight=0.1, colour_weight=10.0)
    task = ReverseTask(settings, RGB)
    rng = stream(4, "toy", 1)
    real = made_real(grey_scenes(rng, 32), rng)

    def spread(pictures):
        return pictures.std(dim=(0, 2, 3)).std().item()

    before = spread(real)
    for step in range(150):
        report = train_step(task, toy_batch(step))
    assert set(report.losses) == {"refiner/keep", "refiner/colour"}
    with torch.no_grad():
        assert spread(task.translator(real)) < 0.5 * before


# ---- the judge ----


def test_two_answers_are_the_softmax_cross_entropy_over_classes_at_every_place():
    torch.manual_seed(0)
    judge = LocalJudge(3, LocalJudgeSettings(width=12))
    true, made = torch.rand(2, 2, 3, 32, 40)
    losses = judge_losses("non-saturating", judge(true), judge(made))
    for pictures, index, name in ((true, 0, "true"), (made, 1, "made")):
        logits = judge.logits(pictures)
        places = torch.full((2, *logits.shape[-2:]), index)
        wanted = functional.cross_entropy(logits, places)
        assert losses[name].item() == pytest.approx(wanted.item(), rel=1e-5)
    fooled = functional.cross_entropy(judge.logits(made), torch.zeros_like(places))
    assert generator_loss("non-saturating", judge(made)).item() == pytest.approx(
        fooled.item(), rel=1e-5
    )


@pytest.mark.parametrize("answer", ["softmax", "sigmoid"])
def test_nothing_bends_the_scores_behind_the_last_layer(answer):
    judge = LocalJudge(3, LocalJudgeSettings(width=12, answer=answer))
    picture = torch.randn(2, 3, 32, 40)
    (scores,) = judge(picture)
    assert scores.shape[:2] == (2, 1)
    with torch.no_grad():
        for parameter in judge.layers[-1].parameters():
            parameter.mul_(-2)
    torch.testing.assert_close(judge(picture)[0], -2 * scores)


def test_a_score_looks_at_one_patch_only():
    judge = LocalJudge(3, LocalJudgeSettings(width=12))
    picture = torch.rand(1, 3, 96, 96, requires_grad=True)
    (scores,) = judge(picture)
    scores[0, 0, 6, 6].backward()
    seen = (picture.grad.abs().sum(dim=(0, 1)) > 0).nonzero()
    assert (seen.max(dim=0).values - seen.min(dim=0).values).max() < 34


# ---- history and state ----


def test_the_history_fills_and_half_of_a_batch_comes_from_it():
    settings = small(history=8, turns={"refiner_alone": 0, "judge_alone": 100})
    task = ReverseTask(settings, RGB)
    for step in range(2):
        train_step(task, toy_batch(step))
        assert int(task.state()["filled"]) == 8
    remembered = task.state()["pictures"]
    batch = toy_batch(1)
    own = task.forward(batch)["made"]
    kept = sum(any(torch.equal(p, q) for q in own) for p in remembered)
    assert 2 <= kept <= 4  # four went in, and two may have come to the same place


def test_state_comes_back_exactly():
    one, two = ReverseTask(small(), RGB), ReverseTask(small(), RGB)
    for step in range(3):
        train_step(one, toy_batch(step))
    two.load_state(one.state())
    assert all(torch.equal(a, two.state()[name]) for name, a in one.state().items())


def test_a_batch_that_is_not_finite_leaves_turn_and_history_alone():
    task = ReverseTask(small(turns={"refiner_alone": 0, "judge_alone": 3}), RGB)
    train_step(task, toy_batch(0))
    before = {name: value.clone() for name, value in task.state().items()}
    bad = toy_batch(1) | {"target": torch.full((8, 3, SIDE, SIDE), float("nan"))}
    assert train_step(task, bad).trouble
    assert all(torch.equal(before[name], value) for name, value in task.state().items())


# ---- what does not count, what must stay ----


def test_pixels_that_do_not_count_have_no_influence_on_any_loss():
    counts = torch.ones(8, 1, SIDE, SIDE)
    counts[..., :9] = 0
    for turns in ({"refiner_alone": 0, "judge_alone": 0}, {"refiner_alone": 0, "judge_alone": 9}):
        found = []
        for filler in (0.3, -0.9):
            torch.manual_seed(0)
            task = ReverseTask(
                small(turns=turns, history=0, refiner={"width": 8, "blocks": 1}), RGB
            )
            batch = toy_batch(0) | {"source_counts": counts, "target_counts": counts}
            batch["target"] = batch["target"].clone()
            batch["target"][..., :9] = filler
            batch["source"] = batch["source"].clone()
            batch["source"][..., :6] = filler  # three px from the rim, where the refiner sees it
            losses = train_step(task, batch).losses
            found.append(list(losses.values()))
        assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize(
    ("keep", "change", "kept"),
    [
        ("colour", 0.1 * NO_LIGHT, False),
        ("luminance", 0.1 * NO_LIGHT, True),
        ("luminance", torch.full((3,), 0.1), False),
        ("gradient", torch.full((3,), 0.1), True),
    ],
)
def test_what_must_stay_is_what_the_setting_names(keep, change, kept):
    source = toy_batch(0)["source"]
    difference = kept_of(small(keep=keep), RGB)
    counts = torch.ones(8, 1, SIDE, SIDE)
    value = difference(source + change.view(1, 3, 1, 1), source, counts).item()
    assert (value < 1e-6) == kept


def test_a_moved_edge_costs_in_every_way():
    source = toy_batch(0)["source"]
    counts = torch.ones(8, 1, SIDE, SIDE)
    for keep in ("colour", "luminance", "gradient"):
        value = kept_of(small(keep=keep), RGB)(source.roll(1, -1), source, counts)
        assert value > 0.02


def test_features_are_those_of_the_shipped_depth_network_and_do_not_learn():
    difference = kept_of(small(keep="features"), RGB)
    source = torch.rand(2, 3, 32, 48) - 0.5
    made = source.clone().requires_grad_(True)
    counts = torch.ones(2, 1, 32, 48)
    assert difference(made, source, counts).item() == 0
    value = difference(made.roll(2, -1), source, counts)
    value.backward()
    assert value.item() > 0.001
    assert made.grad.abs().sum() > 0
    parameters = list(difference._features.parameters())
    assert not any(p.requires_grad for p in parameters)


# ---- the translator ----


@pytest.mark.parametrize("size", [(17, 31), (64, 48)])
def test_at_first_it_changes_nothing_and_takes_any_size(size):
    task = ReverseTask(small(), RGB)
    picture = 1.9 * torch.rand(1, 3, *size) - 0.95
    torch.testing.assert_close(task.translator(picture), picture, atol=1e-5, rtol=0)


def test_a_refiner_that_answers_anew_stays_in_range():
    refiner = Refiner(3, RefinerSettings(width=8, blocks=1, from_input=False))
    found = refiner(10 * torch.randn(1, 3, 16, 16))
    assert found.abs().max() <= 1


# ---- refusals ----


def test_domains_of_different_channels_are_refused():
    with pytest.raises(SettingsError, match="real pictures have 3 and simulated ones 4"):
        ReverseTask(small(), Channels(3, 4))


def test_features_of_grey_pictures_are_refused():
    with pytest.raises(SettingsError, match="needs colour pictures of 3 channels, got 1"):
        ReverseTask(small(keep="features"), Channels(1, 1))


def test_a_batch_of_one_with_a_history_is_refused():
    with pytest.raises(SettingsError, match="batch must be 2 or more"):
        validate(ReverseSettings, {"batch": 1})


def test_its_entry_in_the_table_builds_it():
    from endoforge.translation.methods import find_method

    method = find_method("reverse")
    assert method.reverse
    assert method.data == "unpaired"
    assert method.settings() is ReverseSettings
    assert list(islice(method.build(small(), RGB).players, 2)) == ["refiner", "judge"]


def test_a_refiner_begins_in_the_colours_of_the_simulation_and_keeps_those():
    task = ReverseTask(small(), RGB)
    grey = torch.rand(4, 1, SIDE, SIDE) - 0.5
    tinted = 0.5 * grey * torch.tensor([1.0, 0.6, 0.3])[:, None, None] - 0.2
    pixels = tinted.permute(0, 2, 3, 1).reshape(-1, 3)
    wanted = grey.expand(-1, 3, -1, -1)
    task.begin(pixels, wanted.permute(0, 2, 3, 1).reshape(-1, 3))
    made = task.forward({"source": tinted})["made"]
    torch.testing.assert_close(made, wanted, atol=0.02, rtol=0)
    everywhere = torch.ones(4, 1, SIDE, SIDE)
    batch = {"source": tinted, "target": wanted.contiguous()}
    batch |= {"source_counts": everywhere, "target_counts": everywhere}
    for _ in range(10):  # the judge's alone
        task.settle(True)
    found = task.losses("refiner", batch, {"made": made})
    assert float(found["keep"]) < 1e-3
