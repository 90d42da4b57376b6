# SPDX-License-Identifier: Apache-2.0
"""What the experiment of reverse adaptation found, and whether it reached its goal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from endoforge.evaluation.experiments.outcome import ALIGNMENTS, FIGURES, Claim, Scores

#: Name of the pictures that no translator touched.
UNTOUCHED = "as they are"

#: Name of unseen pictures in the simulated look; of the same poses, where both sides are surfaces.
OWN = "simulated look"


@dataclass(frozen=True)
class AdaptedRow:
    """One depth network on the test pictures in one look.

    Attributes:
        network: Name of the depth network.
        pictures: `UNTOUCHED`, `OWN`, or what the translator before it keeps.
        scores: Figures by alignment.
    """

    network: str
    pictures: str
    scores: Scores


@dataclass(frozen=True)
class ReverseResult:
    """Everything that the experiment found.

    Attributes:
        settings: How large it was.
        rows: Every network on the pictures in every look.
        protocol: Which pixels counted, in one sentence.
    """

    settings: Mapping[str, Any]
    rows: tuple[AdaptedRow, ...]
    protocol: str

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the depth networks."""
        return tuple(dict.fromkeys(row.network for row in self.rows))

    @property
    def looks(self) -> tuple[str, ...]:
        """What the translators keep."""
        found = dict.fromkeys(row.pictures for row in self.rows)
        return tuple(name for name in found if name not in (UNTOUCHED, OWN))

    def fall(self, network: str, pictures: str, alignment: str = "none") -> float:
        """Share of a network's mean relative error that adaptation took away, per cent."""
        errors = {
            row.pictures: row.scores[alignment]["abs_rel"]
            for row in self.rows
            if row.network == network
        }
        return 100 * (1 - errors[pictures] / errors[UNTOUCHED])

    def claims(self) -> tuple[Claim, ...]:
        """For every network and look: is the goal reached?"""
        goal = float(self.settings["goal"])
        return tuple(
            self._claim(network, look, goal) for network in self.networks for look in self.looks
        )

    def _claim(self, network: str, look: str, goal: float) -> Claim:
        falls = {a: self.fall(network, look, a) for a in ALIGNMENTS}
        words = ", ".join(f"{value:.1f} % ({name})" for name, value in falls.items())
        return Claim(
            f"adaptation that keeps {look} lowers the relative error of the network {network!r} by "
            f"{goal:g} % or more",
            falls["none"] >= goal,
            f"lowered by {words}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": "endoforge experiment reverse",
            "settings": dict(self.settings),
            "protocol": self.protocol,
            "rows": [vars(row) for row in self.rows],
            "claims": [vars(claim) for claim in self.claims()],
        }

    def markdown(self) -> str:
        """All figures as a table, and the claims."""
        head = [f"{figure} ({alignment})" for alignment in ALIGNMENTS for figure in FIGURES]
        lines = [
            f"{self.protocol}.",
            "",
            "| network | pictures | " + " | ".join(head) + " |",
            "|" + "---|" * (len(head) + 2),
        ]
        for row in self.rows:
            cells = [f"{row.scores[a][f]:.3f}" for a in ALIGNMENTS for f in FIGURES]
            lines.append("| " + " | ".join([row.network, row.pictures, *cells]) + " |")
        verdicts = [
            f"- **{'confirmed' if claim.held else 'refuted'}**: {claim.text}. {claim.found}."
            for claim in self.claims()
        ]
        return "\n".join([*lines, "", *verdicts, ""])
