# SPDX-License-Identifier: Apache-2.0
"""Which parts of a simulation change from sequence to sequence, together or one at a time.

Every part (a *domain*) has its own counter. A held domain keeps the counter 0 in all sequences and
therefore its draw; an ablation that changes one factor at a time moves one counter only.
"""

from typing import Literal, get_args

from pydantic import Field

from endoforge.settings import Settings

Domain = Literal[
    "anatomy", "motion", "tissue", "camera", "light", "sensor", "trajectory", "instruments"
]
DOMAINS: tuple[Domain, ...] = get_args(Domain)


class RandomisationSettings(Settings):
    """How the draws of different sequences hang together."""

    mode: Literal["together", "one_at_a_time"] = Field(
        "together",
        description="together: all domains change with every sequence; one_at_a_time: sequence 0 "
        "is the reference, and each further one changes a single domain, in turn",
    )
    held: tuple[Domain, ...] = Field(
        (), description="domains that keep the first sequence's draw throughout"
    )
    anatomies: int | None = Field(
        None, ge=1, description="number of different anatomies, used in turn; none: one a sequence"
    )

    def counters(self, sequence: int) -> dict[Domain, int]:
        """The counter of every domain's random streams in one sequence.

        Example:
            >>> RandomisationSettings(held=("light",)).counters(3)["light"]
            0
        """
        moving = [domain for domain in DOMAINS if domain not in self.held]
        if self.mode == "together":
            counters = {domain: sequence if domain in moving else 0 for domain in DOMAINS}
        else:
            counters = dict.fromkeys(DOMAINS, 0)
            if sequence and moving:
                turn, which = divmod(sequence - 1, len(moving))
                counters[moving[which]] = turn + 1
        if self.anatomies is not None:
            counters["anatomy"] %= self.anatomies
        return counters
