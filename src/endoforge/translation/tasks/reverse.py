# SPDX-License-Identifier: Apache-2.0
"""Real pictures in the look of simulated ones: SimGAN with the two domains exchanged.

Tissue is too diverse to be drawn in full, but what makes it diverse can be taken away; a depth
network that saw only simulated pictures then reads real ones.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from endoforge.errors import SettingsError
from endoforge.training.task import Batch, Player
from endoforge.translation.history import PictureHistory
from endoforge.translation.losses import colour_difference, counted_together, hide, masked_l1
from endoforge.translation.networks.frozen import FrozenFeatures
from endoforge.translation.networks.initial import start_kaiming
from endoforge.translation.networks.refiner import LocalJudge, Refiner
from endoforge.translation.objectives import generator_loss, judge_losses
from endoforge.translation.players import OneLook, player_of
from endoforge.translation.tasks.reverse_settings import ReverseSettings, TurnSettings
from endoforge.translation.translator import Channels, Translator

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601

Turn = Literal["refiner alone", "judge alone", "refiner", "judge"]


class ReverseTask:
    """Two players, ``refiner`` and ``judge``, of which one moves with each batch.

    The loss of the refiner is that of SimGAN with real pictures as source and simulated ones as
    target: it deceives the judge and keeps what `ReverseSettings.keep` names, of the picture in the
    colours that the refiner begins with.

    Source:
        Shrivastava et al., *SimGAN*, 2017, equations 1 to 4 and algorithm 1; Mahmood, Chen & Durr,
        2018, for the direction.
    """

    def __init__(self, settings: ReverseSettings, channels: Channels) -> None:
        if channels.source != channels.target:
            raise SettingsError(
                f"reverse keeps the channels, but real pictures have {channels.source} and "
                f"simulated ones {channels.target}; give both domains as many"
            )
        self._settings = settings
        self._refiner = refiner = Refiner(channels.source, settings.refiner)
        self._judge = LocalJudge(channels.target, settings.judge)
        start_kaiming(self._judge)
        self._translator = OneLook(refiner, channels, divisor=1)
        self._kept = kept_of(settings, channels)
        self._history = PictureHistory(settings.history, "half")
        self._done = 0
        judge = nn.ModuleList([self._judge])
        self.players: Mapping[str, Player] = {
            "refiner": player_of([self._translator], settings),
            "judge": Player(judge, self._judge_optimiser(), averaged=False),
        }

    @property
    def translator(self) -> Translator:
        """The refiner, with whatever weights it carries."""
        return self._translator

    def begin(
        self, source: Float[Tensor, "pixels channels"], target: Float[Tensor, "others channels"]
    ) -> None:
        """Take the colours of both domains into the refiner, before the first step."""
        if self._refiner.colours is not None:
            self._refiner.colours.set_between(source, target)

    def forward(self, batch: Batch) -> Batch:
        """Return ``made``: the real pictures in the simulated look."""
        learns = self._turn() in ("refiner alone", "refiner")
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            return {"made": self._translator(batch["source"])}

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the weighted losses of whose turn it is; none for the other."""
        turn = self._turn()
        if player == "refiner" and turn in ("refiner alone", "refiner"):
            return self._refiner_losses(batch, outputs["made"].float(), turn)
        if player == "judge" and turn in ("judge alone", "judge"):
            both = counted_together(batch["source_counts"], batch["target_counts"])
            made = self._history.mixed(hide(outputs["made"].detach().float(), both))
            objective = self._settings.judge.objective
            return judge_losses(
                objective, self._judge(hide(batch["target"], both)), self._judge(made)
            )
        return {}

    # ---- state beyond weights ----

    def state(self) -> Mapping[str, Tensor]:
        """Return the history and whose turn it is, for a checkpoint."""
        return {**self._history.state(), "done": torch.tensor(self._done)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` returned."""
        self._done = int(state["done"])
        device = next(self._judge.parameters()).device
        self._history.load_state({k: v for k, v in state.items() if k != "done"}, device)

    def settle(self, kept: bool) -> None:
        """Remember the step's pictures and pass the turn on, or forget both."""
        self._history.settle(kept)
        self._done += kept

    # ---- inside ----

    def _turn(self) -> Turn:
        return turn_of(self._done, self._settings.turns)

    def _refiner_losses(self, batch: Batch, made: Tensor, turn: Turn) -> dict[str, Tensor]:
        settings, counts = self._settings, batch["source_counts"]
        keep = self._kept(made, self._refiner.recoloured(batch["source"]).float(), counts)
        found = {"keep": settings.keep_weight * keep}
        both = counted_together(counts, batch["target_counts"])
        if settings.colour_weight:
            colour = colour_difference(made, batch["target"].float(), both)
            found["colour"] = settings.colour_weight * colour
        if turn == "refiner":
            found["fool"] = generator_loss(settings.judge.objective, self._judge(hide(made, both)))
        return found

    def _judge_optimiser(self) -> torch.optim.Optimizer:
        settings, parameters = self._settings, self._judge.parameters()
        if settings.judge_optimiser == "sgd":
            return torch.optim.SGD(parameters, lr=settings.judge_rate)
        return torch.optim.Adam(parameters, lr=settings.judge_rate, betas=settings.betas)


def turn_of(done: int, turns: TurnSettings) -> Turn:
    """Return who learns from the batch after so many.

    Example:
        >>> turns = TurnSettings(refiner_alone=1, judge_alone=1, refiner=2, judge=1)
        >>> [turn_of(step, turns) for step in range(5)]
        ['refiner alone', 'judge alone', 'refiner', 'refiner', 'judge']
    """
    if done < turns.refiner_alone:
        return "refiner alone"
    done -= turns.refiner_alone
    if done < turns.judge_alone:
        return "judge alone"
    place = (done - turns.judge_alone) % (turns.refiner + turns.judge)
    return "refiner" if place < turns.refiner else "judge"


# ---- what must stay -----------------------------------------------------------------------------

Kept = Callable[[Tensor, Tensor, Tensor], Tensor]


def kept_of(settings: ReverseSettings, channels: Channels) -> Kept:
    """Return the mean absolute difference of what must stay: of made, source and counts.

    Raises:
        SettingsError: Features of a network of colour pictures are asked for other channels.
    """
    match settings.keep:
        case "colour":
            return masked_l1
        case "luminance":
            return lambda made, source, counts: masked_l1(
                luminance(made), luminance(source), counts
            )
        case "gradient":
            return _gradient_difference
        case "features":
            if channels.source != 3:
                raise SettingsError(
                    f"keep=features needs colour pictures of 3 channels, got {channels.source}; "
                    "choose luminance or gradient"
                )
            return _FeatureDifference(settings.features_of, settings.feature_levels)


def luminance(
    picture: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch 1 height width"]:
    """Return the luminance of colour pictures (BT.601), the mean over channels of others."""
    if picture.shape[1] != 3:
        return picture.mean(dim=1, keepdim=True)
    weights = picture.new_tensor(_LUMA).view(1, 3, 1, 1)
    return (picture * weights).sum(dim=1, keepdim=True)


def _gradient_difference(made: Tensor, source: Tensor, counts: Tensor) -> Float[Tensor, ""]:
    """Return the mean absolute difference of luminance steps to the right and down, summed."""
    change = luminance(made) - luminance(source)
    total = change.new_zeros(())
    for axis in (-1, -2):
        length = change.shape[axis] - 1
        step = change.narrow(axis, 1, length) - change.narrow(axis, 0, length)
        both = counts.narrow(axis, 1, length) * counts.narrow(axis, 0, length)
        total = total + masked_l1(step, torch.zeros_like(step), both)
    return total


class _FeatureDifference:
    """The mean absolute difference of frozen features, averaged over levels.

    The frozen network is read when it is first needed: to use a translator nobody needs it.
    """

    def __init__(self, model: str, levels: int) -> None:
        self._model, self._levels = model, levels
        self._features: FrozenFeatures | None = None

    def __call__(self, made: Tensor, source: Tensor, counts: Tensor) -> Float[Tensor, ""]:
        if self._features is None:
            self._features = FrozenFeatures(self._model, self._levels).to(made.device)
        with torch.no_grad():
            wanted = self._features(hide(source, counts))
        found = self._features(hide(made, counts))
        terms = [
            masked_l1(one, other, functional.interpolate(counts, one.shape[-2:], mode="area"))
            for one, other in zip(found, wanted, strict=True)
        ]
        return torch.stack(terms).mean()
