# SPDX-License-Identifier: Apache-2.0
"""What was drawn for one sequence: fixed settings that are stored with it and can be used again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from endoforge.distributions import drawn
from endoforge.settings import Settings
from endoforge.simulation.randomisation import DOMAINS, Domain
from endoforge.simulation.settings import Simulation
from endoforge.streams import stream

SimulationT = TypeVar("SimulationT", bound=Simulation)
SimulationT_co = TypeVar("SimulationT_co", bound=Simulation, covariant=True)


@dataclass(frozen=True)
class Draw(Generic[SimulationT_co]):
    """One sequence's share of the randomness.

    Attributes:
        sequence: Number of the sequence within the data set.
        settings: The simulation with every per-sequence distribution fixed.
        counters: The counter of each domain's random streams.
    """

    sequence: int
    settings: SimulationT_co
    counters: Mapping[Domain, int]

    def stream(self, domain: Domain, purpose: str = "") -> np.random.Generator:
        """The random numbers of one domain in this sequence."""
        name = f"{domain}.{purpose}" if purpose else domain
        return stream(self.settings.seed, name, self.counters[domain])

    @property
    def pose_group(self) -> int:
        """Number that sequences of the same poses share; see `RandomisationSettings.conditions`."""
        settings = self.settings
        return settings.randomise.pose_group(settings.first_sequence + self.sequence)

    @property
    def condition(self) -> int:
        """Which of the looks of its poses this sequence shows, from 0."""
        return (self.settings.first_sequence + self.sequence) % self.settings.randomise.conditions

    def record(self) -> dict[str, Any]:
        """Plain values for JSON; as settings they draw the same sequence again."""
        groups = _groups(self.settings)
        return {
            "sequence": self.settings.first_sequence + self.sequence,
            "seed": self.settings.seed,
            "counters": dict(self.counters),
            "settings": self.settings.model_dump(mode="json", include={*groups, "organs"}),
        }


def draw_sequence(settings: SimulationT, sequence: int) -> Draw[SimulationT]:
    """Fix everything that a sequence draws once, each parameter from its own stream."""
    counters = settings.randomise.counters(settings.first_sequence + sequence, settings.domains)
    fixed: dict[str, Any] = {
        domain: drawn(getattr(settings, domain), settings.seed, domain, counters[domain])
        for domain in _groups(settings)
    }
    return Draw(sequence, settings.model_copy(update=fixed), counters)


def _groups(settings: Settings) -> list[Domain]:
    """The domains that this simulator's settings have as a group of their own."""
    return [domain for domain in DOMAINS if isinstance(getattr(settings, domain, None), Settings)]
