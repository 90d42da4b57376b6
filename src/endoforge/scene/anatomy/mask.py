# SPDX-License-Identifier: Apache-2.0
"""A patient's colon: from a segmented CT volume to a closed surface and a centre line.

What is repaired, and said in the record: crumbs are left out, islands in the lumen are filled, a
lumen that is cut by the edge of the volume is closed there. Loops that touch stay joined in the
surface, because a mask does not say where the wall was; the centre line goes round through the
lumen (see `centreline`) and the number of handles is reported.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from endoforge.frames.foreign import NIFTI, NIFTI_GZ, kind_of_file, parse_in_child
from endoforge.frames.storage import sha256_of
from endoforge.scene.anatomy.centreline import lumen_centreline
from endoforge.scene.anatomy.lumen import Lumen, lumen_from_mask, lumen_surface
from endoforge.scene.anatomy.nifti import parse_nifti
from endoforge.scene.anatomy.relief import plain_surface
from endoforge.scene.anatomy.settings import MaskAnatomy
from endoforge.scene.records import Centreline, Surface

_COARSEST_MM = 4.0


def read_mask(
    path: Path,
) -> tuple[Bool[np.ndarray, "i j k"], Float64[np.ndarray, "4 4"]]:
    """Read a binary volume.

    Args:
        path: NIfTI file, ``.nii`` or ``.nii.gz``.

    Returns:
        True where a voxel is above 0, and world_from_voxel, mm (+x right, +y front, +z head).

    Raises:
        DataError: The file is damaged, lies about its size, or is no mask of one volume.
    """
    kind_of_file(path, (NIFTI_GZ, NIFTI))
    content = parse_in_child(parse_nifti, path)
    return content["mask"].view(bool), content["affine"]


@dataclass(frozen=True, eq=False)
class MaskSurface:
    """The surface around a mask's lumen.

    Attributes:
        vertices_mm: World positions, mm.
        faces: Triangles, facing into the lumen.
        lumen: What they lie around.
    """

    vertices_mm: Float32[np.ndarray, "vertices 3"]
    faces: Int32[np.ndarray, "faces 3"]
    lumen: Lumen

    @property
    def handles(self) -> int:
        """Handles of the surface: 0 for a plain tube; loops that touch and holes in folds add."""
        euler = len(self.vertices_mm) - len(self.faces) // 2
        return (2 - euler) // 2


def surface_from_mask(
    mask: Bool[np.ndarray, "i j k"], affine: Float64[np.ndarray, "4 4"], settings: MaskAnatomy
) -> MaskSurface:
    """Put a closed, smoothed surface around a mask, no finer than its number of triangles allows.

    Args:
        mask: True in the lumen.
        affine: world_from_voxel, mm.
        settings: Resolution, smoothing and the most triangles.

    Raises:
        SceneError: The mask is empty, tiny, or has two lumens.
    """
    volume: UInt8[np.ndarray, "i j k"] = mask.view(np.uint8)
    step = settings.resolution_mm
    while True:
        lumen = lumen_from_mask(volume, affine, step)
        vertices, faces = lumen_surface(lumen, settings.smoothing)
        if len(faces) <= settings.triangles or step >= _COARSEST_MM:
            return MaskSurface(vertices, faces, lumen)
        step = min(step * 1.03 * float(np.sqrt(len(faces) / settings.triangles)), _COARSEST_MM)


def colon_from_mask(settings: MaskAnatomy) -> tuple[Surface, Centreline, dict[str, str]]:
    """Build a patient's colon from a mask file.

    Returns:
        Surface with folds labelled where the wall stands out, centre line from the rectum (the end
        nearer the feet) to the caecum, and the record of where it came from and what was repaired.

    Raises:
        DataError: The file is damaged or no mask.
        SceneError: The mask is empty, tiny, or has two lumens.
    """
    mask, affine = read_mask(settings.mask)
    found = surface_from_mask(mask, affine, settings)
    centreline = lumen_centreline(found.lumen, found.vertices_mm, found.faces)
    surface = plain_surface(found.vertices_mm, found.faces)
    return surface, centreline, _record(settings, found, centreline)


def _record(settings: MaskAnatomy, found: MaskSurface, centreline: Centreline) -> dict[str, str]:
    notes = [*found.lumen.notes]
    if found.handles:
        notes.append(
            f"the surface has {found.handles} handles where loops touch or folds have holes; they "
            "stay, and the centre line goes round through the lumen"
        )
    return {
        "source": f"segmented volume {settings.mask.name}",
        "sha256": sha256_of(settings.mask),
        "licence": "that of the volume; not stated in it",
        "resolution_mm": f"{found.lumen.step_mm:.3g}",
        "triangles": str(len(found.faces)),
        "handles": str(found.handles),
        "centreline_mm": f"{centreline.length_mm:.0f}",
        "fold_labels": "found by curvature, not drawn by a person",
        "repairs": "; ".join(notes) or "none",
    }
