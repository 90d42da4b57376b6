# SPDX-License-Identifier: Apache-2.0
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from endoforge.scene.anatomy.colon import colon
from endoforge.scene.anatomy.findings_settings import PolypSettings
from endoforge.scene.anatomy.lumen import Lumen, lumen_surface
from endoforge.scene.anatomy.mesh import lumen_from_surface
from endoforge.scene.anatomy.relief import plain_surface
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.streams import stream
from scene.tubes import cylinder


def test_a_plain_tube_has_no_folds():
    points, faces = cylinder(radius_mm=18.0, rings=101, around=90)
    surface = plain_surface(points.astype(np.float32), faces[:, ::-1].astype(np.int32))
    middle = np.abs(points[faces].mean(axis=1)[:, 2] - 60) < 40
    assert (surface.face_label[middle] == 1).all()
    assert (surface.face_instance == 0).all() and (surface.tint == 1).all()


def test_folds_of_a_drawn_colon_are_found_again_on_its_voxels():
    settings = ColonSettings(
        length_mm=200, start=(0.6, 0.6), around_spacing_mm=1.6, polyps=PolypSettings(count=(0, 0))
    )
    drawn, _ = colon(settings, stream(3, "anatomy"))
    fine = lumen_from_surface(drawn.vertices_mm, drawn.faces, 0.75)
    filled = ndimage.zoom(ndimage.binary_dilation(fine.inside).astype(np.float32), 0.5, order=1)
    world = fine.world_from_grid @ np.diag([2.0, 2.0, 2.0, 1.0])
    blurred = ndimage.gaussian_filter(filled, 0.5)
    vertices, faces = lumen_surface(Lumen(blurred, 1.5, world, ()), 12)
    found = plain_surface(vertices, faces).face_label == 2
    centres = drawn.vertices_mm[drawn.faces].mean(axis=1)
    nearest = cKDTree(centres).query(vertices[faces].mean(axis=1))[1]
    truth = drawn.face_label[nearest] == 2
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert dice > 0.62
