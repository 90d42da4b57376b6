# SPDX-License-Identifier: Apache-2.0
"""How large a U-Net is. Imports nothing heavy."""

from pydantic import Field, model_validator

from endoforge.settings import Settings


class UNetShape(Settings):
    """A residual U-Net; level k works at 1 / 2^(k+1) of the input's width and height."""

    widths: tuple[int, ...] = Field(
        (32, 64, 96, 160),
        min_length=2,
        max_length=6,
        description="channels per level, finest first",
    )
    blocks: tuple[int, ...] = Field(
        (0, 1, 2, 3), description="residual blocks per level on the way down"
    )
    log_features: bool = Field(
        True, description="show the network log brightness too: in near-field light log depth"
    )

    @model_validator(mode="after")
    def _levels_agree(self) -> "UNetShape":
        if len(self.blocks) != len(self.widths):
            raise ValueError(f"widths {self.widths} and blocks {self.blocks} differ in length")
        if min(self.widths) < 4 or min(self.blocks) < 0:
            raise ValueError(f"widths {self.widths} below 4, or blocks {self.blocks} below 0")
        return self

    @property
    def divisor(self) -> int:
        """Width and height of the input must be multiples of this."""
        return int(2 ** len(self.widths))
