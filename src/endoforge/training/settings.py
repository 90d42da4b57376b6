# SPDX-License-Identifier: Apache-2.0
"""What the trainer can be told, whatever it trains."""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.settings import Settings

#: Fields that may differ when a training goes on; the run's manifest notes the change.
MAY_CHANGE = frozenset(
    {
        "steps",
        "device",
        "precision",
        "compile",
        "report_every",
        "validate_every",
        "checkpoint_every",
    }
)


class TrainerSettings(Settings):
    """Length, step size, precision and bookkeeping of one training."""

    steps: int = Field(12_000, ge=1, description="batches to train on")
    batch: int = Field(16, ge=1, description="items per batch")
    learning_rate: float = Field(1e-3, gt=0, description="highest step size, after the warm-up")
    warm_up: int = Field(300, ge=0, description="steps over which the step size grows from 0")
    schedule: Literal["cosine", "constant", "linear", "halving"] = Field(
        "cosine",
        description="how the step size falls: along half a cosine, not at all, linearly after a "
        "share of the steps, or by half every so many steps",
    )
    hold: float = Field(
        0.5, ge=0, le=1, description="share of the steps before a linear fall begins; CycleGAN 2017"
    )
    halve_every: int = Field(
        100_000, ge=1, description="steps between halvings of the step size; MUNIT 2018"
    )
    final_rate: float = Field(
        0.01, ge=0, le=1, description="last step size as a share of the highest; not for halving"
    )
    betas: tuple[float, float] = Field(
        (0.9, 0.999), description="Adam's memory of gradients and of their squares, shares"
    )
    weight_decay: float = Field(1e-2, ge=0, description="AdamW's decay of matrices and kernels")
    max_gradient_norm: float | None = Field(
        5.0, gt=0, description="longer gradients are shortened to this; null for never"
    )
    average: float = Field(0.999, ge=0, lt=1, description="decay of the running average of weights")
    seed: int = Field(0, ge=0, description="of weights, order and augmentation")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes a GPU if present"
    )
    devices: int = Field(
        1, ge=1, le=64, description="GPUs, or processes on a CPU, that share each batch"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "bfloat16", description="of the convolutions; weights and losses stay float32"
    )
    compile: bool = Field(False, description="let torch compile the networks; needs a C++ compiler")
    report_every: int = Field(50, ge=1, description="steps between lines of metrics.jsonl")
    validate_every: int = Field(1000, ge=1, description="steps between validations")
    checkpoint_every: int = Field(500, ge=1, description="steps between checkpoints")
    skips: int = Field(5, ge=0, description="batches with a non-finite loss in a row to skip")
    rollbacks: int = Field(
        3, ge=0, description="times to go back to a checkpoint with half the step size, then stop"
    )

    @model_validator(mode="after")
    def _can_be_shared(self) -> "TrainerSettings":
        if self.batch % self.devices:
            raise ValueError(
                f"batch {self.batch} cannot be shared evenly by {self.devices} devices; make it a "
                "multiple of devices"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be at least 0 and below 1, got {self.betas}")
        return self
