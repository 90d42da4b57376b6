# SPDX-License-Identifier: Apache-2.0
"""Organs that come from a patient's scan or a user's mesh, in the frame of the drawn abdomen."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32, Float64
from scipy import ndimage

from endoforge.errors import SceneError
from endoforge.scene.anatomy.abdomen.gallbladder import Gallbladder
from endoforge.scene.anatomy.abdomen.organs import Organ
from endoforge.scene.anatomy.abdomen.volumes import Grid
from endoforge.scene.anatomy.curves import unit

# Where a drawn liver of size 1 lies: its right end, its middle from back to front, its top, mm.
_RIGHT_MM, _MIDDLE_MM, _TOP_MM, _WIDE_MM = 133.0, 0.0, 97.0, 225.0


@dataclass(frozen=True)
class Kind:
    """What one organ is called, labelled and made of."""

    name: str
    label: int
    material: str


#: Organs that can be given, by the name that they have in an abdomen, front ones first.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("gallbladder", 2, "gallbladder"),
        Kind("liver", 1, "liver"),
        Kind("cystic duct", 8, "duct"),
        Kind("cystic artery", 9, "artery"),
        Kind("stomach", 11, "stomach"),
        Kind("duodenum", 12, "bowel"),
        Kind("colon", 12, "bowel"),
        Kind("small bowel", 12, "bowel"),
        Kind("spleen", 15, "spleen"),
        Kind("pancreas", 17, "organ"),
        Kind("kidney right", 16, "organ"),
        Kind("kidney left", 16, "organ"),
        Kind("aorta", 14, "artery"),
        Kind("inferior vena cava", 14, "peritoneum"),
        Kind("portal vein", 14, "peritoneum"),
        Kind("fat", 4, "fat"),
        Kind("ligament", 5, "ligament"),
        Kind("other organ", 18, "organ"),
    )
}


@dataclass(frozen=True, eq=False)
class Given:
    """Organs that are there before anything is drawn.

    Attributes:
        organs: By name.
        record: Where they came from and what was done to them.
        complete: The organs that are missing are drawn.
    """

    organs: Mapping[str, Organ]
    record: Mapping[str, str]
    complete: bool


@dataclass(frozen=True, eq=False)
class SeenLiver:
    """The lower face of a given liver, for what hangs on it; see `liver.LiverBed`.

    Attributes:
        size: Its width over that of a usual liver.
        face: Height of the lower face over each column of the grid, mm.
        grid: Where the columns stand.
    """

    size: float
    face: Float32[np.ndarray, "i j"]
    grid: Grid

    def face_mm(
        self, x: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Height of the lower face, mm."""
        origin, step = self.grid.origin_mm, self.grid.step_mm
        at = np.stack([(np.ravel(x) - origin[0]) / step, (np.ravel(y) - origin[1]) / step])
        height = ndimage.map_coordinates(self.face, at, order=1, mode="nearest")
        return np.asarray(height.reshape(np.shape(x)), dtype=np.float64)

    def world(self, points_mm: Float64[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points 3"]:
        """A given liver lies in the world already."""
        return points_mm


def seen_liver(liver: Organ) -> SeenLiver:
    """Find the lower face of a given liver."""
    volume = liver.volume
    inside = volume.values < 0
    found = inside.any(axis=2)
    lowest = np.argmax(inside, axis=2) * volume.grid.step_mm + volume.grid.origin_mm[2]
    nearest = ndimage.distance_transform_edt(~found, return_distances=False, return_indices=True)
    filled = lowest[tuple(nearest)].astype(np.float32)
    face = ndimage.gaussian_filter(ndimage.median_filter(filled, 5), 2.0)
    wide = float(np.ptp(liver.vertices_mm[:, 0]))
    return SeenLiver(float(np.clip(wide / _WIDE_MM, 0.7, 1.25)), face, volume.grid)


def seen_gallbladder(organ: Organ, drawn: Gallbladder) -> Gallbladder:
    """Find the axis of a given gallbladder; its fundus is the end nearer feet and front.

    Args:
        organ: The gallbladder's surface.
        drawn: Says what cannot be seen: inflammation.
    """
    points = organ.vertices_mm.astype(np.float64)
    middle = points.mean(axis=0)
    way = np.linalg.svd(points - middle, full_matrices=False)[2][0]
    if way @ (0.0, 0.5, -1.0) > 0:
        way = -way  # from the fundus to the neck
    axis, radius = _axis_along(points, way)
    return replace(
        drawn,
        axis_mm=axis,
        radius_mm=np.maximum(radius, 1.0),
        pouch_mm=axis[-8],
        outlet_mm=axis[-1] + 2.0 * unit(axis[-1] - axis[-6]),
    )


def _axis_along(
    points: Float64[np.ndarray, "vertices 3"], way: Float64[np.ndarray, "3"]
) -> tuple[Float64[np.ndarray, "60 3"], Float64[np.ndarray, "60"]]:
    """Middles and mean radii of slices across a direction, at 60 places."""
    along = points @ way
    edges = np.linspace(along.min(), along.max(), 31)
    places, middles, radii = [], [], []
    for low, high in pairwise(edges.tolist()):
        ring = points[(along >= low) & (along <= high)]
        if len(ring) > 5:
            off = ring - ring.mean(axis=0)
            across = off - (off @ way)[:, None] * way
            places.append(0.5 * (low + high))
            middles.append(ring.mean(axis=0))
            radii.append(float(np.linalg.norm(across, axis=1).mean()))
    at = np.linspace(places[0], places[-1], 60)
    axis = np.stack([np.interp(at, places, column) for column in np.array(middles).T], axis=1)
    return axis, np.interp(at, places, radii)


def shift_to_frame(liver_mm: Float[np.ndarray, "points 3"]) -> Float64[np.ndarray, "3"]:
    """The way that puts a given liver to where a drawn one lies.

    Args:
        liver_mm: Its points: +x to the patient's right, +y to the front, +z to the head.
    """
    low, high = liver_mm.min(axis=0), liver_mm.max(axis=0)
    size = float(np.clip((high[0] - low[0]) / _WIDE_MM, 0.7, 1.25))
    middle = 0.5 * (low[1] + high[1])
    return np.array([_RIGHT_MM * size - high[0], _MIDDLE_MM - middle, _TOP_MM - high[2]])


def need_liver(names: set[str], source: str) -> None:
    """Refuse organs without a liver, from which all else takes its place.

    Raises:
        SceneError: Says which organs there are.
    """
    if "liver" not in names:
        raise SceneError(
            f"{source} has no liver, only {', '.join(sorted(names)) or 'nothing'}; all other "
            "organs take their place from it: add one"
        )
