# SPDX-License-Identifier: Apache-2.0
"""The page about an experiment: claims, curves, every figure."""

from dataclasses import dataclass

from endoforge.evaluation.experiments.outcome import ALIGNMENTS, FIGURES, ExperimentResult
from endoforge.evaluation.report.charts import Chart, Series, line_chart
from endoforge.evaluation.report.page import render
from endoforge.evaluation.report.values import Row as Fact
from endoforge.evaluation.report.values import rows_of

_NAMES = {"abs_rel": "AbsRel", "rmse": "RMSE, mm", "delta1": "δ < 1.25"}
_WORDS = {"none": "no alignment", "median": "median", "scale_shift": "scale and shift"}


@dataclass(frozen=True)
class TableRow:
    """A network's figures as texts."""

    network: str
    images: int
    conditions: int
    cells: tuple[str, ...]


def experiment_page(result: ExperimentResult) -> str:
    """Build the page's HTML."""
    return render(
        "experiment.html.j2",
        {
            "title": "Cinematic rendering for depth",
            "kind": "Experiment",
            "facts": [
                Fact("networks", str(len({(row.arm, row.seed) for row in result.rows}))),
                Fact("counted", result.protocol),
            ],
            "claims": result.claims(),
            "curve": _curve(result),
            "domains": result.domains,
            "columns": [f"{_NAMES[f]} ({_WORDS[a]})" for a in ALIGNMENTS for f in FIGURES],
            "tables": {domain: _rows(result, domain) for domain in result.domains},
            "settings": rows_of(result.settings),
        },
    )


def _rows(result: ExperimentResult, domain: str) -> list[TableRow]:
    return [
        TableRow(
            row.arm,
            row.images,
            row.conditions,
            tuple(f"{row.scores[a][f]:.3f}" for a in ALIGNMENTS for f in FIGURES),
        )
        for row in result.rows
        if row.domain == domain
    ]


def _curve(result: ExperimentResult) -> str:
    """Error against the number of pictures, one line per domain."""
    counts = sorted({row.images for row in result.rows})
    lines = [
        Series(domain, counts, [result.error(domain, n) for n in counts], colour=number)
        for number, domain in enumerate(result.domains)
    ]
    chart = Chart(
        "mean relative error against the number of cinematic pictures",
        "cinematic pictures",
        "AbsRel without alignment",
    )
    return line_chart(chart, lines)
