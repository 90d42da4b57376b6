# SPDX-License-Identifier: Apache-2.0
"""Which parts of a simulation change from sequence to sequence, together or one at a time.

Every part (a *domain*) has its own counter. A held domain keeps the counter 0 in all sequences and
therefore its draw; an ablation that changes one factor at a time moves one counter only.
"""

from typing import Literal, get_args

from pydantic import Field, model_validator

from endoforge.settings import Settings

Domain = Literal[
    "anatomy",
    "motion",
    "tissue",
    "camera",
    "light",
    "sensor",
    "trajectory",
    "instruments",
    "transfer",
    "illumination",
]
DOMAINS: tuple[Domain, ...] = get_args(Domain)

#: What a scene of surfaces draws.
SURFACE_DOMAINS: tuple[Domain, ...] = DOMAINS[:8]
#: What a scene of voxels draws.
VOLUME_DOMAINS: tuple[Domain, ...] = (
    "anatomy",
    "transfer",
    "camera",
    "light",
    "illumination",
    "sensor",
    "trajectory",
)

#: What is seen and from where; the other domains are how it looks: the rendering condition.
POSE_DOMAINS = frozenset({"anatomy", "motion", "camera", "trajectory", "instruments"})


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
    conditions: int = Field(
        1,
        ge=1,
        le=1000,
        description="sequences in a row that share anatomy, lens and path and differ in look: "
        "the same poses under so many rendering conditions",
    )

    @model_validator(mode="after")
    def _one_plan(self) -> "RandomisationSettings":
        if self.conditions > 1 and self.mode != "together":
            raise ValueError("conditions need mode together; choose one of the two")
        return self

    def pose_group(self, sequence: int) -> int:
        """Number that sequences of the same poses share."""
        return sequence // self.conditions

    def counters(
        self, sequence: int, domains: tuple[Domain, ...] = SURFACE_DOMAINS
    ) -> dict[Domain, int]:
        """The counter of every domain's random streams in one sequence.

        Args:
            sequence: Its number.
            domains: Those that the simulator draws.

        Example:
            >>> RandomisationSettings(held=("light",)).counters(3)["light"]
            0
            >>> RandomisationSettings(conditions=4).counters(7)["trajectory"]
            1
        """
        moving = [domain for domain in domains if domain not in self.held]
        counters = dict.fromkeys(domains, 0)
        if self.mode == "together":
            for domain in moving:
                shared = domain in POSE_DOMAINS
                counters[domain] = self.pose_group(sequence) if shared else sequence
        elif sequence and moving:
            turn, which = divmod(sequence - 1, len(moving))
            counters[moving[which]] = turn + 1
        if self.anatomies is not None:
            counters["anatomy"] %= self.anatomies
        return counters
