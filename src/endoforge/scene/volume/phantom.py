# SPDX-License-Identifier: Apache-2.0
"""A synthetic CT of an abdomen, drawn from rules: no patient, no file, any number of them."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import Choice, draw, draw_count
from endoforge.scene.anatomy.abdomen.volumes import Axes, ellipsoid
from endoforge.scene.anatomy.colon import ColonDraw, sample_colon, shape_colon
from endoforge.scene.anatomy.curves import resample, transport_frames
from endoforge.scene.anatomy.findings_settings import PolypSettings
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.volume.canvas import Canvas
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.records import CtVolume
from endoforge.scene.volume.scanner import Scan, sample_scan, scanned
from endoforge.scene.volume.voxelise import filled_share

_AIR = -1000.0


@dataclass(frozen=True, eq=False)
class PhantomDraw:
    """Everything random about a phantom."""

    half_mm: tuple[float, float]
    fat_mm: float
    contrast: bool
    colon: ColonDraw
    colon_settings: ColonSettings
    scan: Scan


def phantom(settings: PhantomSettings, rng: np.random.Generator) -> CtVolume:
    """Draw a synthetic CT.

    Args:
        settings: Ranges to draw from, and the grid.
        rng: Random numbers of this one phantom.

    Returns:
        The CT with the organs as they were drawn; names are TotalSegmentator's where it has one.
    """
    return shape_phantom(sample_phantom(settings, rng), settings)


def sample_phantom(settings: PhantomSettings, rng: np.random.Generator) -> PhantomDraw:
    """Draw everything random about a phantom."""
    contrast = settings.contrast
    contrast = contrast.pick(rng) if isinstance(contrast, Choice) else contrast
    length = draw(settings.colon_length_mm, rng)
    colon = ColonSettings(
        length_mm=length,
        total_length_mm=(length, length),
        start=(0.0, 0.0),
        tortuosity=(0.5, 0.9),
        calibre=settings.colon_calibre,
        fold_thickness_mm=settings.fold_thickness_mm,
        polyps=PolypSettings(count=(draw_count(settings.polyps, rng),) * 2),
        axial_spacing_mm=0.7,
        around_spacing_mm=2.5,
    )
    return PhantomDraw(
        half_mm=(draw(settings.half_width_mm, rng), draw(settings.half_depth_mm, rng)),
        fat_mm=draw(settings.skin_fat_mm, rng),
        contrast=contrast == "portal-venous",
        colon=_fitted(sample_colon(colon, rng)),
        colon_settings=colon,
        scan=sample_scan(settings.scanner, rng),
    )


def _fitted(drawn: ColonDraw) -> ColonDraw:
    """Bend the course of a colon so that it lies within the belly."""
    points = drawn.route.points_mm
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    half = 0.5 * np.ptp(points, axis=0)
    points = (points - middle) * (np.array([108.0, 48.0, 132.0]) / half)
    points = points + np.array([0.0, -14.0, -30.0])
    step = float(np.linalg.norm(np.diff(points, axis=0), axis=1).mean())
    points = resample(points, step)[: len(points)]
    count = len(points)
    cut = replace(
        drawn.route,
        points_mm=points,
        step_mm=drawn.route.step_mm,
        radius_mm=drawn.route.radius_mm[:count],
        place=drawn.route.place[:count],
        frames=transport_frames(points),
    )
    return replace(drawn, route=cut)


def shape_phantom(drawn: PhantomDraw, settings: PhantomSettings) -> CtVolume:
    """Turn a drawn phantom into a CT; no randomness is left."""
    shape = (settings.voxels,) * 3
    canvas = Canvas(
        hu=np.full(shape, _AIR, np.float32),
        organs=np.zeros(shape, np.uint8),
        step_mm=settings.extent_mm / settings.voxels,
    )
    _body(canvas, drawn)
    _organs(canvas, drawn)
    _colon(canvas, drawn)
    hu = scanned(canvas.hu, canvas.step_mm, drawn.scan)
    return CtVolume(
        hu=np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        world_from_voxel=_placed(settings),
        organs=canvas.organs,
        organ_names={number: name for name, number in canvas.numbers.items()},
        provenance={"source": "synthetic phantom, drawn from rules", "licence": "Apache-2.0"},
    )


def _placed(settings: PhantomSettings) -> Float64[np.ndarray, "4 4"]:
    step = settings.extent_mm / settings.voxels
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = -0.5 * step * (settings.voxels - 1)
    return affine


def _body(canvas: Canvas, drawn: PhantomDraw) -> None:
    wide, deep = drawn.half_mm
    far = 0.5 * canvas.step_mm * canvas.hu.shape[0]
    low, high = (-far, -far, -far), (far, far, far)

    def oval(axes: Axes, inset: float) -> np.ndarray:
        x, y, _ = axes
        a, b = wide - inset, deep - inset
        reach = (np.abs(x / a) ** 2.4 + np.abs(y / b) ** 2.4) ** (1 / 2.4)
        return np.asarray((reach - 1.0) * b + 0 * axes[2], dtype=np.float32)

    canvas.draw(low, high, lambda axes: oval(axes, 0.0), 20.0)
    canvas.draw(low, high, lambda axes: oval(axes, 2.0), -100.0)
    canvas.draw(low, high, lambda axes: oval(axes, drawn.fat_mm), 55.0)
    canvas.draw(low, high, lambda axes: oval(axes, drawn.fat_mm + 12.0), -95.0)
    bright = 140.0 if drawn.contrast else 40.0
    for name, x, y, radius, hu in (
        ("spine", 0.0, -0.5 * deep, 21.0, 220.0),
        ("aorta", -12.0, -0.5 * deep + 32.0, 10.0, bright),
        ("inferior_vena_cava", 20.0, -0.5 * deep + 30.0, 11.0, bright - 10.0),
    ):
        canvas.draw(
            (x - 25, y - 25, -far),
            (x + 25, y + 25, far),
            lambda axes, x=x, y=y, r=radius: np.asarray(  # type: ignore[misc]
                np.hypot(axes[0] - x, axes[1] - y) - r + 0 * axes[2], dtype=np.float32
            ),
            hu,
            None if name == "spine" else name,
        )


def _organs(canvas: Canvas, drawn: PhantomDraw) -> None:
    lift = 55.0 if drawn.contrast else 0.0
    for name, middle, radii, hu in (
        ("lung_lower_lobe_right", (70.0, 0.0, 150.0), (62.0, 80.0, 60.0), -860.0),
        ("lung_lower_lobe_left", (-70.0, 0.0, 150.0), (62.0, 80.0, 60.0), -860.0),
        ("liver", (62.0, 5.0, 95.0), (78.0, 80.0, 62.0), 58.0 + lift),
        ("spleen", (-98.0, -28.0, 92.0), (28.0, 45.0, 50.0), 48.0 + lift + 15),
        ("kidney_right", (62.0, -45.0, 30.0), (27.0, 24.0, 54.0), 33.0 + 2.4 * lift),
        ("kidney_left", (-62.0, -45.0, 42.0), (27.0, 24.0, 54.0), 33.0 + 2.4 * lift),
        ("stomach", (-45.0, 40.0, 95.0), (40.0, 32.0, 38.0), -980.0),
        ("urinary_bladder", (0.0, 15.0, -150.0), (40.0, 32.0, 28.0), 8.0),
    ):
        low = tuple(m - r - 3 for m, r in zip(middle, radii, strict=True))
        high = tuple(m + r + 3 for m, r in zip(middle, radii, strict=True))
        canvas.draw(low, high, lambda axes, m=middle, r=radii: ellipsoid(axes, m, r), hu, name)  # type: ignore[misc]


def _colon(canvas: Canvas, drawn: PhantomDraw) -> None:
    """The gas-filled colon with its wall, over whatever lies there."""
    surface = shape_colon(drawn.colon, drawn.colon_settings)[0].surface
    turned = surface.vertices_mm.astype(np.float64) * np.array([-1.0, -1.0, 1.0])
    shape = canvas.hu.shape
    whole = (shape[0], shape[1], shape[2])
    share = filled_share(canvas.index_of(turned), surface.faces[:, ::-1], whole)
    everything = (slice(None), slice(None), slice(None))
    from scipy import ndimage

    near = ndimage.gaussian_filter(share, 1.6 / canvas.step_mm)
    canvas.paint(everything, np.clip(near * 6.0, 0, 1), 40.0, "colon")
    canvas.paint(everything, share, _AIR, "colon")
