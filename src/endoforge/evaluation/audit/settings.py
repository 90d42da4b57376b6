# SPDX-License-Identifier: Apache-2.0
"""What an audit can be told; imports no tensor library."""

from typing import Literal

from pydantic import Field

from endoforge.settings import Settings


class AuditSettings(Settings):
    """Who judges, and from where on a frame is rejected."""

    threshold: float = Field(
        0.5, ge=0, le=1, description="frames with at least this score are rejected"
    )
    calibration: str = Field(
        "",
        description="file of a calibration; empty for the shipped one, see benchmarks/audit_auroc",
    )
    depth: str = Field(
        "depth", description="depth model that looks before and after: a shipped name or a folder"
    )
    segmenter: str = Field(
        "", description="segmentation model that looks before and after; empty for none"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the networks run")
