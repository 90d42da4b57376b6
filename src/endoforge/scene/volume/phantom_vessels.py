# SPDX-License-Identifier: Apache-2.0
"""The blood vessels of a phantom: great vessels, and trees that fill an organ or the mesentery."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from endoforge.scene.volume.canvas import Canvas, along, evenly
from endoforge.scene.volume.phantom_body import Build
from endoforge.scene.volume.tissue import Tissue

_MURRAY = 2.7  # radii to this power add up where a vessel divides
_SIDE_BY_SIDE = 0.35


@dataclass(frozen=True, eq=False)
class Tree:
    """Straight pieces of a branching vessel.

    Attributes:
        ends_mm: Start and end of each piece.
        radius_mm: At start and end.
    """

    ends_mm: Float64[np.ndarray, "pieces 2 3"]
    radius_mm: Float64[np.ndarray, "pieces 2"]


def grown_tree(
    trunk_mm: Float[np.ndarray, "points 3"],
    leaves_mm: Float[np.ndarray, "leaves 3"],
    root_mm: float,
    leaf_mm: float,
    rng: np.random.Generator,
) -> Tree:
    """Branch a trunk out to every leaf.

    Each leaf, the nearest first, is joined to the place of the tree that lies nearest to it and
    nearer to the root; radii follow from the leaves that hang on a piece, by Murray's law.

    Args:
        trunk_mm: Polyline from the root on.
        leaves_mm: Where twigs end.
        root_mm: Radius of the root.
        leaf_mm: Smallest radius.
        rng: For the bends of twigs.
    """
    nodes = [np.asarray(p, dtype=np.float64) for p in trunk_mm]
    parent = [max(k - 1, 0) for k in range(len(nodes))]
    way = [float(np.linalg.norm(p - nodes[0])) for p in nodes]
    load = [0.0] * len(nodes)
    for leaf in leaves_mm[np.argsort(np.linalg.norm(leaves_mm - nodes[0], axis=1))]:
        gaps = np.linalg.norm(np.array(nodes) - leaf, axis=1)
        at = int(np.argmin(gaps + _SIDE_BY_SIDE * np.array(way)))
        steps = max(int(gaps[at] / 14.0), 1)
        bend = rng.normal(0.0, 0.10 * gaps[at], 3)
        start = nodes[at]
        for step in range(1, steps + 1):
            share = step / steps
            nodes.append(start + (leaf - start) * share + bend * np.sin(np.pi * share))
            parent.append(at)
            way.append(way[at] + gaps[parent[-1]] / steps)
            load.append(0.0)
            gaps = np.append(gaps, 0.0)
            at = len(nodes) - 1
        load[at] = 1.0
    for k in range(len(nodes) - 1, 0, -1):
        load[parent[k]] += load[k]
    radius = root_mm * (np.array(load) / max(load[0], 1.0)) ** (1.0 / _MURRAY)
    radius = np.maximum(radius, leaf_mm)
    pieces = [(k, parent[k]) for k in range(1, len(nodes))]
    ends = np.array([[nodes[p], nodes[k]] for k, p in pieces])
    return Tree(ends, np.array([[min(radius[p], 1.25 * radius[k]), radius[k]] for k, p in pieces]))


def draw_tree(canvas: Canvas, tree: Tree, hu: float, organ: str | None) -> None:
    """Paint every piece of a tree."""
    for ends, radius in zip(tree.ends_mm, tree.radius_mm, strict=True):
        canvas.vessel(ends, radius, hu, organ)


def draw_great_vessels(canvas: Canvas, build: Build, tissue: Tissue) -> None:
    """Paint aorta, caval vein, and what leaves them for the legs, kidneys and gut."""
    for points, radius, hu, organ in _great_vessels(build, tissue):
        canvas.vessel(points, evenly(radius, len(points)), hu, organ)


def _great_vessels(
    build: Build, tissue: Tissue
) -> list[tuple[Float[np.ndarray, "points 3"], list[float], float, str | None]]:
    def before(z: float, x: float, y: float) -> tuple[float, float, float]:
        return x, float(build.spine_y(z)) + y, z

    aorta = along(
        [
            before(z, x, y)
            for z, x, y in (
                (215, -16, 22),
                (150, -12, 27),
                (100, -8, 31),
                (50, -9, 30),
                (0, -9, 29),
                (-42, -7, 29),
            )
        ]
    )
    caval = along(
        [
            before(z, x, y)
            for z, x, y in (
                (-44, 13, 26),
                (0, 19, 28),
                (50, 21, 30),
                (95, 24, 38),
                (128, 24, 50),
                (165, 16, 66),
            )
        ]
    )
    result: list[tuple[Float[np.ndarray, "points 3"], list[float], float, str | None]] = [
        (caval, [9.5, 10.5, 11, 11.5, 12, 13], tissue.vein, "inferior_vena_cava"),
    ]
    for side, name in ((1.0, "right"), (-1.0, "left")):
        limb = [(-75, 32, 30), (-100, 46, 46)]
        vein = [
            before(-40, 13, 26),
            *(before(z, side * x, y - 6) for z, x, y in limb),
            (side * 52, 14, -135),
            (side * 58, 44, -185),
        ]
        result.append((along(vein), [7.5, 7, 6, 6.5], tissue.vein, f"iliac_vena_{name}"))
        artery = [
            before(-38, -7, 30),
            *(before(z, side * x, y) for z, x, y in limb),
            (side * 60, 22, -135),
            (side * 66, 48, -185),
        ]
        result.append((along(artery), [6, 5, 4.5, 4.5], tissue.artery, f"iliac_artery_{name}"))
        z = 42 if side < 0 else 26
        kidney = (side * 44 * build.wide, float(build.spine_y(z)) + 4, z)
        origin = 21 if side > 0 else 14
        across = [before(z + 8, origin, 30), before(z + 4, side * 30, 24), kidney]
        if side < 0:
            across = [before(z + 8, 16, 40), before(z + 8, -10, 45), *across[1:]]
        result.append((along(across), [5, 4.5, 4], tissue.vein, None))
        hilum = (kidney[0], kidney[1] - 3, kidney[2] - 4)
        result.append(
            (
                along([before(z + 4, -9, 29), before(z, side * 26, 14), hilum]),
                [3, 2.8, 2.5],
                tissue.artery,
                None,
            )
        )
    result.append((aorta, [12, 11.5, 11, 10, 9.5, 9], tissue.artery, "aorta"))
    celiac = along(
        [before(100, -8, 40), before(98, -6, 56), before(94, 10, 62), before(86, 30, 66)]
    )
    result.append((celiac, [3.5, 3, 2.5, 2], tissue.artery, None))
    return result


def portal_trunk(build: Build) -> Float[np.ndarray, "points 3"]:
    """The portal vein from behind the pancreas into the liver."""
    return along(
        [build.at(8, -4, 52), build.at(22, 2, 66), build.at(38, 4, 78), build.at(56, 4, 84)]
    )


def draw_gut_vessels(canvas: Canvas, build: Build, tissue: Tissue) -> None:
    """Paint the splenic and mesenteric vessels and the mesentery's branches."""
    rng = np.random.default_rng((build.seed, 2))
    spleen = along(
        [build.at(-88, -34, 92), build.at(-55, -18, 84), build.at(-22, 2, 66), build.at(8, -4, 52)]
    )
    canvas.vessel(
        spleen, evenly([3.2, 4, 4.5, 5], len(spleen)), tissue.portal, "portal_vein_and_splenic_vein"
    )
    for x, size, hu in ((10.0, 4.8, tissue.portal), (-9.0, 3.4, tissue.artery)):
        trunk = along(
            [
                build.at(x, -4, 50),
                build.at(x, 14, 25),
                build.at(x + 4, 24, -5),
                build.at(x + 16, 24, -40),
                build.at(x + 24, 20, -70),
            ]
        )
        leaves = np.stack(
            [
                build.at(x + rng.normal(0, 38), rng.uniform(10, 62), rng.uniform(-105, 25))
                for _ in range(110)
            ]
        )
        draw_tree(canvas, grown_tree(trunk, leaves, size, 0.75, rng), hu, None)
