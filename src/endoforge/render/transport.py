# SPDX-License-Identifier: Apache-2.0
"""How light travels in one sequence, as a record that was drawn from the settings."""

from dataclasses import dataclass

import numpy as np

from endoforge.distributions import draw
from endoforge.render.parameters import Numbers
from endoforge.render.settings import DenoiseMethod, TransportSettings
from endoforge.render.view import View
from endoforge.streams import stream

_HALF = 1 << 16


@dataclass(frozen=True)
class Transport:
    """Light over several walls, lens and shutter; the names are those of the settings.

    Attributes:
        bounces: Most walls that light may visit before the one in view; 0 for none.
        samples: Paths per pixel.
        denoise: How the indirect light is smoothed.
        aperture_mm: Diameter of the entrance pupil, mm.
        focus_mm: Distance in focus, mm.
        shutter: Share of the time between two frames for which the shutter is open.
        subsamples: Places in lens and shutter per pixel.
    """

    bounces: int = 0
    samples: int = 4
    denoise: DenoiseMethod = "guided"
    aperture_mm: float = 0.0
    focus_mm: float = 20.0
    shutter: float = 0.0
    subsamples: int = 16

    @property
    def blurs(self) -> bool:
        """True when the lens or the shutter blurs the picture."""
        return self.aperture_mm > 0 or self.shutter > 0


def sample_transport(settings: TransportSettings, rng: np.random.Generator) -> Transport:
    """Draw lens and shutter of one sequence."""
    return Transport(
        bounces=settings.bounces,
        samples=settings.samples,
        denoise=settings.denoise,
        aperture_mm=draw(settings.aperture_mm, rng),
        focus_mm=draw(settings.focus_mm, rng),
        shutter=draw(settings.shutter, rng),
        subsamples=settings.subsamples,
    )


def path_numbers(transport: Transport, view: View, *counters: int) -> dict[str, Numbers]:
    """How many paths there are, and a seed of the frame's own in two halves, as floats hold them.

    Empty without bounces.

    Args:
        transport: How light travels.
        view: Gives the run's seed, the sequence and the frame.
        *counters: Which of several runs for the same frame, e.g. the eye.
    """
    if transport.bounces == 0:
        return {}
    rng = stream(view.seed, "light paths", view.sequence, view.index, *counters)
    return {
        "bounces": [transport.bounces],
        "samples": [transport.samples],
        "path_seed": rng.integers(_HALF, size=2),
    }
