# SPDX-License-Identifier: Apache-2.0
"""How light travels in one sequence, as a record that was drawn from the settings."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from endoforge.distributions import draw
from endoforge.geometry.cameras import Camera, PinholeCamera
from endoforge.render.parameters import Numbers, Pose, origin_of
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

    def for_sharp_labels(self, labels: frozenset[str]) -> "Transport":
        """The same for the sharp centre rays: without bounces where only the blur shows them."""
        seen = not self.blurs or labels & {"clean", "shading", "specular"}
        return self if seen else replace(self, bounces=0)

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
    """How many paths there are, and their seed; empty without bounces.

    Args:
        transport: How light travels.
        view: Gives the run's seed, the sequence and the frame.
        *counters: Which of several runs for the same frame, e.g. the eye.
    """
    if transport.bounces == 0:
        return {}
    return {
        "bounces": [transport.bounces],
        "samples": [transport.samples],
        "path_seed": _seed(view, "light paths", *counters),
    }


def blur_numbers(
    transport: Transport, camera: Camera, view: View, centre_mm: np.ndarray
) -> dict[str, Numbers]:
    """Entrance pupil and shutter, and the camera's way to its poses before and after.

    The lamps and the second eye ride with the camera of the view.
    """
    here, ahead = view.camera_from_world, view.next_camera_from_world
    later = _way(here, ahead)
    behind = view.previous_camera_from_world
    sooner = tuple(-part for part in later) if behind is None else _way(here, behind)
    return {
        "aperture": [
            transport.aperture_mm / 2,
            transport.focus_mm,
            float(isinstance(camera, PinholeCamera)),
        ],
        "shutter": [transport.shutter],
        "pivot": origin_of(here) - centre_mm,
        "later_turn": later[0],
        "later_shift": later[1],
        "sooner_turn": sooner[0],
        "sooner_shift": sooner[1],
        "blur_seed": _seed(view, "lens and shutter"),
    }


def subsample_numbers(transport: Transport, view: View, eye: int, k: int) -> dict[str, Numbers]:
    """What one place in lens and shutter has of its own; the paths are shared out among all."""
    before, after = (n * transport.samples // transport.subsamples for n in (k, k + 1))
    samples = after - before
    paths = path_numbers(replace(transport, samples=samples), view, eye, k + 1)
    return {**paths, "subsample": [k, transport.subsamples]}


def _way(here: Pose, there: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Turn (axis times angle) and shift of a camera in the world from one pose to another."""
    turn = Rotation.from_matrix(there[:3, :3].T @ here[:3, :3]).as_rotvec()
    return turn, origin_of(there) - origin_of(here)


def _seed(view: View, purpose: str, *counters: int) -> np.ndarray:
    """A seed of the frame's own in two halves, as floats can hold them."""
    rng = stream(view.seed, purpose, view.sequence, view.index, *counters)
    return rng.integers(_HALF, size=2)
