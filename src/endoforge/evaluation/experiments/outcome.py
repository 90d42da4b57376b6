# SPDX-License-Identifier: Apache-2.0
"""What an experiment found: all figures, the paper's claims, and whether they held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

#: The paper's reductions of error by fine-tuning, per cent, by domain.
PAPER = {"unseen CT": 56.87, "independent": 27.49}

ALIGNMENTS = ("none", "median", "scale_shift")
FIGURES = ("abs_rel", "rmse", "delta1")

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Row:
    """One network on one domain.

    Attributes:
        arm: Name of the network.
        images: Cinematic pictures that it was fine-tuned on; 0 for none.
        conditions: Rendering conditions of each pose among them; 1 where all share one look.
        seed: Of the fine-tuning.
        domain: Where it was measured.
        scores: Figures by alignment.
    """

    arm: str
    images: int
    conditions: int
    seed: int
    domain: str
    scores: Scores


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, and what came out here.

    Attributes:
        text: The statement.
        held: Whether it held.
        found: The figures, in words.
    """

    text: str
    held: bool
    found: str


@dataclass(frozen=True)
class ExperimentResult:
    """Everything that an experiment found.

    Attributes:
        settings: How large it was.
        rows: All networks on all domains.
        protocol: Which pixels counted, in one sentence.
    """

    settings: Mapping[str, Any]
    rows: tuple[Row, ...]
    protocol: str

    @property
    def domains(self) -> tuple[str, ...]:
        """Where networks were measured."""
        return tuple(dict.fromkeys(row.domain for row in self.rows))

    def error(
        self, domain: str, images: int, several: bool = True, alignment: str = "none"
    ) -> float:
        """Mean relative error of the networks of one kind, over the repeats."""
        found = [
            row.scores[alignment]["abs_rel"]
            for row in self.rows
            if row.domain == domain
            and row.images == images
            and (images == 0 or (row.conditions > 1) == several)
        ]
        return fmean(found)

    def reduction(self, domain: str, alignment: str = "none") -> float:
        """Share of the error that fine-tuning on the most pictures took away, per cent."""
        most = max(row.images for row in self.rows)
        before = self.error(domain, 0, alignment=alignment)
        return 100 * (1 - self.error(domain, most, alignment=alignment) / before)

    def claims(self) -> tuple[Claim, ...]:
        """The paper's three claims, each with what was found."""
        return (*(self._adapts(domain) for domain in self.domains), self._few(), self._several())

    def _adapts(self, domain: str) -> Claim:
        target, found = PAPER[domain], {a: self.reduction(domain, a) for a in ALIGNMENTS}
        words = ", ".join(f"{value:.1f} % ({name})" for name, value in found.items())
        return Claim(
            f"fine-tuning lowers the relative error on the {domain} by {target} % or more",
            found["none"] >= target,
            f"lowered by {words}",
        )

    def _few(self) -> Claim:
        counts = sorted({row.images for row in self.rows})
        errors = {n: self.error("unseen CT", n) for n in counts}
        falls = all(errors[a] > errors[b] for a, b in pairwise(counts))
        return Claim(
            "the error on the unseen CT falls with every larger number of cinematic pictures",
            falls,
            ", ".join(f"{errors[n]:.3f} with {n}" for n in counts),
        )

    def _several(self) -> Claim:
        most = max(row.images for row in self.rows)
        several, one = (self.error("unseen CT", most, several=s) for s in (True, False))
        count = self.settings["conditions"]
        return Claim(
            f"of {most} pictures, {count} conditions of fewer poses teach more than one condition "
            "of many poses",
            several < one,
            f"{several:.3f} with {count} conditions, {one:.3f} with one, on the unseen CT",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": "endoforge experiment cinematic",
            "settings": dict(self.settings),
            "protocol": self.protocol,
            "rows": [vars(row) for row in self.rows],
            "claims": [vars(claim) for claim in self.claims()],
        }

    def markdown(self) -> str:
        """All figures as a table, and the claims."""
        lines = [f"{self.protocol}.", "", *self._table(), ""]
        lines += [
            f"- **{'confirmed' if claim.held else 'refuted'}**: {claim.text}. {claim.found}."
            for claim in self.claims()
        ]
        return "\n".join([*lines, ""])

    def _table(self) -> Sequence[str]:
        head = [f"{figure} ({alignment})" for alignment in ALIGNMENTS for figure in FIGURES]
        lines = [
            "| domain | network | pictures | conditions | " + " | ".join(head) + " |",
            "|" + "---|" * (len(head) + 4),
        ]
        for domain in self.domains:
            for row in self.rows:
                if row.domain == domain:
                    cells = [f"{row.scores[a][f]:.3f}" for a in ALIGNMENTS for f in FIGURES]
                    first = [domain, row.arm, str(row.images), str(row.conditions)]
                    lines.append("| " + " | ".join(first + cells) + " |")
        return lines
