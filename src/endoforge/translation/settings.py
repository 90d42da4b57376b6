# SPDX-License-Identifier: Apache-2.0
"""What every method of translation can be told; each method's own settings stand in its group.

Imports no tensor library, so that the command line can build settings fast.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from endoforge.settings import Settings
from endoforge.training.settings import TrainerSettings

#: What can stand beside or in place of the picture as input, by channel group.
Plane = Literal["image", "depth", "normals", "labels"]

#: The objective that a picture is judged by, see `translation.objectives`.
ObjectiveName = Literal["non-saturating", "least-squares", "hinge", "wasserstein"]

#: How the step size falls, see `training.trainer.rate_at`.
ScheduleName = Literal["cosine", "constant", "linear", "halving"]


class PictureSettings(Settings):
    """Which pictures are learnt from, and at which size."""

    height: int = Field(128, ge=16, le=2048, description="short side of whole pictures, px")
    crop: int = Field(128, ge=16, le=2048, description="side of the square training crops, px")
    flip: bool = Field(True, description="mirror left-right at random")
    source_planes: tuple[Plane, ...] = Field(
        ("image",), min_length=1, description="channels of the simulated side"
    )
    target_planes: tuple[Plane, ...] = Field(
        ("image",),
        min_length=1,
        description="channels of the other side, where it is a labelled data set too; for paired "
        "methods, e.g. depth",
    )
    depth_range_mm: tuple[float, float] = Field(
        (1.0, 300.0), description="depth that becomes -1 and 1 on a logarithmic scale, mm"
    )
    value_range: tuple[float, float] = Field(
        (0.0, 1.0),
        description="values of floating-point files (TIFF, OpenEXR, .npy) that become -1 and 1; "
        "8 and 16-bit files use their full range",
    )
    every: int = Field(1, ge=1, description="of a video take every n-th frame")
    exclude: tuple[tuple[float, float, float, float], ...] = Field(
        (),
        description="rectangles of real pictures that hold no tissue (dates, inserts): left, top, "
        "right, bottom as shares of width and height",
    )
    find_content: bool = Field(True, description="leave a dark surround out of all losses")
    find_text: bool = Field(True, description="leave burnt-in text of videos out of all losses")
    skip_damaged: bool = Field(False, description="leave damaged files out instead of stopping")
    with_rejected: bool = Field(
        False, description="learn from frames too that the audit of a translation rejected"
    )

    @model_validator(mode="after")
    def _fits(self) -> "PictureSettings":
        if self.crop > self.height:
            raise ValueError(f"crop {self.crop} is larger than height {self.height}")
        low, high = self.depth_range_mm
        if not 0 < low < high:
            raise ValueError(f"depth_range_mm must rise from above 0, got {self.depth_range_mm}")
        if not self.value_range[0] < self.value_range[1]:
            raise ValueError(f"value_range must rise, got {self.value_range}")
        for left, top, right, bottom in self.exclude:
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(
                    "a rectangle of exclude is left, top, right, bottom as shares from 0 to 1, got "
                    f"{(left, top, right, bottom)}"
                )
        for name in ("source_planes", "target_planes"):
            if len(set(planes := getattr(self, name))) != len(planes):
                raise ValueError(f"{name} names a plane twice: {planes}")
        return self


class TranslationSettings(TrainerSettings):
    """What all methods share; the defaults of step size and averaging are each method's own."""

    steps: int = Field(20_000, ge=1, description="batches to train on")
    batch: int = Field(1, ge=1, description="pictures per batch")
    learning_rate: float = Field(2e-4, gt=0, description="highest step size")
    warm_up: int = Field(0, ge=0, description="steps over which the step size grows from 0")
    schedule: ScheduleName = Field(
        "constant",
        description="how the step size falls: along half a cosine, not at all, linearly after a "
        "share of the steps, or by half every so many steps",
    )
    final_rate: float = Field(
        0.0, ge=0, le=1, description="last step size as a share of the highest; not for halving"
    )
    betas: tuple[float, float] = Field(
        (0.5, 0.999), description="Adam's memory of gradients and of their squares; DCGAN 2016"
    )
    weight_decay: float = Field(0.0, ge=0, description="Adam's L2 decay of all weights")
    max_gradient_norm: float | None = Field(
        None, gt=0, description="longer gradients are shortened to this; null for never"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the convolutions; weights and losses stay float32"
    )
    pictures: PictureSettings = PictureSettings()
    samples: int = Field(
        4,
        ge=0,
        le=16,
        description="source pictures whose translations are drawn into samples/ at each "
        "validation; 0 for none",
    )
    held_out: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="last share of each side's pictures that is not learnt from; the method's "
        "losses on it are reported at each validation",
    )
    cache: str = Field(
        "", description="folder to keep decoded pictures in; empty: in the run, removed at its end"
    )
    start_from: str = Field("", description="model to fine-tune: a name or a path; empty for none")

    @model_validator(mode="before")
    @classmethod
    def _keeps_own_defaults(cls, given: Any) -> Any:
        """Lay a group that is given in part over the method's own defaults of that group."""
        if not isinstance(given, Mapping):
            return given
        defaults = {name: field.default for name, field in cls.model_fields.items()}
        return {name: _laid_over(defaults.get(name), value) for name, value in given.items()}


def _laid_over(default: Any, given: Any) -> Any:
    if not isinstance(default, Settings) or not isinstance(given, Mapping):
        return given
    own = default.model_dump()
    same_kind = given.get("kind", own.get("kind")) == own.get("kind")
    return {**own, **given} if same_kind else given
