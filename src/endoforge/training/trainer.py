# SPDX-License-Identifier: Apache-2.0
"""The training loop, the same for every task: steps, averages, reports, checkpoints, rescue.

Killed at any moment and started again, it goes on with the numbers of an unbroken run.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from endoforge.errors import TrainingDiverged
from endoforge.training.average import WeightsAverage
from endoforge.training.checkpoint import (
    Moment,
    list_checkpoints,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from endoforge.training.processes import draw_apart, share_of
from endoforge.training.record import RunRecord
from endoforge.training.settings import MAY_CHANGE, TrainerSettings
from endoforge.training.task import Batch, StepReport, Task, train_step


@dataclass(frozen=True)
class Progress:
    """Where a training stands, for whoever shows it.

    Attributes:
        step: Steps done, of `steps`.
        steps: Steps to do.
        wall_s: Seconds of work so far, over all resumptions.
        values: The newest reported losses and validation figures.
    """

    step: int
    steps: int
    wall_s: float
    values: Mapping[str, float]


def _nothing(progress: Progress) -> None:
    pass


@dataclass(frozen=True)
class Training:
    """A task with its data and its folder: all that `train` needs.

    Attributes:
        task: Networks, optimisers and losses; already on the device.
        batches: Returns the batch of a step, a pure function of the step.
        settings: Length, precision and bookkeeping.
        folder: The run's folder.
        fingerprint: What must agree when the training goes on, beside the settings: network, data.
        validate: Returns figures by name; called with the averaged weights in evaluation mode.
        export: Writes the model; called likewise, after each validation and at the end.
        progress: Called at each report.
        manifest: What else the run's manifest.json shall say.
    """

    task: Task
    batches: Callable[[int], Batch]
    settings: TrainerSettings
    folder: Path
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    validate: Callable[[], Mapping[str, float]] | None = None
    export: Callable[[int], None] | None = None
    progress: Callable[[Progress], None] = _nothing
    manifest: Mapping[str, Any] = field(default_factory=dict)


def make_fabric(settings: TrainerSettings) -> Fabric:
    """Choose device and precision; torch's random numbers start from the seed.

    The global seed decides the first weights, so call this before building networks. For more than
    one device it starts the other processes, each of which runs the same command from its start.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its precision
    precision = {"bfloat16": "bf16-mixed", "float32": "32-true"}[settings.precision]
    accelerator = {"auto": "auto", "cpu": "cpu", "cuda": "cuda"}[settings.device]
    several = settings.devices > 1
    fabric = Fabric(
        accelerator=accelerator,
        devices=settings.devices,
        precision=precision,
        strategy="ddp" if several else "auto",
    )
    if several:
        fabric.launch()
    torch.manual_seed(settings.seed)
    return fabric


def rate_at(step: int, settings: TrainerSettings) -> float:
    """Return the share of the highest step size: a linear warm-up, then the schedule."""
    if step < settings.warm_up:
        return (step + 1) / settings.warm_up
    done = min(1.0, (step - settings.warm_up) / max(1, settings.steps - settings.warm_up))
    match settings.schedule:
        case "constant":
            return 1.0
        case "halving":
            return float(0.5 ** (step // settings.halve_every))
        case "linear":
            left = min(1.0, (1.0 - done) / max(1.0 - settings.hold, 1e-9))
        case "cosine":
            left = 0.5 * (1.0 + math.cos(math.pi * done))
    return settings.final_rate + (1.0 - settings.final_rate) * left


def train(training: Training, fabric: Fabric, resume: bool = True) -> dict[str, float]:
    """Train until the last step, going on from the newest checkpoint if there is one.

    Args:
        training: What to train, on what, and where.
        fabric: Device and precision, from `make_fabric`.
        resume: False starts anew and removes the folder's checkpoints.

    Returns:
        The last reported figures by name.

    Raises:
        TrainingDiverged: The loss kept being non-finite after all rollbacks.
        CheckpointError: The folder's checkpoints are damaged or of another training.
        StorageError: The disk is full; the last checkpoint is intact.
    """
    run = _Run(training, fabric)
    settings = training.settings

    # ---- resume ----
    run.record.start(settings.model_dump(mode="json"), training.manifest)
    start = run.newest() if resume else None
    if start is None:
        run.start_anew()
    else:
        run.return_to(start)

    while run.step < settings.steps:
        # ---- step ----
        run.set_rate()
        batch = share_of(training.batches(run.step), fabric)
        report = train_step(training.task, batch, fabric, settings.max_gradient_norm)
        if report.trouble:
            run.count_trouble(report, batch)
            if run.skipped_in_a_row > settings.skips:
                run.roll_back(report)
                continue
        run.step += 1

        # ---- weights average, report ----
        run.follow(report)
        if run.is_due(settings.report_every):
            run.report_losses()
        if run.is_due(settings.validate_every):
            run.validate_and_export()

        # ---- checkpoint ----
        if run.is_due(settings.checkpoint_every):
            if run.weights_are_finite():
                run.save()
            else:
                run.roll_back(StepReport({}, "a weight is not finite"))

    # ---- stop ----
    return run.latest


class _Run:
    """The state of one call of `train`."""

    def __init__(self, training: Training, fabric: Fabric) -> None:
        self.training, self.fabric = training, fabric
        self.checkpoints = training.folder / "checkpoints"
        self.leads = fabric.global_rank == 0
        self.record = RunRecord(training.folder, self.leads)
        players = training.task.players
        settings = training.settings
        self.averages = {
            name: WeightsAverage(player.networks, settings.average)
            for name, player in players.items()
            if player.averaged
        }
        self.moment = Moment(training.task, self.averages, fabric)
        self.rates = {
            name: [group["lr"] for group in player.optimiser.param_groups]
            for name, player in players.items()
        }
        if settings.compile:
            for player in players.values():
                for network in player.networks:
                    network.compile()
        self.step, self.skipped, self.skipped_in_a_row, self.rollbacks = 0, 0, 0, 0
        self.rate_factor, self.wall_before_s, self.began_s = 1.0, 0.0, time.monotonic()
        self.window: dict[str, list[float]] = {}
        self.latest: dict[str, float] = {}

    # ---- where it stands ----

    @property
    def wall_s(self) -> float:
        return self.wall_before_s + time.monotonic() - self.began_s

    def is_due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.training.settings.steps

    def _fingerprint(self) -> dict[str, Any]:
        fields = set(TrainerSettings.model_fields) - MAY_CHANGE
        trainer = self.training.settings.model_dump(mode="json", include=fields)
        return {**trainer, **self.training.fingerprint}

    def _free_settings(self) -> dict[str, Any]:
        return self.training.settings.model_dump(mode="json", include=set(MAY_CHANGE))

    # ---- start and checkpoint ----

    def newest(self) -> Path | None:
        """Let one process tidy up before the others look."""
        if self.leads:
            newest_checkpoint(self.checkpoints)
        self.fabric.barrier()
        return newest_checkpoint(self.checkpoints)

    def start_anew(self) -> None:
        for old in list_checkpoints(self.checkpoints) if self.leads else ():
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
        self.record.go_back_to(-1)
        draw_apart(self.training.settings.seed, self.fabric)
        self.save()

    def return_to(self, path: Path) -> None:
        once = TrainerSettings().model_dump(mode="json", exclude=set(MAY_CHANGE))
        content = load_checkpoint(path, self.moment, self._fingerprint(), once)
        self.step = int(content["step"])
        self.skipped, self.skipped_in_a_row = content["skipped"], content["skipped_in_a_row"]
        self.rollbacks, self.rate_factor = content["rollbacks"], content["rate_factor"]
        self.wall_before_s, self.began_s = content["wall_s"], time.monotonic()
        self.window, self.latest = content["window"], content["latest"]
        self.record.go_back_to(self.step)
        free = self._free_settings()
        before = content.get("free_settings", free)
        changed = {k: [before.get(k), v] for k, v in free.items() if before.get(k) != v}
        event = {"step": self.step, "changed": changed}
        self.record.note({"resumed": [*self.record.manifest.get("resumed", []), event]})

    def weights_are_finite(self) -> bool:
        networks = [player.networks for player in self.training.task.players.values()]
        tensors = [tensor for network in networks for tensor in network.state_dict().values()]
        return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)

    def save(self) -> None:
        content = {
            "fingerprint": self._fingerprint(),
            "free_settings": self._free_settings(),
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
            "rollbacks": self.rollbacks,
            "rate_factor": self.rate_factor,
            "wall_s": self.wall_s,
            "window": self.window,
            "latest": self.latest,
            "average_updates": {name: a.updates for name, a in self.averages.items()},
        }
        save_checkpoint(self.checkpoints, self.moment, self.step, content)

    # ---- one step ----

    def set_rate(self) -> None:
        share = rate_at(self.step, self.training.settings) * self.rate_factor
        for name, player in self.training.task.players.items():
            for group, rate in zip(player.optimiser.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * share

    def follow(self, report: StepReport) -> None:
        if report.trouble:
            return
        self.skipped_in_a_row = 0
        for average in self.averages.values():
            average.update()
        for key, value in report.losses.items():
            self.window.setdefault(key, []).append(value)

    def report_losses(self) -> None:
        values = {key: sum(found) / len(found) for key, found in self.window.items()}
        values["skipped"] = float(self.skipped)
        self.window = {}
        self._report(values)

    def validate_and_export(self) -> None:
        training = self.training
        if not self.leads:
            return
        with ExitStack() as stack, torch.no_grad():
            for average in self.averages.values():
                stack.enter_context(average.applied())
            if training.validate is not None:
                with self.fabric.autocast():
                    figures = training.validate()
                self._report({f"validation/{key}": value for key, value in figures.items()})
            if training.export is not None:
                training.export(self.step)

    def _report(self, values: Mapping[str, float]) -> None:
        self.latest |= {key: value for key, value in values.items() if math.isfinite(value)}
        self.record.report(self.step, self.wall_s, values)
        if not self.leads:
            return
        steps = self.training.settings.steps
        self.training.progress(Progress(self.step, steps, self.wall_s, dict(self.latest)))

    # ---- rescue ----

    def count_trouble(self, report: StepReport, batch: Batch) -> None:
        self.skipped += 1
        self.skipped_in_a_row += 1
        events = [*self.record.manifest.get("skipped", []), _describe(self.step, report, batch)]
        self.record.note({"skipped": events[-50:]})

    def roll_back(self, report: StepReport) -> None:
        rollbacks, factor, where = self.rollbacks + 1, self.rate_factor / 2, self.step
        skipped = self.skipped
        if rollbacks > self.training.settings.rollbacks:
            raise TrainingDiverged(
                f"the loss was not finite at step {where} ({report.trouble}) after {skipped} "
                f"skipped batches and {self.rollbacks} returns to a checkpoint, of which the last "
                f"is intact; look at 'skipped' in {self.record.folder / 'manifest.json'}, then "
                "lower the learning rate or mend the data"
            )
        path = self.newest()
        assert path is not None  # start_anew() wrote one
        self.return_to(path)
        self.rollbacks, self.rate_factor, self.skipped = rollbacks, factor, skipped
        self.skipped_in_a_row = 0


def _describe(step: int, report: StepReport, batch: Batch) -> dict[str, Any]:
    """Name a bad batch: its step (which decides its items), its items if known, what was wrong."""
    bad = [
        key
        for key, value in batch.items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]
    items = batch["item"].tolist() if "item" in batch else []
    return {"step": step, "trouble": report.trouble, "items": items, "non_finite_inputs": bad}
