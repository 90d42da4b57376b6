# SPDX-License-Identifier: Apache-2.0
"""The part of a data set's page that is about its translation: styles, scores, worst frames."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from endoforge.errors import DataError
from endoforge.evaluation.audit.cues import Scene
from endoforge.evaluation.audit.run import find_source
from endoforge.evaluation.report.charts import Chart, histogram
from endoforge.evaluation.report.pictures import Image, bar_of, photograph, value_map
from endoforge.frames.audit_file import SOURCE, Audit, FrameKey, source_key
from endoforge.frames.colour import Scale, colour_values
from endoforge.frames.dataset import Dataset
from endoforge.metrics.correspondence import correspondence

#: Displacement of a translation against its source.
SHIFT_SCALE = Scale(0.0, 8.0, "px", colours="error")

_ROWS, _STYLES, _WORST = 4, 5, 6
_LONGEST = 224
_SEEN = 0.2


@dataclass(frozen=True)
class StyleRow:
    """One simulated frame and its translations."""

    name: str
    pictures: tuple[Image, ...]


@dataclass(frozen=True)
class WorstRow:
    """One of the frames with the highest scores: source, translation, displacement."""

    name: str
    note: str
    pictures: tuple[Image, ...]


@dataclass(frozen=True)
class TranslationView:
    """What the page shows of a translation.

    Attributes:
        sentence: What the audit says, or that there is none.
        meaning: What the score means.
        styles: Input and translations.
        charts: Histograms with their captions.
        worst: Worst frames, worst first.
        bar: Explains the displacement's colours.
        compared: False where the source is not at hand.
    """

    sentence: str
    meaning: str
    styles: tuple[StyleRow, ...]
    charts: tuple[tuple[Markup, str], ...]
    worst: tuple[WorstRow, ...]
    bar: Markup
    compared: bool


def translation_view(dataset: Dataset) -> TranslationView | None:
    """Collect what there is to show; None for a data set that is no translation.

    Raises:
        DataError: The audit or a shard is damaged.
    """
    audit = dataset.audit
    if audit is None and SOURCE not in dataset.manifest.provenance:
        return None
    pairs = _pairs(dataset)
    source = _source(dataset)
    with closing(source) if source else closing(dataset):
        styles = _styles(dataset, source, pairs)
        worst = () if audit is None else _worst(dataset, source, pairs, audit)
    return TranslationView(
        sentence=_sentence(dataset, audit),
        meaning="" if audit is None else str(audit.about.get("meaning", "")),
        styles=styles,
        charts=() if audit is None else _charts(audit),
        worst=worst,
        bar=bar_of(SHIFT_SCALE, "displacement"),
        compared=source is not None,
    )


# ---- inside -------------------------------------------------------------------------------------


def _pairs(dataset: Dataset) -> dict[FrameKey, FrameKey]:
    """The source's frame of each frame."""
    keys = (
        (record.sequence, index) for record in dataset.sequences for index in range(record.frames)
    )
    return {key: source_key(dataset.facts(number)["facts"], key) for number, key in enumerate(keys)}


def _source(dataset: Dataset) -> Dataset | None:
    try:
        return Dataset.open(find_source(dataset, None))
    except DataError:
        return None


def _number_of(dataset: Dataset, key: FrameKey) -> int | None:
    first = 0
    for record in dataset.sequences:
        if record.sequence == key[0] and key[1] < record.frames:
            return first + key[1]
        first += record.frames
    return None


def _picture(dataset: Dataset, key: FrameKey, what: str) -> Image | None:
    number = _number_of(dataset, key)
    if number is None:
        return None
    image = dataset.fields(number, ("image",))["image"]
    return photograph(image, f"{what} of sequence {key[0]}, frame {key[1]}", _LONGEST)


def _styles(
    dataset: Dataset, source: Dataset | None, pairs: Mapping[FrameKey, FrameKey]
) -> tuple[StyleRow, ...]:
    """Frames of the source spread evenly, each with up to five of its translations."""
    made: dict[FrameKey, list[FrameKey]] = {}
    for key, origin in pairs.items():
        made.setdefault(origin, []).append(key)
    origins = list(made)
    places = np.linspace(0, len(origins) - 1, min(_ROWS, len(origins)) + 2)[1:-1]
    rows = []
    for place in dict.fromkeys(places.round().astype(int).tolist()):
        origin = origins[place]
        first = _picture(source, origin, "Input") if source else None
        shown = [_picture(dataset, key, "Translation") for key in made[origin][:_STYLES]]
        pictures = tuple(image for image in (first, *shown) if image is not None)
        rows.append(StyleRow(f"sequence {origin[0]}, frame {origin[1]}", pictures))
    return tuple(rows)


def _worst(
    dataset: Dataset, source: Dataset | None, pairs: Mapping[FrameKey, FrameKey], audit: Audit
) -> tuple[WorstRow, ...]:
    rows = []
    for key in audit.worst(_WORST):
        one = audit.scores[key]
        shift = one.measures.get("shift_95_px", float("nan"))
        verdict = "rejected" if one.damage >= audit.threshold else "kept"
        note = f"score {one.damage:.2f}, {verdict}; 95 % of what is seen moved by < {shift:.1f} px"
        pictures = _before_and_after(dataset, source, key, pairs[key])
        rows.append(WorstRow(f"sequence {key[0]}, frame {key[1]}", note, pictures))
    return tuple(rows)


def _before_and_after(
    dataset: Dataset, source: Dataset | None, key: FrameKey, origin: FrameKey
) -> tuple[Image, ...]:
    after = _picture(dataset, key, "Translation")
    assert after is not None
    number = None if source is None else _number_of(source, origin)
    if source is None or number is None:
        return (after,)
    frame, place = source.frame(number), _number_of(dataset, key)
    assert place is not None
    scene = Scene.of(frame, dataset.manifest.labels, max(frame.image.shape))
    image = dataset.fields(place, ("image",))["image"]
    match = correspondence(frame.image, image, scene.counts)
    seen = scene.counts & (match.confidence > _SEEN)
    length = np.where(seen, match.length_px, np.float32(np.nan)).astype(np.float32)
    name = f"sequence {key[0]}, frame {key[1]}"
    return (
        photograph(frame.image, f"Input of {name}", _LONGEST),
        after,
        value_map(colour_values(length, SHIFT_SCALE), f"Displacement in {name}", _LONGEST),
    )


def _charts(audit: Audit) -> tuple[tuple[Markup, str], ...]:
    damage = [one.damage for one in audit.scores.values()]
    shift = [one.measures["shift_95_px"] for one in audit.scores.values() if one.measures]
    edges = np.linspace(0, 1, 26)
    share = len(audit.rejected) / len(damage)
    charts = [
        (
            histogram(
                Chart("Histogram of the label-drift score", "score", "share of frames, %"),
                edges.tolist(),
                np.histogram(damage, edges)[0].tolist(),
            ),
            f"Score of each frame. {share:.1%} are at {audit.threshold:g} or above: rejected.",
        )
    ]
    if shift:
        edges = np.linspace(0, max(4.0, float(np.quantile(shift, 0.99))), 33)
        chart = Chart("Histogram of displacement", "95 % quantile within a frame, px", "share, %")
        counts = np.histogram(np.minimum(shift, edges[-1]), edges)[0]
        middle = np.median(shift)
        text = f"Displacement that 5 % of a frame exceed; the median frame has {middle:.1f} px."
        charts.append((histogram(chart, edges.tolist(), counts.tolist()), text))
    return tuple(charts)


def _sentence(dataset: Dataset, audit: Audit | None) -> str:
    if audit is None:
        return (
            "No audit was made: nobody knows whether the labels still hold. Run endoforge audit "
            f"{Path(dataset.path).name}."
        )
    return (
        f"The audit judged {len(audit.scores):,} frames and rejected {len(audit.rejected):,}, "
        f"those with a score of {audit.threshold:g} or more. Training and export leave them out."
    )
