# SPDX-License-Identifier: Apache-2.0
"""What cyclegan, cut, munit and content-munit do in a step, and what they refuse."""

from typing import Any

import pytest
import torch
from torch import Tensor

from endoforge.errors import SettingsError, ShapeError
from endoforge.settings import validate
from endoforge.training.task import train_step
from endoforge.translation.losses import brightness, masked_l1, ms_ssim
from endoforge.translation.methods import find_method
from endoforge.translation.narrow import NARROW, narrow
from endoforge.translation.translator import Channels, TranslationTask

RGB = Channels(3, 3)
SIDE = 32
RESIDUAL = {
    "generator": {"width": 4, "blocks": 1, "halvings": 1},
    "judge": {"width": 4, "layers": 1},
}
CODED = {
    "codes": {"width": 4, "blocks": 1, "halvings": 1, "style_halvings": 2, "mlp_width": 8},
    "judge": {"width": 4, "layers": 2, "scales": 2},
}
PICTURES = {"height": SIDE, "crop": SIDE}
SMALL = {
    "cyclegan": {**RESIDUAL, "history": 3},
    "cut": {**RESIDUAL, "taps": (0, 2, 3), "patches": 16, "features": 8},
    "munit": CODED,
    "content-munit": {**CODED, "codes": {**CODED["codes"], "content_channels": 3}},
}


def build(method: str, channels: Channels = RGB, **changes: object) -> TranslationTask:
    torch.manual_seed(0)
    found = find_method(method)
    values = {"pictures": PICTURES, **SMALL[method], **changes}
    return found.build(validate(found.settings(), values), channels)


def build_settings(method: str, values: dict[str, object]) -> Any:
    return validate(find_method(method).settings(), values)


def some_batch(channels: Channels = RGB, count: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)

    def drawn(planes: int) -> Tensor:
        return 2 * torch.rand(count, planes, SIDE, SIDE, generator=generator) - 1

    whole = torch.ones(count, 1, SIDE, SIDE)
    source, target = drawn(channels.source), drawn(channels.target)
    return {
        "source": source,
        "target": target,
        "source_counts": whole,
        "target_counts": whole.clone(),
    }


def losses_of(task: TranslationTask, batch: dict[str, Tensor]) -> dict[str, float]:
    """All losses of all players; the same random numbers every time."""
    torch.manual_seed(7)
    outputs = task.forward(batch)
    return {
        f"{name}/{key}": value.item()
        for name in task.players
        for key, value in task.losses(name, batch, outputs).items()
    }


# ---- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", SMALL)
def test_every_weight_of_every_player_learns_in_one_step(method):
    task = build(method)
    before = {n: [q.clone() for q in p.networks.parameters()] for n, p in task.players.items()}
    assert train_step(task, some_batch()).trouble == ""
    for name, player in task.players.items():
        still = [
            parameter_name
            for (parameter_name, now), then in zip(
                player.networks.named_parameters(), before[name], strict=True
            )
            if torch.equal(now, then)
        ]
        assert still == []


@pytest.mark.parametrize("method", SMALL)
def test_burnt_in_text_of_real_pictures_is_hidden_from_their_losses(method):
    """Only what a generator makes of the text may change, never what it is compared with."""
    batch = some_batch()
    batch["target_counts"][..., 24:, :] = 0
    clean = losses_of(build(method), batch)
    batch["target"] = torch.where(batch["target_counts"] > 0, batch["target"], 1.0)
    written = losses_of(build(method), batch)
    judged = {"judges/true_target", "judge/true"} & set(clean)
    assert judged
    for key in judged:
        assert written[key] == clean[key]
    assert not any(value != value for value in written.values())


@pytest.mark.parametrize("method", SMALL)
def test_a_batch_that_is_no_number_moves_nothing(method):
    task, batch = build(method), some_batch()
    train_step(task, batch)
    before = [q.clone() for p in task.players.values() for q in p.networks.parameters()]
    batch["source"] = batch["source"] * float("nan")
    assert "nan" in train_step(task, batch).trouble
    after = [q for p in task.players.values() for q in p.networks.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("method", SMALL)
def test_the_translator_shares_its_weights_with_the_players_and_keeps_sizes(method):
    task = build(method)
    owned = {id(q) for p in task.players.values() for q in p.networks.parameters()}
    assert {id(q) for q in task.translator.parameters()} <= owned
    with torch.no_grad():
        found = task.translator(torch.zeros(1, 3, 24, 40))
    assert found.shape == (1, 3, 24, 40)
    assert float(found.abs().max()) <= 1
    with pytest.raises(ShapeError, match="multiples of 2"):
        task.translator(torch.zeros(1, 3, 24, 41))


@pytest.mark.parametrize("method", NARROW)
def test_narrow_translators_are_under_ten_megabytes(method):
    settings = narrow(method, {"steps": 5})
    assert settings.steps == 5
    assert (settings.pictures.height, settings.pictures.crop) == (128, 64)
    task = find_method(method).build(settings, RGB)
    assert 4 * sum(p.numel() for p in task.translator.parameters()) < 10e6


def test_a_group_given_in_part_keeps_what_the_method_sets_in_it():
    cut = build_settings("cut", {"generator": {"width": 16}, "pictures": {"flip": False}})
    assert (cut.generator.antialias, cut.generator.width, cut.pictures.crop) == (True, 16, 256)
    coded = narrow("content-munit", {"pictures": {"flip": False}})
    assert (coded.codes.content_channels, coded.codes.width) == (8, 16)
    assert (coded.pictures.crop, coded.pictures.flip) == (64, False)
    paired = build_settings("pix2pix", {"generator": {"kind": "resnet", "blocks": 6}})
    assert (paired.generator.kind, paired.generator.blocks) == ("resnet", 6)


def test_a_method_without_a_narrow_form_is_named():
    with pytest.raises(SettingsError, match="got 'dcgan'"):
        narrow("dcgan", {})


# ---- domains of different channel counts --------------------------------------------------------


@pytest.mark.parametrize(("method", "remedy"), [("cyclegan", "identity=0"), ("cut", "munit")])
def test_different_channel_counts_are_refused_where_a_method_needs_equal_ones(method, remedy):
    with pytest.raises(
        SettingsError, match=rf"got 4 of the source and 3 of the target; .*{remedy}"
    ):
        build(method, Channels(4, 3))


@pytest.mark.parametrize(
    ("method", "changes"),
    [("cyclegan", {"identity": 0}), ("munit", {}), ("content-munit", {})],
)
def test_others_translate_between_different_channel_counts(method, changes):
    channels = Channels(5, 3)
    planes = {"pictures": {**PICTURES, "source_planes": ["image", "depth", "labels"]}}
    task = build(method, channels, **changes, **planes)
    assert train_step(task, some_batch(channels)).trouble == ""
    assert task.translator(torch.zeros(1, 5, SIDE, SIDE)).shape[1] == 3


# ---- cyclegan -----------------------------------------------------------------------------------


def test_cyclegan_weighs_its_losses_as_the_paper_does():
    task, batch = build("cyclegan"), some_batch()
    there, back = task.translator, task.players["generators"].networks[1]
    found = losses_of(task, batch)
    source, target = batch["source"], batch["target"]
    with torch.no_grad():
        expected = {
            "cycle_source": 10 * (back(there(source)) - source).abs().mean(),
            "cycle_target": 10 * (there(back(target)) - target).abs().mean(),
            "identity_source": 5 * (back(source) - source).abs().mean(),
            "identity_target": 5 * (there(target) - target).abs().mean(),
        }
    for key, value in expected.items():
        assert found[f"generators/{key}"] == pytest.approx(value.item(), rel=1e-4)


def test_cyclegan_remembers_pictures_across_a_checkpoint_but_not_those_of_a_bad_step():
    task, batch = build("cyclegan"), some_batch()
    train_step(task, batch)
    state = {key: value.clone() for key, value in task.state().items()}
    assert int(state["target_filled"]) == 2
    assert state["target_pictures"].shape[1] == 4  # the mask is remembered beside the picture
    train_step(task, {**batch, "source": batch["source"] * float("nan")})
    assert all(torch.equal(value, state[key]) for key, value in task.state().items())
    other = build("cyclegan")
    other.load_state(state)
    assert all(torch.equal(value, state[key]) for key, value in other.state().items())


# ---- cut ----------------------------------------------------------------------------------------


def test_cut_compares_with_features_of_the_pass_that_translates():
    task, batch = build("cut"), some_batch()
    outputs = task.forward(batch)
    generator = task.translator.generator
    both = torch.cat([batch["source"], batch["target"]])
    for k, wanted in enumerate(generator.features(both, (0, 2, 3))):
        torch.testing.assert_close(outputs[f"key_{k}"], wanted)
    for k, wanted in enumerate(generator.features(generator(both), (0, 2, 3))):
        torch.testing.assert_close(outputs[f"query_{k}"], wanted)


def test_fast_cut_shows_the_mirrored_input_and_mirrors_features_back():
    fast = {"contrast": 10, "identity": False, "flip_alike": True, "hold": 0.75}
    task, batch = build("cut", **fast), some_batch()
    source, seen = batch["source"], set()
    for seed in range(6):
        torch.manual_seed(seed)
        mirrored = torch.rand(()).item() < 0.5
        torch.manual_seed(seed)
        outputs = task.forward(batch)
        torch.testing.assert_close(outputs["key_0"], source)
        shown = source.flip(3) if mirrored else source
        torch.testing.assert_close(outputs["made"], task.translator(shown))
        made = outputs["made"].flip(3) if mirrored else outputs["made"]
        torch.testing.assert_close(outputs["query_0"], made)
        seen.add(mirrored)
    assert seen == {True, False}
    assert set(task.losses("generator", batch, outputs)) == {"fool", "contrast"}


def test_cut_has_nothing_to_compare_where_nothing_counts():
    batch = some_batch()
    batch["source_counts"] = torch.zeros_like(batch["source_counts"])
    found = losses_of(build("cut"), batch)
    assert found["generator/contrast"] == 0
    assert found["generator/contrast_identity"] > 0


def test_taps_beyond_the_blocks_are_refused():
    with pytest.raises(SettingsError, match="stages 0 to 3"):
        build("cut", taps=(0, 4))


# ---- munit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["munit", "content-munit"])
def test_the_judges_turn_encodes_nothing_again(method):
    task, batch = build(method), some_batch()
    calls: list[str] = []
    for network in task.players["translators"].networks.modules():
        if type(network).__name__ in {"ContentEncoder", "StyleEncoder"}:
            network.register_forward_hook(lambda *_: calls.append("encoded"))
    train_step(task, batch)
    content, style = 4, 4 if method == "munit" else 2
    assert len(calls) == content + style


def test_munit_weighs_its_losses_as_the_paper_does():
    task, batch = build("munit"), some_batch()
    there = task.translator
    found = losses_of(task, batch)
    torch.manual_seed(7)
    outputs = task.forward(batch)
    own = there.decoder(outputs["content_target"], there.style_of(batch["target"]))
    again = there.content_encoder(outputs["made_source"])
    drawn = there.style_of(outputs["made_target"])
    expected = {
        "image_target": 10 * (own - batch["target"]).abs().mean(),
        "content_target": (again - outputs["content_target"]).abs().mean(),
        "style_target": (drawn - outputs["drawn_target"]).abs().mean(),
        "cycle_target": 10
        * (there.decoder(again, there.style_of(batch["target"])) - batch["target"]).abs().mean(),
    }
    for key, value in expected.items():
        assert found[f"translators/{key}"] == pytest.approx(value.item(), rel=1e-3)


def test_styles_come_from_pictures_of_another_size_but_not_of_other_channels():
    translator = build("munit").translator
    assert translator.style_of(torch.zeros(2, 3, 50, 37)).shape == (2, 8)
    with pytest.raises(ShapeError, match="got 1 channels and 37 x 50 px"):
        translator.style_of(torch.zeros(1, 1, 50, 37))
    with pytest.raises(ShapeError, match="at least 4 px"):
        translator.style_of(torch.zeros(1, 3, 3, 50))


def test_without_a_style_the_mean_style_is_taken():
    translator, source = build("munit").translator, some_batch()["source"]
    with torch.no_grad():
        torch.testing.assert_close(translator(source), translator(source, torch.zeros(2, 8)))
        assert not torch.allclose(translator(source), translator(source, torch.ones(2, 8)))


def test_crops_too_small_for_the_judges_are_refused():
    with pytest.raises(SettingsError, match="at least 64 for these judges, got 32"):
        build("munit", judge={"width": 4, "layers": 4, "scales": 3})


# ---- content-munit ------------------------------------------------------------------------------


def test_borrowed_styles_are_those_of_the_real_pictures_and_get_no_slope():
    task, batch = build("content-munit", borrowed=1, noise=0), some_batch()
    outputs = task.forward(batch)
    with torch.no_grad():
        torch.testing.assert_close(
            outputs["style_wanted"], task.translator.style_of(batch["target"])
        )
    assert not outputs["style_wanted"].requires_grad
    free = build("content-munit", borrowed=0, noise=0).forward(batch)
    assert not torch.allclose(free["style_wanted"], outputs["style_wanted"])


def test_noise_stands_before_every_encoder_and_only_in_training():
    task, batch = build("content-munit"), some_batch()
    first, second = (task.forward(batch)["content_source"] for _ in range(2))
    assert not torch.allclose(first, second)
    with torch.no_grad():
        one, other = (task.translator(batch["source"]) for _ in range(2))
    assert torch.equal(one, other)


def test_brightness_is_kept_as_structure_of_the_pictures_own_channels():
    channels = Channels(5, 3)
    planes = {**PICTURES, "source_planes": ["image", "depth", "labels"]}
    task = build("content-munit", channels, pictures=planes)
    batch = some_batch(channels)
    found = losses_of(task, batch)
    torch.manual_seed(7)
    outputs = task.forward(batch)
    there = 1 - ms_ssim(brightness(batch["source"][:, :3]), brightness(outputs["made_target"]))
    back = 1 - ms_ssim(brightness(batch["target"]), brightness(outputs["made_source"][:, :3]))
    assert found["translators/brightness_there"] == pytest.approx(5 * there.item(), rel=1e-4)
    assert found["translators/brightness_back"] == pytest.approx(3 * back.item(), rel=1e-4)
    cycle = 10 * masked_l1(outputs["cycle_source"], batch["source"])
    assert found["translators/cycle_source"] == pytest.approx(cycle.item(), rel=1e-4)


def test_planes_without_a_picture_in_front_have_no_brightness():
    planes = {**PICTURES, "source_planes": ["labels", "depth"]}
    with pytest.raises(SettingsError, match="must begin with image, got labels, depth"):
        build("content-munit", Channels(2, 3), pictures=planes)
    task = build(
        "content-munit", Channels(2, 3), pictures=planes, brightness_there=0, brightness_back=0
    )
    assert train_step(task, some_batch(Channels(2, 3))).trouble == ""
