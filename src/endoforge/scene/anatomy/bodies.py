# SPDX-License-Identifier: Apache-2.0
"""Closed bodies that grow out of a wall: where they stand, and their mesh.

A body is a grid in the place's own lengths: rows from its top to its foot, columns around it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32

from endoforge.scene.anatomy.curves import unit
from endoforge.scene.anatomy.surfaces import fan_faces, grid_faces, vertex_normals
from endoforge.scene.records import Surface


@dataclass(frozen=True, eq=False)
class Site:
    """Where a body stands: a patch of wall as a function of two lengths.

    Attributes:
        wall: Grid of wall points, world frame, mm; of a tube, rows along and columns around it.
        row: Row of the body's middle.
        column: Column of the body's middle.
        row_mm: Distance between rows there.
        column_mm: Distance between columns there.
        normal: Unit vector into the lumen.
        along: Unit vector in the wall's plane along the axis.
        closed: Whether the last column lies next to the first.
    """

    wall: Float64[np.ndarray, "rows columns 3"]
    row: int
    column: int
    row_mm: float
    column_mm: float
    normal: Float64[np.ndarray, "3"]
    along: Float64[np.ndarray, "3"]
    closed: bool = True

    @property
    def point_mm(self) -> Float64[np.ndarray, "3"]:
        """Wall point at the middle, world frame, mm."""
        return np.asarray(self.wall[self.row, self.column], dtype=np.float64)

    @property
    def side(self) -> Float64[np.ndarray, "3"]:
        """Unit vector in the wall's plane around the axis."""
        return np.asarray(np.cross(self.normal, self.along), dtype=np.float64)

    def point(
        self, along_mm: Float64[np.ndarray, "*shape"], around_mm: Float64[np.ndarray, "*shape"]
    ) -> Float64[np.ndarray, "*shape 3"]:
        """Wall point at a way along and around from the middle, world frame, mm."""
        rows, columns = self.wall.shape[:2]
        i = np.clip(self.row + along_mm / self.row_mm, 0, rows - 1.001)
        j = self.column + around_mm / self.column_mm
        if not self.closed:
            j = np.clip(j, 0, columns - 1.001)
        i0, j0 = np.floor(i).astype(int), np.floor(j).astype(int)
        di, dj = (i - i0)[..., None], (j - j0)[..., None]
        a, b = j0 % columns, (j0 + 1) % columns
        near = self.wall[i0, a] * (1 - dj) + self.wall[i0, b] * dj
        far = self.wall[i0 + 1, a] * (1 - dj) + self.wall[i0 + 1, b] * dj
        return np.asarray(near * (1 - di) + far * di, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Form:
    """A body's shape in lengths from its place; the first row is next to its top.

    Attributes:
        along_mm: Along the axis.
        around_mm: Around it.
        height_mm: Above the wall.
        top_mm: The three of the top point.
        follow_mm: Up to this height the body follows the wall, beyond it keeps its own shape.
    """

    along_mm: Float64[np.ndarray, "rows columns"]
    around_mm: Float64[np.ndarray, "rows columns"]
    height_mm: Float64[np.ndarray, "rows columns"]
    top_mm: tuple[float, float, float]
    follow_mm: float = 2.0


@dataclass(frozen=True, eq=False)
class Look:
    """What a body's triangles are and how they look.

    Attributes:
        label: Class index.
        material: Index into the anatomy's materials.
        tint: Multiplies the albedo: of each vertex of the grid row by row, the top and the root.
        stain: Blood and mucus on each of them; none if None.
    """

    label: int
    material: int
    tint: Float32[np.ndarray, "vertices 3"]
    stain: Float32[np.ndarray, "vertices 2"] | None = None


def body_surface(form: Form, site: Site, look: Look, instance: int) -> Surface:
    """Grow a body out of a wall: a closed surface whose foot follows the wall and dips below it."""
    body = _placed(form, site, form.along_mm, form.around_mm, form.height_mm)
    along, around, height = (np.full((1, 1), value) for value in form.top_mm)
    top = _placed(form, site, along, around, height)
    root = site.point_mm - 1.5 * site.normal
    vertices = np.concatenate([body.reshape(-1, 3), top.reshape(1, 3), root[None]])
    faces = closed_faces(body)
    vertices32 = vertices.astype(np.float32)
    return Surface(
        vertices_mm=vertices32,
        faces=faces,
        normals=vertex_normals(vertices32, faces),
        tint=look.tint,
        face_label=np.full(len(faces), look.label, np.uint8),
        face_instance=np.full(len(faces), instance, np.uint16),
        face_material=np.full(len(faces), look.material, np.uint8),
        stain=look.stain,
    )


def _placed(
    form: Form,
    site: Site,
    along: Float64[np.ndarray, "rows columns"],
    around: Float64[np.ndarray, "rows columns"],
    height: Float64[np.ndarray, "rows columns"],
) -> Float64[np.ndarray, "rows columns 3"]:
    follow = np.clip(1.0 - height / form.follow_mm, 0.0, 1.0)[..., None]
    foot = site.point(along, around)
    free = site.point_mm + along[..., None] * site.along + around[..., None] * site.side
    return np.asarray(follow * foot + (1 - follow) * free + height[..., None] * site.normal)


def closed_faces(body: Float64[np.ndarray, "rows columns 3"]) -> Int32[np.ndarray, "faces 3"]:
    """Faces of body, top and root, turning counter-clockwise seen from outside the body."""
    rows, columns = body.shape[:2]
    top, root = rows * columns, rows * columns + 1
    ring = np.arange(columns, dtype=np.int32)
    last = (rows - 1) * columns + ring
    return np.concatenate(
        [grid_faces(body), fan_faces(top, ring), fan_faces(root, last)[:, ::-1]]
    ).astype(np.int32)


#: Draws as many places as asked for and gives the most even, or, if told which way is up, the one
#: that faces up most.
DrawSite = Callable[[np.random.Generator, int, Float64[np.ndarray, "3"] | None], Site]


@dataclass(frozen=True, eq=False)
class Ground:
    """Where bodies may grow.

    Attributes:
        draw_site: Draws a place.
        axis_mm: Points that must stay free, world frame, mm.
    """

    draw_site: DrawSite
    axis_mm: Float64[np.ndarray, "points 3"]


def grid_ground(
    wall: Float64[np.ndarray, "rows columns 3"],
    rows: tuple[int, int],
    axis_mm: Float64[np.ndarray, "points 3"],
) -> Ground:
    """Bodies grow on a tube's grid of wall points, between two rows."""

    def draw_site(
        rng: np.random.Generator, tries: int, up: Float64[np.ndarray, "3"] | None = None
    ) -> Site:
        at = zip(rng.integers(*rows, tries), rng.integers(0, wall.shape[1], tries), strict=True)
        sites = [site_on_grid(wall, int(i), int(j)) for i, j in at]
        if up is None:
            return min(sites, key=unevenness)
        return max(sites, key=lambda site: float(site.normal @ up))

    return Ground(draw_site, axis_mm)


def site_on_grid(wall: Float64[np.ndarray, "rows columns 3"], row: int, column: int) -> Site:
    """The place at a vertex of a tube's grid of wall points."""
    columns = wall.shape[1]
    along = wall[row + 4, column] - wall[row - 4, column]
    around = wall[row, (column + 2) % columns] - wall[row, (column - 2) % columns]
    return Site(
        wall=wall,
        row=row,
        column=column,
        row_mm=float(np.linalg.norm(along)) / 8,
        column_mm=float(np.linalg.norm(around)) / 4,
        normal=unit(np.cross(along, around)),
        along=unit(along),
    )


def unevenness(site: Site) -> float:
    """How far the wall leaves its plane within 3 mm, mm."""
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = site.point(3.0 * np.cos(turn), 3.0 * np.sin(turn)) - site.point_mm
    return float(np.abs(ring @ site.normal).max())
