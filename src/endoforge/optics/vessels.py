# SPDX-License-Identifier: Apache-2.0
"""Grows branching vessels on a tile that repeats, and draws them as a picture.

Growth is by space colonisation: points that lack blood pull the nearest vessel towards them until
it has reached them. The trees that result do not cross, and thicken towards their roots.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

_MURRAY_EXPONENT = 2.7  # between Murray's 3 and the conservation of cross-section, 2
_SUBPIXEL_BITS = 4
_OVERSAMPLING = 2
_WIDTH_CLASSES = 10
_MOST_ROUNDS = 400


@dataclass(frozen=True)
class VesselPlan:
    """How a network grows; lengths are fractions of the tile's side.

    Attributes:
        roots: Number of trees.
        thirsty: Number of points that pull.
        reached: A point stops pulling when a vessel is this close.
        stride: Length of one step of growth.
        wobble: Standard deviation of each step's turn, rad.
        leaf_width: Width of the last branches.
        most_width: Width that no trunk exceeds.
    """

    roots: int
    thirsty: int
    reached: float
    stride: float
    wobble: float
    leaf_width: float
    most_width: float


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes of trees on the tile; a root is its own parent, and parents come before children."""

    place: Float[np.ndarray, "nodes 2"]
    parent: Int[np.ndarray, "nodes"]
    width: Float[np.ndarray, "nodes"]


def grow(plan: VesselPlan, rng: np.random.Generator) -> Network:
    """Let the trees of a plan grow until every thirsty point is reached.

    Source:
        Runions et al., *Modeling and visualization of leaf venation patterns*, SIGGRAPH 2005,
        section 3 (open venation).
    """
    places = [rng.random((plan.roots, 2))]
    parents = [np.arange(plan.roots)]
    thirsty = rng.random((plan.thirsty, 2))
    nearest = np.zeros(len(thirsty), np.int64)
    distance = np.full(len(thirsty), np.inf)
    count = 0
    for _ in range(_MOST_ROUNDS):
        near, node = cKDTree(places[-1], boxsize=1.0).query(thirsty)
        closer = near < distance
        distance = np.where(closer, near, distance)
        nearest = np.where(closer, node + count, nearest)
        count += len(places[-1])
        waiting = distance > plan.reached
        thirsty, nearest, distance = thirsty[waiting], nearest[waiting], distance[waiting]
        if len(thirsty) == 0:
            break
        pulled, new = _step(plan, rng, np.concatenate(places), thirsty, nearest)
        places.append(new)
        parents.append(pulled)
    place, parent = np.concatenate(places), np.concatenate(parents)
    return Network(place, parent, _widths(plan, parent))


def _step(
    plan: VesselPlan,
    rng: np.random.Generator,
    place: Float[np.ndarray, "nodes 2"],
    thirsty: Float[np.ndarray, "points 2"],
    nearest: Int[np.ndarray, "points"],
) -> tuple[Int[np.ndarray, "new"], Float[np.ndarray, "new 2"]]:
    """Each node that is pulled sends out one new node, towards the mean of what pulls it."""
    pull = wrapped(thirsty - place[nearest])
    pull /= np.maximum(np.linalg.norm(pull, axis=1, keepdims=True), 1e-9)
    pulled, which = np.unique(nearest, return_inverse=True)
    total = np.stack([np.bincount(which, pull[:, k], len(pulled)) for k in range(2)], -1)
    heading = np.arctan2(total[:, 1], total[:, 0]) + rng.normal(0, plan.wobble, len(pulled))
    stride = plan.stride * np.stack([np.cos(heading), np.sin(heading)], -1)
    return pulled, (place[pulled] + stride) % 1.0


def _widths(plan: VesselPlan, parent: Int[np.ndarray, "nodes"]) -> Float[np.ndarray, "nodes"]:
    """Widths by Murray's law: a trunk's power is the sum of its branches' powers.

    Source:
        Murray, *The physiological principle of minimum work*, PNAS 1926, with another exponent.
    """
    flow = np.zeros(len(parent))
    has_child = np.bincount(parent, minlength=len(parent)) > (parent == np.arange(len(parent)))
    flow[~has_child] = 1.0
    for node in range(len(parent) - 1, -1, -1):
        if parent[node] != node:
            flow[parent[node]] += flow[node]
    width = plan.leaf_width * np.maximum(flow, 1) ** (1 / _MURRAY_EXPONENT)
    result: Float[np.ndarray, "nodes"] = np.minimum(width, plan.most_width)
    return result


def draw(network: Network, size: int) -> Float[np.ndarray, "size size"]:
    """Draw a network on its tile: 1 inside a vessel, less where one is thinner than a texel."""
    fine = size * _OVERSAMPLING
    canvas = np.zeros((fine, fine), np.uint8)
    end = network.place
    start = end + wrapped(network.place[network.parent] - end)
    thick = network.width * fine
    classes = np.digitize(thick, np.geomspace(0.5, max(1.0, thick.max()), _WIDTH_CLASSES))
    segments = np.stack([start, end], axis=1)
    for k in np.unique(classes):
        chosen = segments[classes == k]
        width = float(thick[classes == k].mean())
        tone = int(255 * min(1.0, 0.25 + 0.75 * width / _OVERSAMPLING))
        for copy in _copies(chosen):
            points = np.round(copy * fine * 2**_SUBPIXEL_BITS).astype(np.int32)
            cv2.polylines(
                canvas,
                list(points),
                False,
                tone,
                max(1, round(width)),
                cv2.LINE_AA,
                shift=_SUBPIXEL_BITS,
            )
    small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    picture: Float[np.ndarray, "size size"] = small.astype(np.float32) / 255
    return picture


def wrapped(difference: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
    """The shortest way between two places on a tile that repeats."""
    shortest: Float[np.ndarray, "*batch 2"] = difference - np.round(difference)
    return shortest


def _copies(segments: Float[np.ndarray, "segments 2 2"]) -> list[Float[np.ndarray, "some 2 2"]]:
    """Every repetition of the segments that can touch the tile."""
    margin = 0.03
    copies = []
    for right in (-1, 0, 1):
        for down in (-1, 0, 1):
            moved = segments + np.array([right, down])
            touching = np.all((moved > -margin) & (moved < 1 + margin), axis=(1, 2))
            if touching.any():
                copies.append(moved[touching])
    return copies
