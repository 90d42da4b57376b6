# SPDX-License-Identifier: Apache-2.0
"""What a lane carries from step to step: its ray, its path, and what its paths have brought.

Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render.numbers import Numbers
from endoforge.render.volume.chance import Chance
from endoforge.render.volume.eye import Eye
from endoforge.render.volume.flight import Ray
from endoforge.render.volume.lights import Lights
from endoforge.render.volume.matter import Medium

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


@dataclass
class Path:
    """What a lane knows of the path that it follows.

    Attributes:
        weight: Light that still arrives per light at the path's end.
        light: Found so far.
        bounce: Collisions so far.
        shadow: True while the lane asks a lamp.
        pending: Light that arrives if the way to that lamp is free.
        toward: Where the path goes on afterwards.
        drawn: How densely that direction was drawn, 1/sr.
        share: One over the sum of all sources' weights at the last collision.
    """

    weight: Any
    light: Any
    bounce: Any
    shadow: Any
    pending: Any
    toward: Any
    drawn: Any
    share: Any


@dataclass
class Sums:
    """What the paths of a lane's present pixel have brought.

    Attributes:
        light: Sum of radiance.
        squares: Sum of its squares.
        albedo: Sum of the albedo at first collisions.
        pixel: Which pixel it is, of those that the lens sees.
        path: How many of its paths are finished.
    """

    light: Any
    squares: Any
    albedo: Any
    pixel: Any
    path: Any


@dataclass
class Lane:
    """Everything that a lane carries from step to step."""

    ray: Ray
    path: Path
    sums: Sums
    random: Chance


@dataclass(frozen=True, eq=False)
class World:
    """What all lanes share.

    Attributes:
        medium: Volume and transfer function.
        eye: The lens.
        lights: All light.
        numbers: Of the frame.
        sums: Where finished pixels are written: nine floats each, as in `Sums`.
    """

    medium: Medium
    eye: Eye
    lights: Lights
    numbers: Numbers
    sums: Any

    @property
    def weighs(self) -> bool:
        """True where light is found in two ways that are weighed against each other."""
        return self.lights.disks > 0 or self.lights.sky == "map"


def new_path() -> Path:
    """A path that has not met anything yet."""
    return Path(
        weight=mi.Color3f(1),
        light=mi.Color3f(0),
        bounce=mi.UInt32(0),
        shadow=mi.Bool(False),
        pending=mi.Color3f(0),
        toward=mi.Vector3f(0),
        drawn=mi.Float(0),
        share=mi.Float(0),
    )
