# SPDX-License-Identifier: Apache-2.0
"""The solid organs of a phantom, the stomach and the bladder."""

import numpy as np
from jaxtyping import Float, Float32

from endoforge.scene.anatomy.abdomen.volumes import Axes, smooth_max, smooth_min
from endoforge.scene.volume.canvas import Canvas, Part, along, evenly, oval
from endoforge.scene.volume.phantom_body import Build, Trunk, under_diaphragm
from endoforge.scene.volume.phantom_vessels import draw_tree, grown_tree, portal_trunk
from endoforge.scene.volume.tissue import Tissue


def draw_organs(canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue) -> None:
    """Paint pancreas, kidneys, spleen, liver with its vessels, gallbladder, stomach, bladder."""
    _pancreas(canvas, build, tissue)
    for side, name in ((1.0, "right"), (-1.0, "left")):
        _kidney(canvas, build, tissue, side, name)
    _spleen(canvas, build, trunk, tissue)
    _liver(canvas, build, trunk, tissue)
    _stomach(canvas, build, trunk, tissue)
    _bladder(canvas, build, tissue)


def _lumpy(
    distance: Float32[np.ndarray, "i j k"], axes: Axes, wave_mm: float, high_mm: float, phase: float
) -> Float32[np.ndarray, "i j k"]:
    """Give a body a gently uneven surface."""
    k = np.float32(2 * np.pi / wave_mm)
    waves = np.sin(k * axes[0] + phase) * np.cos(k * axes[1] + 2 * phase)
    waves = waves + np.sin(k * axes[2] + 3 * phase) * np.cos(0.7 * k * axes[0] - phase)
    return np.asarray(distance + np.float32(0.5 * high_mm) * waves, dtype=np.float32)


def _turned(x_deg: float, y_deg: float, z_deg: float) -> Float[np.ndarray, "3 3"]:
    """Turn about the three axes in this order."""
    result = np.eye(3)
    for axis, angle in enumerate(np.radians([x_deg, y_deg, z_deg])):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result


def _kidney(canvas: Canvas, build: Build, tissue: Tissue, side: float, name: str) -> None:
    rng = np.random.default_rng((build.seed, 3, int(side) + 1))
    middle = build.at(side * 58, 0, 22 if side > 0 else 36) + rng.normal(0, 3, 3)
    middle[1] = float(build.spine_y(middle[2])) - 4
    size = rng.uniform(0.93, 1.07)
    part, axes = canvas.box(middle - 68, middle + 68)
    turn = _turned(10.0, side * 14.0, side * 32.0)
    whole = oval(axes, middle, np.array([25, 29, 55]) * size, turn)
    hilum = middle + turn @ np.array([-side * 24.0, 4.0, 0.0])
    sinus = oval(axes, hilum, np.array([19, 15, 30]) * size, turn)
    whole = _lumpy(smooth_max(whole, -(sinus + 5), 8.0), axes, 38.0, 2.0, side + build.seed % 7)
    canvas.paint(part, canvas.share(whole), tissue.cortex, f"kidney_{name}")
    local = [sum(turn[r, k] * (axes[r] - middle[r]) for r in range(3)) for k in range(3)]
    pyramids = np.sin(local[2] / 4.6) * np.sin(np.arctan2(local[1], local[0] * side + 14) * 4.0)
    medulla = np.maximum(whole + 7.0, 2.5 - 6 * pyramids).astype(np.float32)
    canvas.paint(part, canvas.share(medulla), tissue.medulla, f"kidney_{name}")
    canvas.paint(part, canvas.share(np.maximum(sinus, whole - 3)), tissue.inner_fat)
    pelvis = oval(axes, hilum, np.array([11, 7, 15]) * size, turn)
    canvas.paint(part, canvas.share(pelvis), tissue.urine + 8)
    del local


def _spleen(canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue) -> None:
    rng = np.random.default_rng((build.seed, 4))
    middle = build.at(-102, -36, 86) + rng.normal(0, 3, 3)
    radii = np.array([44, 56, 50]) * rng.uniform(0.9, 1.1)
    part, axes = canvas.box(middle - radii - 4, middle + radii + 4)
    body = oval(axes, middle, radii, _turned(25, 0, 0))
    body = np.maximum(body, trunk.room_mm[part] + 3)
    body = np.maximum(body, under_diaphragm(axes, build))
    hollow = oval(axes, middle + np.array([54, 26, -6]), radii * [1.0, 1.05, 1.2])
    body = _lumpy(smooth_max(body, -hollow, 6.0), axes, 55.0, 2.5, 0.3 * (build.seed % 11))
    canvas.paint(part, canvas.share(body), tissue.spleen, "spleen")


def liver_shape(
    canvas: Canvas, build: Build, trunk: Trunk
) -> tuple[Part, Axes, Float32[np.ndarray, "i j k"]]:
    """Box, axes and distances of the liver: under the diaphragm, along the wall, cut below."""
    rng = np.random.default_rng((build.seed, 5))
    size = rng.uniform(0.94, 1.05)
    low, high = build.at(-95, -105, -45), build.at(150, 118, 155)
    part, axes = canvas.box(low, high)
    right = oval(axes, build.at(70, -6, 78), build.at(76, 92, 88) * size)
    left = oval(axes, build.at(-8, 44, 104), build.at(72, 46, 34) * size, _turned(-12, -10, 0))
    body = smooth_min(right, left, 22.0)
    body = smooth_max(body, trunk.room_mm[part] + 3.0, 5.0)
    body = smooth_max(body, under_diaphragm(axes, build), 5.0)
    # the lower face rises from the right edge in front to the left and to the back
    floor = 8.0 + 0.42 * (70 - axes[0] / build.wide) + 0.10 * (20 - axes[1] / build.deep)
    floor = np.minimum(floor, 92.0 - 0.1 * (axes[0] + 20)) + rng.uniform(-8, 8)
    body = smooth_max(body, ((floor - axes[2]) * 0.85).astype(np.float32), 12.0)
    for place, radii in (
        (build.at(4, -44, 90), (44, 42, 120)),  # spine, caval vein, crura
        (build.at(64, -52, 14), (31, 31, 58)),  # right kidney
        (build.at(-62, 8, 92), (56, 40, 44)),  # stomach
        (build.at(26, 26, 42), (20, 22, 20)),  # porta, duodenum
    ):
        hole = oval(axes, place, radii)
        body = smooth_max(body, -hole, 9.0)
    cleft = np.maximum(
        np.abs(axes[0] - 6 - 0.1 * axes[1]) - 2.2, 96 - axes[1] - 0.6 * axes[2] + 0 * axes[0]
    )
    cleft = np.maximum(cleft, axes[2] - 92)
    body = smooth_max(body, -cleft.astype(np.float32), 3.0)
    return part, axes, np.asarray(body, dtype=np.float32)


def _liver(canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue) -> None:
    part, axes, body = liver_shape(canvas, build, trunk)
    pouch = build.at(46, 46, 36)
    turn = _turned(-30, 10, 0)
    gall = oval(axes, pouch, (14, 15, 31), turn)
    body = smooth_max(body, -(gall + 0.5), 4.0)
    canvas.paint(part, canvas.share(body), tissue.liver, "liver")
    canvas.paint(part, canvas.share(gall), tissue.gut_wall, "gallbladder")
    canvas.paint(part, canvas.share(gall + 1.2), tissue.bile, "gallbladder")
    _liver_vessels(canvas, build, tissue, (part, axes, body))


def _liver_vessels(
    canvas: Canvas,
    build: Build,
    tissue: Tissue,
    liver: tuple[Part, Axes, Float32[np.ndarray, "i j k"]],
) -> None:
    """The portal tree enters from below, the hepatic veins run together at the caval vein."""
    rng = np.random.default_rng((build.seed, 6))
    deep = _places_within(canvas, liver, 9.0, 150, rng)
    trunk = portal_trunk(build)
    tree = grown_tree(trunk, deep[:80], 7.2, 0.9, rng)
    draw_tree(canvas, tree, tissue.portal, "portal_vein_and_splenic_vein")
    exit_mm = np.array([24.0, float(build.spine_y(128)) + 50, 128.0])
    hepatic = deep[80:]
    third = np.digitize(hepatic[:, 0], [build.wide * 18, build.wide * 62])
    for k, target in enumerate(
        (build.at(-10, 45, 104), build.at(48, 48, 88), build.at(98, -20, 82))
    ):
        leaves = hepatic[third == k]
        if len(leaves):
            points = along([exit_mm, 0.5 * (exit_mm + target) + [0, 0, 5], target], 10.0)
            draw_tree(
                canvas, grown_tree(points, leaves, 5.2, 0.9, rng), tissue.hepatic_vein, "liver"
            )


def _places_within(
    canvas: Canvas,
    body: tuple[Part, Axes, Float32[np.ndarray, "i j k"]],
    depth_mm: float,
    count: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "count 3"]:
    _, axes, distance = body
    inside = np.flatnonzero(distance < -depth_mm)
    chosen = np.unravel_index(rng.choice(inside, count), distance.shape)
    lines = [axes[k].reshape(-1)[chosen[k]] for k in range(3)]
    return np.stack(lines, axis=1).astype(np.float64)


def _pancreas(canvas: Canvas, build: Build, tissue: Tissue) -> None:
    rng = np.random.default_rng((build.seed, 7))
    points = along(
        [build.at(32, 12, 22), build.at(28, 14, 40), build.at(8, 18, 58), build.at(-25, 10, 70),
         build.at(-58, -12, 82), build.at(-82, -28, 90)]
    )  # fmt: skip
    radius = evenly([9, 14, 9, 9.5, 9, 7], len(points)) * rng.uniform(0.85, 1.1)
    part, axes, distance = canvas.tube(points, radius, 6.0)
    lobules = _lumpy(distance, axes, 10.0, 2.6, 0.5 * (build.seed % 5))
    canvas.paint(part, canvas.share(lobules), tissue.pancreas, "pancreas")


def _stomach(canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue) -> None:
    """A bag of fluid with gas over it, and the duodenum."""
    rng = np.random.default_rng((build.seed, 8))
    points = along(
        [build.at(-62, -22, 112), build.at(-68, 8, 100), build.at(-62, 38, 78),
         build.at(-38, 56, 56), build.at(-6, 56, 50), build.at(18, 48, 54)]
    )  # fmt: skip
    radius = evenly([24, 31, 29, 23, 15, 9], len(points)) * rng.uniform(0.88, 1.04)
    part, axes, distance = canvas.tube(points, radius, 8.0)
    distance = np.maximum(distance, under_diaphragm(axes, build, 3.0))
    distance = np.maximum(distance, trunk.room_mm[part] + 4)
    folds = 1.1 * np.sin(axes[0] * 0.55 + 0.3 * axes[2]) * np.sin(axes[1] * 0.45 + axes[2] * 0.4)
    canvas.paint(part, canvas.share(distance), tissue.gut_wall, "stomach")
    inner = np.asarray(distance + 4.0 + folds, dtype=np.float32)
    canvas.paint(part, canvas.share(inner), tissue.fluid, "stomach")
    level = build.deep * rng.uniform(22, 42)
    gas = np.maximum(inner, level - axes[1]).astype(np.float32)
    canvas.paint(part, canvas.share(gas), tissue.air, "stomach")
    points = along(
        [build.at(18, 48, 54), build.at(40, 36, 54), build.at(50, 8, 40), build.at(50, -6, 5),
         build.at(34, -8, -18), build.at(0, 0, -20), build.at(-30, 12, 0), build.at(-42, 22, 22)]
    )  # fmt: skip
    tube_part, tube_axes, tube = canvas.tube(
        points, evenly([9, 13, 11, 12, 11, 9, 10, 10], len(points))
    )
    canvas.paint(tube_part, canvas.share(tube), tissue.gut_wall, "duodenum")
    ridges = 1.3 * np.sin(tube_axes[2] * 1.1) * np.sin(tube_axes[0] * 1.0)
    canvas.paint(
        tube_part, canvas.share((tube + 3.0 + ridges).astype(np.float32)), tissue.chyme, "duodenum"
    )


def _bladder(canvas: Canvas, build: Build, tissue: Tissue) -> None:
    rng = np.random.default_rng((build.seed, 9))
    middle = build.at(0, 16, -150) + rng.normal(0, 2, 3)
    radii = np.array([42, 34, 28]) * rng.uniform(0.75, 1.1)
    part, axes = canvas.box(middle - radii - 5, middle + radii + 5)
    body = oval(axes, middle, radii)
    canvas.paint(part, canvas.share(body), tissue.muscle - 15, "urinary_bladder")
    canvas.paint(part, canvas.share(body + 3.5), tissue.urine, "urinary_bladder")
    gland = build.at(0, -2, -184)
    part, axes = canvas.box(gland - 26, gland + 26)
    canvas.paint(part, canvas.share(oval(axes, gland, (24, 18, 20))), tissue.muscle - 8, "prostate")
