# SPDX-License-Identifier: Apache-2.0
"""The judge that translation and `endoforge audit` ask: measures, calibration and threshold."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from endoforge.depth.predictor import DepthPredictor
from endoforge.errors import DataError
from endoforge.evaluation.audit.calibration import MEANING, Calibration, load_calibration
from endoforge.evaluation.audit.measures import Measurer
from endoforge.evaluation.audit.settings import AuditSettings
from endoforge.frames.audit_file import FrameScores
from endoforge.frames.frame import Frame
from endoforge.frames.manifest import settings_sha256
from endoforge.segmentation.predictor import SegmentationPredictor


class AuditJudge:
    """A `frames.audit_file.Judge` with the networks and weights that the settings name."""

    def __init__(
        self, measurer: Measurer, calibration: Calibration, about: Mapping[str, Any]
    ) -> None:
        self._measurer, self._calibration, self._about = measurer, calibration, dict(about)

    @property
    def about(self) -> Mapping[str, Any]:
        """Threshold, meaning of the score, calibration and versions, as plain values."""
        return self._about

    def __call__(
        self, source: Frame, translated: UInt8[np.ndarray, "height width 3"]
    ) -> FrameScores:
        """Compare a simulated frame, labels included, with its translation of the same size.

        Raises:
            ShapeError: The translation is of another size.
        """
        measures = self._measurer.measure(source, translated)
        return FrameScores(self._calibration.score(measures), measures)


def make_judge(names: Mapping[int, str], settings: AuditSettings) -> AuditJudge:
    """Load what the settings name.

    Args:
        names: Class names of the data set by index.
        settings: Who judges.

    Raises:
        CheckpointError: A model is missing or damaged.
        DataError: The calibration is damaged, or asks for measures that nobody here can give.
        MissingDependency: A GPU was asked for and there is none.
    """
    depth = DepthPredictor.load(settings.depth, settings.device)
    segmenter = None
    if settings.segmenter:
        segmenter = SegmentationPredictor.load(settings.segmenter, settings.device)
    path = Path(settings.calibration) if settings.calibration else None
    calibration = load_calibration(path)
    silent = [name for name, expert in calibration.experts.items() if _needs_classes(expert)]
    if segmenter is None and len(silent) == len(calibration.experts):
        raise DataError(
            f"all experts of the calibration {settings.calibration} ({', '.join(silent)}) ask for "
            "a segmenter but none is given; set segmenter, or use the shipped calibration"
        )
    about = {
        "threshold": settings.threshold,
        "meaning": MEANING,
        "calibration": settings_sha256(calibration.model_dump(mode="json")),
        "experts": sorted(calibration.experts),
        "depth": _card(depth.card),
        "segmenter": _card(segmenter.card) if segmenter else "none",
        "endoforge": metadata.version("endoforge"),
    }
    return AuditJudge(Measurer(names, depth, segmenter), calibration, about)


def _needs_classes(expert: Any) -> bool:
    return any(name.startswith("class") for name in expert.weights)


def _card(card: Mapping[str, Any]) -> str:
    """Hash of a model's card, which holds the hash of its weights."""
    return f"{card.get('name', card.get('kind', 'model'))} {settings_sha256(dict(card))[:16]}"
