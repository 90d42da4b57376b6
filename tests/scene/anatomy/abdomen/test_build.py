# SPDX-License-Identifier: Apache-2.0
"""A drawn abdomen: complete, closed, nothing through anything, the same for the same draw."""

import numpy as np
import pytest

from endoforge.scene.anatomy.abdomen.build import build_abdomen
from endoforge.scene.anatomy.abdomen.cavity import cavity_volume
from endoforge.scene.anatomy.abdomen.drawing import sample_abdomen
from endoforge.scene.anatomy.abdomen.fitting import drawn_organs
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.surfaces import open_edges
from endoforge.scene.records import ABDOMEN_LABELS
from scene.abdomens import COARSE, abdomen_of, part

SEEDS = (0, 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_organ_of_an_operation_on_the_gallbladder_is_there(seed):
    anatomy = abdomen_of(seed)
    seen = {ABDOMEN_LABELS[k] for k in np.unique(anatomy.surface.face_label).tolist()}
    assert seen >= {
        "liver", "gallbladder", "abdominal wall", "fat", "ligament", "cystic duct",
        "cystic artery", "hepatocystic triangle", "stomach", "bowel", "diaphragm", "spleen",
    }  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_every_organ_is_closed_and_faces_the_gas(seed):
    anatomy = abdomen_of(seed)
    for name, instance in anatomy.instances.items():
        vertices, faces = part(anatomy.surface, instance)
        assert open_edges(faces) == 0, name
        inside_out = signed_volume(vertices, faces) < 0
        assert inside_out == (name == "abdominal wall"), name


@pytest.mark.parametrize("seed", SEEDS)
def test_arrays_fit_together(seed):
    surface = abdomen_of(seed).surface
    assert surface.faces.max() < len(surface.vertices_mm)
    assert surface.face_material.max() < len(abdomen_of(seed).materials)
    assert np.linalg.norm(surface.normals, axis=1) == pytest.approx(1.0, abs=1e-4)
    assert 0.2 < surface.tint.min() <= surface.tint.max() < 2.0


def test_organs_rest_on_one_another_without_overlap():
    draw = sample_abdomen(COARSE, np.random.default_rng(3))
    organs = drawn_organs(draw, cavity_volume(draw.cavity, 3.0), 3.0)
    soft = [o for o in organs if o.name not in ("abdominal wall", "falciform ligament")]
    for one in soft:
        for two in soft:
            if one is not two and "round" not in one.name + two.name:
                deep = -float(two.volume.at(one.vertices_mm).min())
                assert deep < 1.0, (one.name, two.name, deep)


@pytest.mark.parametrize("seed", SEEDS)
def test_organs_stay_within_the_wall(seed):
    draw = sample_abdomen(COARSE, np.random.default_rng(seed))
    room = cavity_volume(draw.cavity, 3.0)
    anatomy = abdomen_of(seed)
    for name, instance in anatomy.instances.items():
        if name not in ("abdominal wall", "falciform ligament", "round ligament"):
            assert room.at(part(anatomy.surface, instance)[0]).max() < 0.3, name


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gallbladder_hangs_under_the_liver(seed):
    anatomy = abdomen_of(seed)
    liver = part(anatomy.surface, anatomy.instances["liver"])[0]
    bladder = part(anatomy.surface, anatomy.instances["gallbladder"])[0]
    beside = liver[np.abs(liver[:, :2] - bladder.mean(axis=0)[:2]).max(axis=1) < 15]
    assert bladder.mean(axis=0)[2] < beside[:, 2].mean()
    near = np.linalg.norm(liver[:, None] - bladder[None, ::40], axis=2).min(axis=0)
    assert np.quantile(near, 0.2) < 3.0  # it lies in its bed


@pytest.mark.parametrize("seed", SEEDS)
def test_the_liver_has_a_liver_s_size(seed):
    anatomy = abdomen_of(seed)
    vertices, faces = part(anatomy.surface, anatomy.instances["liver"])
    litres = signed_volume(vertices, faces) / 1e6
    assert 0.8 < litres < 2.4


@pytest.mark.parametrize("seed", SEEDS)
def test_ports_lie_on_the_wall_and_point_into_gas(seed):
    anatomy = abdomen_of(seed)
    wall = part(anatomy.surface, anatomy.instances["abdominal wall"])[0]
    everything = anatomy.surface.vertices_mm
    for port in anatomy.ports:
        assert np.linalg.norm(wall - port.point_mm, axis=1).min() < 8.0
        way = port.point_mm + np.arange(6.0, 20.0, 2.0)[:, None] * port.normal
        assert np.linalg.norm(everything - way[:, None], axis=2).min() > 2.0, port.name


@pytest.mark.parametrize("seed", SEEDS)
def test_targets_lie_on_what_they_name(seed):
    anatomy = abdomen_of(seed)
    for target in anatomy.targets:
        if target.name in anatomy.instances:
            vertices = part(anatomy.surface, anatomy.instances[target.name])[0]
            assert np.linalg.norm(vertices - target.point_mm, axis=1).min() < 0.1, target.name
    names = {t.name for t in anatomy.targets}
    assert {"liver", "gallbladder", "triangle", "neck", "fundus"} <= names


def test_the_same_draw_gives_the_same_abdomen():
    one = build_abdomen(COARSE, np.random.default_rng(5))
    two = build_abdomen(COARSE, np.random.default_rng(5))
    assert np.array_equal(one.surface.vertices_mm, two.surface.vertices_mm)
    assert np.array_equal(one.surface.tint, two.surface.tint)


def test_abdomens_differ():
    one, two = abdomen_of(0), abdomen_of(1)
    assert len(one.surface.vertices_mm) != len(two.surface.vertices_mm)


def test_the_default_has_as_many_triangles_as_a_renderer_likes():
    anatomy = build_abdomen(AbdomenSettings(), np.random.default_rng(0))
    assert 150_000 < len(anatomy.surface.faces) < 400_000
