# SPDX-License-Identifier: Apache-2.0
"""The trunk of a phantom: outline, skin, fat, the muscles of the wall, diaphragm and lungs.

World: +x to the patient's right, +y front, +z head; the origin lies before the third lumbar
vertebra. Sizes are those of an adult; `Build` stretches them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy import ndimage

from endoforge.scene.anatomy.abdomen.volumes import Axes
from endoforge.scene.volume.canvas import Canvas, Part, along, capsule, oval
from endoforge.scene.volume.tissue import Tissue

#: Height, half width and half depth of the outline as a share of those at the navel.
_OUTLINE = np.array(
    [
        (-185, 1.07, 0.90), (-120, 1.08, 0.95), (-60, 1.02, 0.96), (0, 0.97, 0.99),
        (60, 0.96, 1.02), (120, 0.97, 1.02), (185, 0.95, 0.99),
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
    [(-200, -60), (-160, -80), (-125, -72), (-95, -52), (-65, -38), (-25, -32), (20, -35),
     (70, -43), (120, -52), (200, -57)]
)  # fmt: skip


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

    def spine_y(self, z: float | Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """How far back the middle of the vertebral bodies lies at a height, mm."""
        smooth = np.interp(np.asarray(z), _SPINE[:, 0], _SPINE[:, 1])
        return np.asarray(smooth * self.deep)


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
    part, axes = canvas.box((-far, -far, -far), (far, far, far))
    skin = _depth(axes, build)
    angle = np.arctan2(np.abs(axes[0]) / build.wide / 160, axes[1] / build.deep / 110)
    fat = np.interp(angle, _FAT[:, 0], _FAT[:, 1]).astype(np.float32) * build.fat_mm
    hips = np.clip((-70.0 - axes[2]) / 60.0, 0.0, 1.0)
    fat = fat * (1 + 0.5 * hips * (angle > 1.2))
    wall = np.interp(angle, _WALL[:, 0], _WALL[:, 1]).astype(np.float32) * build.wide
    chest = np.clip((axes[2] - 40.0) / 50.0, 0.0, 1.0)
    wall = wall + chest * (np.minimum(wall, 12.0) - wall)
    under = skin - fat - 1.8
    room = wall - under
    step = np.float32(canvas.step_mm)
    hu = canvas.hu
    np.clip(skin / step + 0.5, 0.0, 1.0, out=hu)
    hu *= tissue.skin - tissue.air
    hu += tissue.air
    canvas.hu[...] += np.clip((skin - 1.8) / step + 0.5, 0, 1) * (tissue.fat - tissue.skin)
    meat = np.clip(under / step + 0.5, 0, 1) * np.clip(room / step + 0.5, 0, 1)
    layers = (wall > 13.0) * (1.0 - chest)
    for share in (0.36, 0.68):
        gap = np.clip((0.7 - np.abs(under - share * wall)) / step + 0.5, 0, 0.8)
        meat *= 1.0 - layers * gap
    hu += meat * (tissue.muscle - tissue.fat)
    del part
    return Trunk(skin, room.astype(np.float32))


def _depth(axes: Axes, build: Build) -> Float32[np.ndarray, "i j k"]:
    """Depth under the skin, mm."""
    wide = np.interp(axes[2], _OUTLINE[:, 0], _OUTLINE[:, 1]) * 160 * build.wide
    deep = np.interp(axes[2], _OUTLINE[:, 0], _OUTLINE[:, 2]) * 110 * build.deep
    back = np.where(axes[1] < 0, 0.96, 1.0)
    power = 2.35
    furrow = 5.0 * np.exp(-((axes[0] / 14.0) ** 2)) * (axes[1] < 0)  # along the spine
    reach = (np.abs(axes[0]) / wide) ** power + (np.abs(axes[1]) / (deep * back)) ** power
    reach = np.maximum(reach.astype(np.float32), 1e-4) ** np.float32(1 / power)
    out = np.sqrt(axes[0] ** 2 + axes[1] ** 2 + 1.0)
    return np.asarray(out / reach - out - furrow, dtype=np.float32)


def draw_muscles(canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue) -> None:
    """Paint the muscles of the back, the loins and the hips."""
    fat = 1.0
    for side, name in ((1.0, "right"), (-1.0, "left")):
        heights = np.linspace(-110.0, 185.0, 24)
        size = np.interp(heights, [-110, -70, 0, 80, 185], [6, 17, 22, 19, 15])
        back = build.spine_y(heights) - 36 - 0.15 * size
        # two columns beside the spine, the inner one nearer to it
        for out, less in ((18.0, 0.8), (39.0, 0.92)):
            points = np.stack([np.full(24, side * out * build.wide), back, heights], axis=1)
            part, _, distance = canvas.tube(points, size * less)
            distance = np.maximum(distance, build.fat_mm * 0.7 + 2.5 - trunk.skin_mm[part])
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
        canvas.vessel(points, radius, tissue.muscle, f"iliopsoas_{name}")
        points = along(
            [(side * 62, float(build.spine_y(z)) - 14, z) for z in (75, 40, 0, -35)]
        ) * np.array([build.wide, 1, 1])
        canvas.vessel(points, np.linspace(6, 12, len(points)), tissue.muscle)
        _hip_muscles(canvas, build, trunk, tissue, side, name)
    del fat


def _hip_muscles(
    canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue, side: float, name: str
) -> None:
    for organ, middle, radii in (
        (f"gluteus_medius_{name}", (112, -28, -105), (26, 44, 62)),
        (f"gluteus_maximus_{name}", (74, -84, -140), (54, 26, 66)),
        (f"gluteus_minimus_{name}", (104, -4, -140), (30, 34, 40)),
    ):
        place = build.at(side * middle[0], middle[1], middle[2])
        part, axes = canvas.box(place - np.array(radii) - 3, place + np.array(radii) + 3)
        distance = oval(axes, place, radii)
        distance = np.maximum(distance, build.fat_mm * 1.05 + 2 - trunk.skin_mm[part])
        canvas.paint(part, canvas.share(distance), tissue.muscle, organ)


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
    far = canvas.far_mm
    part, axes = canvas.box((-far, -far, 20.0), (far, far, far))
    above = -under_diaphragm(axes, build, 0.0)
    room = trunk.room_mm[part] + 2.5
    heart = _mediastinum(axes, build)
    dome = np.maximum(np.maximum(above - 2.5, room), -heart)
    canvas.paint(part, canvas.share(dome), tissue.muscle)
    lung = np.maximum(np.maximum(above, room), -heart)
    hu = tissue.lung - 0.35 * axes[1] + _cloud(rng, lung.shape, 12.0 / canvas.step_mm, 25.0)
    for side, name in ((1, "right"), (-1, "left")):
        half = np.maximum(lung, np.float32(-side) * axes[0])
        canvas.paint(part, canvas.share(half), hu, f"lung_lower_lobe_{name}")
    _lung_vessels(canvas, build, tissue, rng)
    inner = np.maximum(heart + 4.0, 122.0 - axes[2] - 0.12 * np.abs(axes[0] + 20))
    canvas.paint(part, canvas.share(np.maximum(heart, room)), tissue.inner_fat)
    inner = np.maximum(oval(axes, build.at(-22, 34, 190), (62, 46, 52)), room)
    canvas.paint(part, canvas.share(inner), tissue.heart, "heart")


def _mediastinum(axes: Axes, build: Build) -> Float32[np.ndarray, "i j k"]:
    heart = oval(axes, build.at(-20, 34, 188), (72, 54, 60))
    spine = np.asarray(
        np.hypot(axes[0] / 1.2, axes[1] - build.spine_y(axes[2]) - 12) - 26, dtype=np.float32
    )
    return np.minimum(heart, spine)


def _lung_vessels(canvas: Canvas, build: Build, tissue: Tissue, rng: np.random.Generator) -> None:
    far = canvas.far_mm
    for side in (1.0, -1.0):
        for _ in range(70):
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
    coarse = rng.standard_normal(few, dtype=np.float32)
    zoom = [n / f for n, f in zip(shape, few, strict=True)]
    return np.asarray(hu * ndimage.zoom(coarse, zoom, order=1, grid_mode=True, mode="nearest"))
