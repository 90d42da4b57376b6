# SPDX-License-Identifier: Apache-2.0
"""The trunk of a phantom: outline, skin, fat, the muscles of the wall, diaphragm and lungs.

World: +x to the patient's right, +y front, +z head; the origin lies before the third lumbar
vertebra. Sizes are those of an adult; `Build` stretches them.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from endoforge.scene.anatomy.abdomen.volumes import Axes
from endoforge.scene.volume.canvas import Canvas, Part, along, capsule, oval
from endoforge.scene.volume.scanner import enlarged
from endoforge.scene.volume.tissue import Tissue

#: Height, and half width, front and back as a share of those at the navel.
_OUTLINE = np.array(
    [
        (-185, 1.06, 0.68, 0.94), (-150, 1.06, 0.76, 0.98), (-110, 1.06, 0.90, 0.97),
        (-60, 1.02, 0.98, 0.94), (0, 0.97, 1.00, 0.94), (60, 0.96, 1.02, 0.96),
        (120, 0.97, 1.00, 0.98), (185, 0.95, 0.94, 0.98),
    ]
)  # fmt: skip
#: Angle from the front and the thickness of the muscular wall there, mm.
_WALL = np.array(
    [
        (0.0, 2.5), (0.03, 2.5), (0.06, 10), (0.36, 10), (0.43, 4), (0.49, 6), (0.65, 17),
        (1.55, 18), (2.1, 11), (2.5, 6), (3.15, 5),
    ]
)  # fmt: skip
#: Angle from the front and the fat under the skin as a share of that in front.
_FAT = np.array([(0.0, 1.0), (0.8, 0.8), (1.57, 0.75), (2.2, 1.1), (2.7, 0.8), (3.15, 0.35)])
#: Middle of the vertebral bodies by height, mm.
_SPINE = np.array(
    [(-200, -56), (-160, -76), (-125, -68), (-95, -48), (-65, -33), (-25, -27), (20, -30),
     (70, -37), (120, -46), (200, -52)]
)  # fmt: skip

#: Back of the chest against the middle of the vertebral bodies by the way from the midline, mm.
_BACK = np.array([(0.0, -13), (20, -14), (34, -32), (58, -42), (80, -42), (100, -60), (170, -220)])
_SKIN_MM = 1.8
_SLAB = 16


@dataclass(frozen=True)
class Build:
    """A patient's size.

    Attributes:
        wide: Half the width at the navel against 160 mm.
        deep: Half the depth at the navel against 110 mm.
        fat_mm: Fat under the skin in front.
        seed: Of what varies from patient to patient.
    """

    wide: float
    deep: float
    fat_mm: float
    seed: int

    def at(self, x: float, y: float, z: float) -> Float[np.ndarray, "3"]:
        """A place in a patient of this size, given that in a patient of usual size."""
        return np.array([x * self.wide, y * self.deep, z])

    def spine_y(self, z: float | Float[np.ndarray, "*any"]) -> Float32[np.ndarray, "*any"]:
        """How far back the middle of the vertebral bodies lies at a height, mm."""
        smooth = np.interp(np.asarray(z), _SPINE[:, 0], _SPINE[:, 1])
        return np.asarray(smooth * self.deep, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Trunk:
    """Distances that organs are cut to.

    Attributes:
        skin_mm: Depth under the skin of each voxel, negative outside.
        room_mm: Distance to the inner side of the wall, negative inside.
    """

    skin_mm: Float32[np.ndarray, "i j k"]
    room_mm: Float32[np.ndarray, "i j k"]


def draw_trunk(canvas: Canvas, build: Build, tissue: Tissue) -> Trunk:
    """Paint skin, fat and wall; what is within is fat."""
    far = canvas.far_mm
    _, (x, y, z) = canvas.box((-far, -far, -far), (far, far, far))
    trunk = Trunk(np.empty_like(canvas.hu), np.empty_like(canvas.hu))

    def slab(first: int) -> None:
        part = slice(first, first + _SLAB)
        axes = x[part], y, z
        skin, fat, wall = _layers(axes, build)
        trunk.skin_mm[part] = skin
        under = skin - fat
        trunk.room_mm[part] = np.maximum(wall - under, _behind(axes, build))
        layers = skin, under, wall, trunk.room_mm[part]
        canvas.hu[part] = _wall_hu(layers, tissue, canvas.step_mm)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(slab, range(0, canvas.hu.shape[0], _SLAB)))
    return trunk


def _layers(axes: Axes, build: Build) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth under the skin, thickness of skin with fat, and of the wall, mm."""
    x, y, z = axes
    skin = _depth(axes, build)
    angle = np.arctan2(np.abs(x) / (160 * build.wide), y / (110 * build.deep))
    hips = np.clip((-70.0 - z) / 60.0, 0.0, 1.0)
    chest = np.clip((z - 40.0) / 50.0, 0.0, 1.0)
    under = _lerp(angle, _FAT) * np.float32(build.fat_mm)
    fat = under * (1 + 0.5 * hips * (angle > 1.2)) + np.float32(_SKIN_MM)
    wall = _lerp(angle, _WALL) * np.float32(build.wide)
    return skin, fat, wall + chest * (np.minimum(wall, 12.0) - wall)


def _lerp(
    at: Float32[np.ndarray, "*any"], table: Float[np.ndarray, "rows columns"], column: int = 1
) -> Float32[np.ndarray, "*any"]:
    return np.asarray(np.interp(at, table[:, 0], table[:, column]), dtype=np.float32)


def _behind(axes: Axes, build: Build) -> Float32[np.ndarray, "i j k"]:
    """Distance to the back of the chest, which the muscles along the spine lie on, mm."""
    x, y, z = axes
    away = np.clip((32.0 - z) / 30.0, 0.0, 1.0) * np.float32(90.0)  # below the chest
    back = build.spine_y(z) + _lerp(np.abs(x) / np.float32(build.wide), _BACK) - away
    return np.asarray(0.9 * (back - y), dtype=np.float32)


def _wall_hu(
    layers: tuple[np.ndarray, ...], tissue: Tissue, step_mm: float
) -> Float32[np.ndarray, "i j k"]:
    """Air, skin, fat, muscle in layers with fat between them, fat."""
    skin, under, wall, room = layers
    step = np.float32(step_mm)
    hu = tissue.air + np.clip(skin / step + 0.5, 0.0, 1.0) * np.float32(tissue.skin - tissue.air)
    hu += np.clip((skin - _SKIN_MM) / step + 0.5, 0, 1) * np.float32(tissue.fat - tissue.skin)
    meat = np.clip(under / step + 0.5, 0, 1) * np.clip(room / step + 0.5, 0, 1)
    for share in (0.36, 0.68):
        gap = np.clip((0.7 - np.abs(under - share * wall)) / step + 0.5, 0, 0.8)
        meat *= 1.0 - (wall > 13.0) * gap
    return np.asarray(hu + meat * np.float32(tissue.muscle - tissue.fat), dtype=np.float32)


def _depth(axes: Axes, build: Build) -> Float32[np.ndarray, "i j k"]:
    """Depth under the skin, mm; the outline lies between an ellipse and a rounder box."""
    x, y, z = axes
    wide = _lerp(z, _OUTLINE, 1) * np.float32(160 * build.wide)
    front = _lerp(z, _OUTLINE, 2) * np.float32(110 * build.deep)
    back = _lerp(z, _OUTLINE, 3) * np.float32(110 * build.deep)
    square = (x / wide) ** 2
    other = (y / np.where(y < 0, back, front)) ** 2
    reach = 0.55 * np.sqrt(square + other) + 0.45 * np.sqrt(np.sqrt(square**2 + other**2))
    furrow = 5.0 * np.exp(-((x / 14.0) ** 2)) * (y < 0)  # along the spine
    out = np.sqrt(x**2 + y**2 + 1.0)
    return np.asarray(out / np.maximum(reach, 1e-3) - out - furrow, dtype=np.float32)


def draw_muscles(canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue) -> None:
    """Paint the muscles of the back, the loins and the hips."""
    for side, name in ((1.0, "right"), (-1.0, "left")):
        heights = np.linspace(-110.0, 185.0, 24)
        size = np.interp(heights, [-110, -70, 0, 80, 185], [8, 20, 26, 22, 17])
        back = build.spine_y(heights) - 36 - 0.15 * size
        # two columns beside the spine, the inner one nearer to it
        for out, less in ((20.0, 0.8), (42.0, 0.82)):
            points = np.stack([np.full(24, side * out * build.wide), back, heights], axis=1)
            part, _, distance = canvas.tube(points, size * less)
            distance = np.maximum(distance, build.fat_mm * 0.6 + 2.5 - trunk.skin_mm[part])
            canvas.paint(part, canvas.share(distance), tissue.muscle - 4, f"autochthon_{name}")
        points = along(
            [
                (side * 24, float(build.spine_y(90)) + 2, 92),
                (side * 30, float(build.spine_y(40)) - 4, 45),
                (side * 40, float(build.spine_y(0)) - 2, 0),
                (side * 47, float(build.spine_y(-50)) + 6, -50),
                (side * 64 * build.wide, -12, -95),
                (side * 80 * build.wide, 20, -135),
                (side * 88 * build.wide, 30, -185),
            ]
        )
        radius = np.interp(
            np.linspace(0, 1, len(points)), [0, 0.25, 0.5, 0.8, 1], [5, 13, 18, 18, 13]
        )
        part, axes, distance = canvas.tube(points, radius)
        waves = np.sin(axes[0] / 6.0 + side) * np.cos(axes[1] / 5.0) * np.cos(axes[2] / 23.0)
        canvas.paint(part, canvas.share(distance + 2.5 * waves), tissue.muscle, f"iliopsoas_{name}")
        points = along(
            [(side * 62, float(build.spine_y(z)) - 14, z) for z in (75, 40, 0, -35)]
        ) * np.array([build.wide, 1, 1])
        canvas.vessel(points, np.linspace(6, 12, len(points)), tissue.muscle)
        _hip_muscles(canvas, build, trunk, tissue, side, name)


def _hip_muscles(
    canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue, side: float, name: str
) -> None:
    for organ, middle, radii in (
        (f"iliopsoas_{name}", (88, -20, -88), (20, 22, 44)),
        ("", (66, -16, -158), (13, 30, 34)),  # obturator internus
        (f"gluteus_medius_{name}", (112, -28, -105), (26, 44, 62)),
        (f"gluteus_maximus_{name}", (74, -84, -140), (54, 26, 66)),
        (f"gluteus_minimus_{name}", (104, -4, -140), (30, 34, 40)),
    ):
        place = build.at(side * middle[0], middle[1], middle[2])
        part, axes = canvas.box(place - np.array(radii) - 3, place + np.array(radii) + 3)
        distance = oval(axes, place, radii)
        distance = np.maximum(distance, build.fat_mm * 1.05 + 2 - trunk.skin_mm[part])
        canvas.paint(part, canvas.share(distance), tissue.muscle, organ or None)


def diaphragm(axes: Axes, build: Build) -> Float32[np.ndarray, "i j 1"]:
    """Height of the underside of the lungs over each place, mm."""
    x, y = axes[0] / build.wide, axes[1] / build.deep
    right = 146.0 - 0.0105 * (x - 66) ** 2 - 0.0115 * (y - 6) ** 2
    left = 132.0 - 0.0105 * (x + 72) ** 2 - 0.0115 * (y - 2) ** 2
    middle = 128.0 - 0.006 * x**2 - 0.02 * (y - 10) ** 2
    return np.asarray(np.maximum(np.maximum(right, left), middle), dtype=np.float32)


def under_diaphragm(axes: Axes, build: Build, gap_mm: float = 2.5) -> Float32[np.ndarray, "i j k"]:
    """Distance to the underside of the diaphragm, negative below it, mm."""
    return np.asarray((axes[2] - diaphragm(axes, build) + gap_mm) * 0.75, dtype=np.float32)


def draw_chest(canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue) -> None:
    """Paint lungs, their vessels, the diaphragm, and the heart's underside."""
    rng = np.random.default_rng((build.seed, 1))
    wide = 150.0 * build.wide
    whole, _ = canvas.box((-wide, -wide, 20.0), (wide, wide, canvas.far_mm))
    cloud = np.zeros_like(canvas.hu[whole])
    cloud += _cloud(rng, cloud.shape, 12.0 / canvas.step_mm, 25.0)

    def slab(first: int) -> None:
        part = (slice(first, min(first + _SLAB, whole[0].stop)), whole[1], whole[2])
        start = first - whole[0].start
        _chest_slab(canvas, (build, trunk, tissue), part, cloud[start : start + _SLAB])

    for name in ("right", "left"):
        canvas.numbers.of(f"lung_lower_lobe_{name}")
    canvas.numbers.of("heart")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(slab, range(whole[0].start, whole[0].stop, _SLAB)))
    _lung_vessels(canvas, build, tissue, rng)


def _chest_slab(
    canvas: Canvas,
    patient: tuple[Build, Trunk, Tissue],
    part: Part,
    cloud: Float32[np.ndarray, "i j k"],
) -> None:
    build, trunk, tissue = patient
    axes = canvas.axes_of(part)
    over = -under_diaphragm(axes, build, 0.0)
    room = trunk.room_mm[part] + 2.5
    heart = _mediastinum(axes, build)
    above = np.maximum(over, np.maximum(room, -heart))
    canvas.paint(part, canvas.share(above - 2.5), tissue.muscle)
    hu = tissue.lung - 0.35 * axes[1] + cloud
    for side, name in ((1, "right"), (-1, "left")):
        half = np.maximum(above, np.float32(-side) * axes[0])
        canvas.paint(part, canvas.share(half), hu, f"lung_lower_lobe_{name}")
    canvas.paint(part, canvas.share(np.maximum(heart, room)), tissue.inner_fat)
    for middle, radii, blood in (
        ((-22, 34, 190), (62, 46, 52), 0.75 * tissue.heart),
        ((-40, 26, 192), (32, 30, 42), tissue.artery),
        ((8, 44, 190), (26, 26, 42), tissue.vein),
    ):
        inner = np.maximum(oval(axes, build.at(*middle), radii), room)
        canvas.paint(part, canvas.share(inner), blood, "heart")


def _mediastinum(axes: Axes, build: Build) -> Float32[np.ndarray, "i j k"]:
    heart = oval(axes, build.at(-20, 34, 188), (72, 54, 60))
    spine = np.asarray(
        np.hypot(axes[0] / 1.2, axes[1] - build.spine_y(axes[2]) - 12) - 26, dtype=np.float32
    )
    return np.asarray(np.minimum(heart, spine))


def _lung_vessels(canvas: Canvas, build: Build, tissue: Tissue, rng: np.random.Generator) -> None:
    far = canvas.far_mm
    for side in (1.0, -1.0):
        for _ in range(140):
            start = build.at(
                side * rng.uniform(35, 110), rng.uniform(-80, 60), rng.uniform(95, far)
            )
            way = start - build.at(side * 30, -5, 215)
            points = np.stack([start, start + way / np.linalg.norm(way) * rng.uniform(8, 26)])
            size = rng.uniform(0.5, 1.9)
            part, axes = canvas.box(points.min(axis=0) - 4, points.max(axis=0) + 4)
            if min(p.stop - p.start for p in part) == 0:
                continue
            share = canvas.share(capsule(axes, points, np.array([size, 0.6 * size])))
            share *= canvas.hu[part] < -600.0
            under = canvas.hu[part]
            under += share * (np.float32(tissue.lung_vessel) - under)


def _cloud(
    rng: np.random.Generator, shape: tuple[int, ...], voxels: float, hu: float
) -> Float32[np.ndarray, "i j k"]:
    """Slow random change over about as many voxels, of that standard deviation."""
    few = [max(int(n / voxels), 2) + 1 for n in shape]
    coarse = np.asarray(rng.standard_normal(few, dtype=np.float32) * np.float32(hu))
    return np.asarray(enlarged(coarse, shape))
