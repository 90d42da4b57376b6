# SPDX-License-Identifier: Apache-2.0
"""Simple lumens whose geometry is known, and mesh files written by hand."""

from pathlib import Path

import nibabel as nib
import numpy as np

from endoforge.scene.anatomy.findings_settings import PolypSettings
from endoforge.scene.anatomy.settings import ColonSettings

#: A short, coarse colon that is made in a tenth of a second.
SMALL = ColonSettings(
    length_mm=160, around_spacing_mm=1.6, polyps=PolypSettings(count=(3, 3), diameter_mm=(4, 14))
)


def tube_mask(points, radius_mm, shape, step_mm=1.0):
    """Voxels nearer to a curve than a radius; voxel centres at multiples of the step."""
    from scipy.spatial import cKDTree

    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    distance = cKDTree(points).query(grid.reshape(-1, 3) * step_mm)[0]
    return (distance.reshape(shape) <= radius_mm).astype(np.uint8)


def straight(length_mm=80.0, at=(20.0, 20.0, 15.0)):
    z = np.arange(0.0, length_mm, 0.25)
    return np.stack([np.full_like(z, at[0]), np.full_like(z, at[1]), z + at[2]], axis=1)


def hairpin(apart_mm=24.0, leg_mm=90.0, at=(16.0, 16.0, 16.0)):
    """Two straight legs side by side, joined at the top by half a circle."""
    z = np.arange(0.0, leg_mm, 0.25)
    turn = np.linspace(0, np.pi, 200)
    r = apart_mm / 2
    x = np.concatenate([0 * z, r - r * np.cos(turn), 0 * z + apart_mm])
    up = np.concatenate([z, leg_mm + r * np.sin(turn), z[::-1]])
    return np.stack([x, 0 * x, up], axis=1) + np.asarray(at)


def write_nifti(path: Path, mask, affine=None, **header):
    image = nib.Nifti1Image(mask, np.eye(4) if affine is None else np.asarray(affine, float))
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def cylinder(length_mm=120.0, radius_mm=15.0, rings=61, around=48):
    """A closed cylinder along z as vertices and outward-facing triangles."""
    turn = np.linspace(0, 2 * np.pi, around, endpoint=False)
    circle = radius_mm * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    z = np.linspace(0, length_mm, rings)
    points = (circle[None] + z[:, None, None] * np.array([0, 0, 1.0])).reshape(-1, 3)
    points = np.concatenate([points, [[0, 0, 0.0], [0, 0, length_mm]]])
    index = np.arange(rings * around).reshape(rings, around)
    a, b = index[:-1].ravel(), index[1:].ravel()
    a2, b2 = np.roll(index, -1, 1)[:-1].ravel(), np.roll(index, -1, 1)[1:].ravel()
    ring, last = index[0], index[-1]
    bottom, top = len(points) - 2, len(points) - 1
    faces = np.concatenate(
        [
            np.stack([a, a2, b], 1),
            np.stack([a2, b2, b], 1),
            np.stack([np.full(around, bottom), np.roll(ring, -1), ring], 1),
            np.stack([np.full(around, top), last, np.roll(last, -1)], 1),
        ]
    )
    return points, faces


def stl_bytes(points, faces):
    record = np.zeros(len(faces), [("n", "<f4", 3), ("c", "<f4", (3, 3)), ("x", "<u2")])
    record["c"] = np.asarray(points)[faces]
    return bytes(80) + np.uint32(len(faces)).tobytes() + record.tobytes()


def obj_text(points, faces):
    vertices = "".join(f"v {x} {y} {z}\n" for x, y, z in points)
    return vertices + "".join(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in faces)


def ply_bytes(points, faces, form="binary_little_endian"):
    head = (
        f"ply\nformat {form} 1.0\nelement vertex {len(points)}\nproperty float x\n"
        f"property float y\nproperty float z\nelement face {len(faces)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    ).encode()
    if form == "ascii":
        rows = [" ".join(map(str, p)) for p in points] + [f"3 {a} {b} {c}" for a, b, c in faces]
        return head + ("\n".join(rows) + "\n").encode()
    order = "<" if form == "binary_little_endian" else ">"
    record = np.zeros(len(faces), [("n", "u1"), ("i", order + "i4", 3)])
    record["n"], record["i"] = 3, faces
    return head + np.asarray(points, order + "f4").tobytes() + record.tobytes()
