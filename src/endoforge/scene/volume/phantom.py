# SPDX-License-Identifier: Apache-2.0
"""A synthetic CT of an abdomen, drawn from rules: no patient, no file, any number of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import Choice, draw
from endoforge.scene.volume.canvas import Canvas
from endoforge.scene.volume.phantom_body import Build, draw_chest, draw_muscles, draw_trunk
from endoforge.scene.volume.phantom_bones import draw_bones
from endoforge.scene.volume.phantom_bowel import (
    BowelDraw,
    draw_colon,
    draw_small_bowel,
    sample_bowel,
)
from endoforge.scene.volume.phantom_organs import draw_organs
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.phantom_vessels import draw_great_vessels, draw_gut_vessels
from endoforge.scene.volume.records import CtVolume
from endoforge.scene.volume.scanner import Scan, sample_scan, scanned
from endoforge.scene.volume.tissue import PLAIN, PORTAL_VENOUS


@dataclass(frozen=True, eq=False)
class PhantomDraw:
    """Everything random about a phantom.

    Attributes:
        build: The patient's size.
        contrast: Contrast in the blood.
        bowel: The colon and what is in it.
        scan: How it is scanned.
    """

    build: Build
    contrast: Literal["portal-venous", "none"]
    bowel: BowelDraw
    scan: Scan


def phantom(settings: PhantomSettings, rng: np.random.Generator) -> CtVolume:
    """Draw a synthetic CT.

    Args:
        settings: Ranges to draw from, and the grid.
        rng: Random numbers of this one phantom.

    Returns:
        The CT with the organs as they were drawn; numbers and names are TotalSegmentator's.
    """
    return shape_phantom(sample_phantom(settings, rng), settings)


def sample_phantom(settings: PhantomSettings, rng: np.random.Generator) -> PhantomDraw:
    """Draw everything random about a phantom."""
    build = Build(
        wide=draw(settings.half_width_mm, rng) / 160.0,
        deep=draw(settings.half_depth_mm, rng) / 110.0,
        fat_mm=draw(settings.skin_fat_mm, rng),
        seed=int(rng.integers(2**31)),
    )
    contrast = settings.contrast
    return PhantomDraw(
        build=build,
        contrast=contrast.pick(rng) if isinstance(contrast, Choice) else contrast,
        bowel=sample_bowel(settings, build, rng),
        scan=sample_scan(settings.scanner, rng),
    )


def shape_phantom(drawn: PhantomDraw, settings: PhantomSettings) -> CtVolume:
    """Turn a drawn phantom into a CT; no randomness is left."""
    shape = (settings.voxels,) * 3
    canvas = Canvas(
        hu=np.empty(shape, np.float32),
        organs=np.zeros(shape, np.uint8),
        step_mm=settings.extent_mm / settings.voxels,
    )
    _draw_patient(canvas, drawn)
    hu = scanned(canvas.hu, canvas.step_mm, drawn.scan)
    return CtVolume(
        hu=hu,
        world_from_voxel=_placed(canvas),
        organs=canvas.organs,
        organ_names=dict(sorted(canvas.numbers.names.items())),
        provenance=_provenance(drawn),
    )


def _draw_patient(canvas: Canvas, drawn: PhantomDraw) -> None:
    """Paint from the outside inwards, and in front what lies in front."""
    tissue = PLAIN if drawn.contrast == "none" else PORTAL_VENOUS
    build = drawn.build
    trunk = draw_trunk(canvas, build, tissue)
    draw_muscles(canvas, build, trunk, tissue)
    draw_chest(canvas, build, trunk, tissue)
    draw_bones(canvas, build, trunk, tissue)
    draw_great_vessels(canvas, build, tissue)
    draw_gut_vessels(canvas, build, tissue)
    draw_organs(canvas, build, trunk, tissue)
    draw_small_bowel(canvas, build, trunk, drawn.bowel, tissue)
    draw_colon(canvas, build, drawn.bowel, tissue)


def _placed(canvas: Canvas) -> Float64[np.ndarray, "4 4"]:
    affine = np.diag([canvas.step_mm] * 3 + [1.0])
    affine[:3, 3] = -0.5 * canvas.step_mm * (np.array(canvas.hu.shape) - 1)
    return affine


def _provenance(drawn: PhantomDraw) -> dict[str, str]:
    scan = drawn.scan
    return {
        "source": "synthetic phantom, drawn from rules",
        "licence": "Apache-2.0, as the program",
        "contrast": drawn.contrast,
        "kernel": scan.kernel,
        "noise_hu": f"{scan.noise_hu:.1f}",
        "slice_thickness_mm": f"{scan.slice_mm:.2f}",
    }
