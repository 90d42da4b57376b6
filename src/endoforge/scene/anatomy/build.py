# SPDX-License-Identifier: Apache-2.0
"""From settings to an anatomy, whichever kind they name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from endoforge.frames.storage import sha256_of
from endoforge.scene.anatomy.colon import sample_colon, shape_colon
from endoforge.scene.anatomy.findings import (
    COLON_MATERIALS,
    Bare,
    sample_findings,
    up_of,
    with_findings,
)
from endoforge.scene.anatomy.findings_settings import Additions, MotilitySettings
from endoforge.scene.anatomy.mask import colon_from_mask
from endoforge.scene.anatomy.mesh import read_mesh
from endoforge.scene.anatomy.meshground import mesh_ground
from endoforge.scene.anatomy.peristalsis import Peristalsis, sample_motility
from endoforge.scene.anatomy.settings import ColonSettings, MaskAnatomy, MeshAnatomy
from endoforge.scene.anatomy.surfaces import wall_distance
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import Centreline, Surface

#: Where a drawn colon came from.
DRAWN_PROVENANCE = {
    "source": "drawn by endoforge.scene.anatomy.colon",
    "licence": "Apache-2.0",
}


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A lumen without its look.

    Attributes:
        surface: All tissue in one labelled mesh.
        centreline: Where a camera may go.
        provenance: Where it came from and under which licence.
        materials: Names of what its faces are made of, by `Surface.face_material`.
        targets: Places worth looking at: the polyps.
    """

    surface: Surface
    centreline: Centreline
    provenance: Mapping[str, str]
    materials: tuple[str, ...] = ("mucosa",)
    targets: tuple[Target, ...] = ()


def build_anatomy(
    settings: ColonSettings | MaskAnatomy | MeshAnatomy, rng: np.random.Generator
) -> Anatomy:
    """Build the anatomy that the settings name.

    Args:
        settings: A drawn colon, a mask or a mesh file.
        rng: Random numbers of this one anatomy; a file without additions uses none.

    Raises:
        SceneError: The anatomy cannot be used; says why and what to do.
        DataError: The file is damaged or not what it claims to be.
    """
    match settings:
        case ColonSettings():
            found, centreline = shape_colon(sample_colon(settings, rng), settings)
            return Anatomy(
                surface=found.surface,
                centreline=centreline,
                provenance=DRAWN_PROVENANCE,
                materials=COLON_MATERIALS,
                targets=found.targets,
            )
        case MaskAnatomy():
            return _with_additions(Anatomy(*colon_from_mask(settings)), settings.additions, rng)
        case MeshAnatomy(mesh=mesh, unit=unit):
            bare = Anatomy(*read_mesh(mesh, unit), _mesh_record(settings))
            return _with_additions(bare, settings.additions, rng)
        case _:
            assert_never(settings)


def motion_of(
    anatomy: Anatomy, motility: MotilitySettings | None, rng: np.random.Generator
) -> Peristalsis | None:
    """Draw how an anatomy moves by itself.

    Args:
        anatomy: Drawn, or from a file.
        motility: Ranges to draw from; None for a colon at rest.
        rng: Random numbers of this one motion.
    """
    if motility is None:
        return None
    drawn = sample_motility(motility, anatomy.centreline.length_mm, rng)
    return Peristalsis(anatomy.surface, anatomy.centreline, drawn)


def _with_additions(anatomy: Anatomy, settings: Additions, rng: np.random.Generator) -> Anatomy:
    """Put polyps, pouches, fluid, stool and stains into an anatomy from a file, if asked for."""
    findings = sample_findings(settings, rng)
    if findings.empty:
        return anatomy
    ground = mesh_ground(anatomy.surface, anatomy.centreline)
    up = up_of(findings.position, scanner=True)
    found = with_findings(findings, Bare(anatomy.surface, ground, (), up, next_instance=1))
    points = anatomy.centreline.points_mm
    radius = wall_distance(found.surface.vertices_mm, found.surface.faces, points)
    return Anatomy(
        surface=found.surface,
        centreline=Centreline(points, np.minimum(radius, anatomy.centreline.radius_mm)),
        provenance={**anatomy.provenance, "additions": "drawn by endoforge"},
        materials=COLON_MATERIALS,
        targets=found.targets,
    )


def _mesh_record(settings: MeshAnatomy) -> dict[str, str]:
    return {
        "source": f"mesh {settings.mesh.name} in {settings.unit}",
        "sha256": sha256_of(settings.mesh),
        "licence": "that of the mesh; not stated in it",
        "fold_labels": "found by curvature, not drawn by a person",
    }
