# SPDX-License-Identifier: Apache-2.0
"""How a colon moves by itself: rings of contraction that travel, haustra that tighten, gas, breath.

Every point of the surface, whatever it belongs to, is drawn towards its place on the centre line by
a factor that depends on that place and the frame, and the whole sways. `sample_motility` draws the
numbers; `Peristalsis` is a pure function of them. The factor is never below the settings' least
calibre, so nothing that moves can cross the centre line or anything else.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64
from scipy.ndimage import minimum_filter1d

from endoforge.distributions import draw
from endoforge.scene.anatomy.attachment import attach
from endoforge.scene.anatomy.curves import arc_length
from endoforge.scene.anatomy.findings_settings import MotilitySettings
from endoforge.scene.records import Centreline, Surface

_TABLE_MM = 1.0
_HAUSTRUM_MM = (22.0, 40.0)
_CUT = 4.0  # ring widths after which a ring has ended
_BESIDE = 1.5  # radii to either side whose narrowing the room at a place feels


@dataclass(frozen=True, eq=False)
class Motility:
    """Everything random about a colon's own movement; times in frames.

    Attributes:
        length_mm: Of the centre line.
        least: The factor's lower end.
        ring_start_mm: Place of each ring at frame 0.
        ring_speed_mm: Its way per frame, positive towards the caecum.
        ring_width_mm: Its standard deviation along the line.
        ring_depth: Its narrowing as a share of the radius.
        haustrum_mm: Middle of each haustrum.
        haustrum_width_mm: Its standard deviation along the line.
        haustrum_depth: Its narrowing.
        haustrum_turn: Angular frequency, rad/frame.
        haustrum_phase: Radians.
        inflation: Change of calibre by gas, share.
        inflation_turn: Angular frequency and phase.
        sway_mm: Amplitudes of breathing and pulse, as vectors in the world.
        sway_turn: Their angular frequencies, rad/frame.
        sway_phase: Their phases.
    """

    length_mm: float
    least: float
    ring_start_mm: Float64[np.ndarray, "rings"]
    ring_speed_mm: Float64[np.ndarray, "rings"]
    ring_width_mm: Float64[np.ndarray, "rings"]
    ring_depth: Float64[np.ndarray, "rings"]
    haustrum_mm: Float64[np.ndarray, "haustra"]
    haustrum_width_mm: Float64[np.ndarray, "haustra"]
    haustrum_depth: Float64[np.ndarray, "haustra"]
    haustrum_turn: Float64[np.ndarray, "haustra"]
    haustrum_phase: Float64[np.ndarray, "haustra"]
    inflation: float
    inflation_turn: tuple[float, float]
    sway_mm: Float64[np.ndarray, "2 3"]
    sway_turn: Float64[np.ndarray, "2"]
    sway_phase: Float64[np.ndarray, "2"]


def sample_motility(
    settings: MotilitySettings, length_mm: float, rng: np.random.Generator
) -> Motility:
    """Draw how a colon of a length moves by itself."""
    pace = 1.0 / draw(settings.frames_per_second, rng)  # seconds per frame
    rings = int(draw(settings.rings_per_metre, rng) * length_mm / 1000.0 + rng.random())
    backward = rng.random(rings) < draw(settings.backward_share, rng)
    speed = draw(settings.ring_speed_mm, rng) * rng.uniform(0.8, 1.25, rings) * pace
    edges = np.cumsum(rng.uniform(*_HAUSTRUM_MM, int(length_mm / _HAUSTRUM_MM[0]) + 2))
    haustra = edges[edges < length_mm + 20.0] - 10.0
    per_frame = 2 * np.pi * pace / 60.0
    rhythm = draw(settings.haustral_per_minute, rng) * rng.uniform(0.7, 1.4, len(haustra))
    breath, beat = draw(settings.breathing_mm, rng), draw(settings.heartbeat_mm, rng)
    return Motility(
        length_mm=length_mm,
        least=settings.least_calibre,
        ring_start_mm=rng.uniform(0.0, length_mm, rings),
        ring_speed_mm=np.where(backward, speed, -speed),
        ring_width_mm=draw(settings.ring_width_mm, rng) * rng.uniform(0.8, 1.25, rings),
        ring_depth=draw(settings.ring_depth, rng) * rng.uniform(0.6, 1.0, rings),
        haustrum_mm=haustra,
        haustrum_width_mm=rng.uniform(8.0, 13.0, len(haustra)),
        haustrum_depth=draw(settings.haustral_depth, rng) * rng.uniform(0.2, 1.0, len(haustra)),
        haustrum_turn=per_frame * rhythm,
        haustrum_phase=rng.uniform(0, 2 * np.pi, len(haustra)),
        inflation=draw(settings.inflation, rng),
        inflation_turn=(
            2 * np.pi * pace / draw(settings.inflation_s, rng),
            float(rng.uniform(0, 2 * np.pi)),
        ),
        sway_mm=np.stack([breath * _direction(rng, 0.35), beat * _direction(rng, 1.0)]),
        sway_turn=per_frame
        * np.array([draw(settings.breaths_per_minute, rng), draw(settings.beats_per_minute, rng)]),
        sway_phase=rng.uniform(0, 2 * np.pi, 2),
    )


def _direction(rng: np.random.Generator, spread: float) -> Float64[np.ndarray, "3"]:
    """A unit vector around the way to the head."""
    vector = np.array([0.0, 0.0, 1.0]) + spread * rng.normal(0.0, 1.0, 3)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)


def radius_scale(
    motility: Motility, frame: int, arc_mm: Float[np.ndarray, "*places"]
) -> Float64[np.ndarray, "*places"]:
    """Radius at a frame as a share of the radius at rest.

    Contractions add up to D; the share is least + (1 - least) (exp(-D / (1 - least)) + gas), which
    is 1 - D for small D, smooth, and always above `Motility.least`.

    Args:
        motility: The draw.
        frame: Any whole number.
        arc_mm: Places along the centre line.
    """
    m, places = motility, np.asarray(arc_mm, dtype=np.float64)[..., None]
    margin = _CUT * m.ring_width_mm  # rings leave at one end and come in again at the other
    span = m.length_mm + 2 * margin
    at = (m.ring_start_mm + margin + m.ring_speed_mm * frame) % span - margin
    rings = m.ring_depth * np.exp(-0.5 * ((places - at) / m.ring_width_mm) ** 2)
    tight = 0.5 - 0.5 * np.cos(m.haustrum_turn * frame + m.haustrum_phase)
    bumps = np.exp(-0.5 * ((places - m.haustrum_mm) / m.haustrum_width_mm) ** 2)
    narrowing = rings.sum(axis=-1) + (m.haustrum_depth * tight * bumps).sum(axis=-1)
    free = 1.0 - m.least
    gas = m.inflation / free * np.sin(m.inflation_turn[0] * frame + m.inflation_turn[1])
    return np.asarray(m.least + free * np.exp(-narrowing / free) * (1.0 + gas))


def sway(motility: Motility, frame: int) -> Float64[np.ndarray, "3"]:
    """Way of the whole colon from its rest at a frame, mm."""
    turn = np.sin(motility.sway_turn * frame + motility.sway_phase)
    return np.asarray(turn @ motility.sway_mm, dtype=np.float64)


class Peristalsis:
    """The motion of everything in one colon: wall, polyps, fluid and stool."""

    def __init__(self, surface: Surface, centreline: Centreline, motility: Motility) -> None:
        """Find each vertex's place on the centre line.

        Args:
            surface: All tissue at rest; a drawn colon, a patient's or a mesh from a file.
            centreline: The line through it at rest.
            motility: The draw.
        """
        self.motility = motility
        self._centreline = centreline
        self._rest = surface.vertices_mm
        self._attachment = attach(surface.vertices_mm, centreline)
        self._arc_mm = np.arange(0.0, motility.length_mm + _TABLE_MM, _TABLE_MM)

    @property
    def moving(self) -> Bool[np.ndarray, "vertices"]:
        """True for every vertex, unless the draw holds no movement at all."""
        m = self.motility
        some = max(m.ring_depth.max(initial=0), m.haustrum_depth.max(initial=0), m.inflation)
        moves = bool(some > 0 or np.any(m.sway_mm))
        return np.full(len(self._rest), moves)

    def vertices_at(self, frame: int) -> Float32[np.ndarray, "vertices 3"]:
        """World positions of all vertices at a frame, mm; a pure function of its number."""
        table = radius_scale(self.motility, frame, self._arc_mm)
        scale = np.interp(self._attachment.arc_mm, self._arc_mm, table)
        moved = self._attachment.anchor_mm + scale[:, None] * self._attachment.out_mm
        return np.asarray(moved + sway(self.motility, frame), dtype=np.float32)

    def radius_scale_at(
        self, frame: int, arc_mm: Float[np.ndarray, "*places"]
    ) -> Float64[np.ndarray, "*places"]:
        """Radius at a frame as a share of the radius at rest, at places along the centre line."""
        return radius_scale(self.motility, frame, arc_mm)

    def centreline_at(self, frame: int) -> Centreline:
        """The centre line at a frame, with the room that is left around it."""
        arc = arc_length(self._centreline.points_mm)
        scale = self._narrowed(radius_scale(self.motility, frame, arc))
        return Centreline(
            points_mm=self._centreline.points_mm + sway(self.motility, frame),
            radius_mm=scale * self._centreline.radius_mm,
        )

    def safe_centreline(self, frames: int) -> Centreline:
        """The centre line at rest with the room that is there at every frame of a sequence.

        A camera that keeps to this room touches nothing, whatever the colon does: the ball around
        a place that holds no tissue at rest shrinks by no more than the narrowing beside it.

        Args:
            frames: Number of frames; the two before and after are counted in.
        """
        arc = arc_length(self._centreline.points_mm)
        numbers = range(-1, frames + 2)
        scale = np.min([radius_scale(self.motility, k, arc) for k in numbers], axis=0)
        most = max(float(np.linalg.norm(sway(self.motility, k))) for k in numbers)
        radius = np.minimum(self._narrowed(scale), 1.0) * self._centreline.radius_mm
        return Centreline(self._centreline.points_mm, np.maximum(radius - most, 0.0))

    def _narrowed(self, scale: Float64[np.ndarray, "points"]) -> Float64[np.ndarray, "points"]:
        """The narrowest nearby."""
        points = self._centreline.points_mm
        step = self._centreline.length_mm / max(len(points) - 1, 1)
        size = 2 * int(_BESIDE * np.median(self._centreline.radius_mm) / step) + 1
        return np.asarray(minimum_filter1d(scale, size, mode="nearest"), dtype=np.float64)
