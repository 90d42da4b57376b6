# SPDX-License-Identifier: Apache-2.0
"""One picture is one kernel, and no pose, light, tissue, scene or motion compiles another one."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import drjit
import numpy as np
import pytest

from endoforge.geometry.cameras import FisheyeCamera
from endoforge.optics.tissue import Tissue
from endoforge.render.surface import SurfaceRenderer, View
from endoforge.render.view import OPTIONAL_LABELS, RightEye
from render import worlds
from render.worlds import walk

CAMERA = worlds.lenses(48, 36)["kannala-brandt"]
Names = Callable[[], list[str]]


@pytest.fixture
def kernels() -> Iterator[Names]:
    """Names the kernels that ran since it was last asked; a compiled kernel has a new name.

    Counting cache misses would not do: kernels from earlier runs lie on the disk.
    """
    drjit.set_flag(drjit.JitFlag.KernelHistory, True)
    drjit.kernel_history_clear()

    def names() -> list[str]:
        drjit.sync_thread()
        launches = drjit.kernel_history([drjit.KernelType.JIT])
        drjit.kernel_history_clear()
        assert launches
        return [str(launch["hash"]) for launch in launches]

    yield names
    drjit.set_flag(drjit.JitFlag.KernelHistory, False)


def test_nothing_is_compiled_after_the_first_frame(kernels):
    renderer = SurfaceRenderer(worlds.tube(), CAMERA, "cpu")
    renderer.render(walk(0))
    first = kernels()[-1]
    for k in range(1, 301):
        renderer.render(walk(k))
    assert kernels() == [first] * 300  # and one frame is one kernel


def test_nothing_is_compiled_for_another_scene_tissue_or_lens_of_the_same_kind(kernels):
    SurfaceRenderer(worlds.tube(), CAMERA, "cpu").render(walk(0))
    known = set(kernels())
    scenes = [
        worlds.tube(Tissue(texture_seed=2, tile_mm=70.0)),
        worlds.tube(rings=30, around=20),
        worlds.sphere(60.0, 3),
    ]
    for scene in scenes:
        SurfaceRenderer(scene, CAMERA, "cpu").render(walk(1))
    for width, height in ((60, 44), (61, 43), (7, 3)):
        other = FisheyeCamera.from_field_of_view(width, height, 120.0, (0.01, 0.0, 0.0, 0.0))
        SurfaceRenderer(worlds.tube(), other, "cpu").render(walk(2))
    assert set(kernels()) == known


def stereo(k: int) -> View:
    """A view with everything that a label can ask for."""
    before = worlds.turned(np.array([np.sin((k - 1) / 9), 0, 5.0]))
    here = walk(k)
    aside = np.eye(4)
    aside[0, 3] = -3.0 - 0.01 * k
    return replace(
        here,
        previous_camera_from_world=before,
        right=RightEye(CAMERA, aside @ here.camera_from_world),
    )


def test_moving_tissue_several_tissues_and_two_eyes_compile_their_kernels_once(kernels):
    tissues = (Tissue(texture_seed=1), Tissue(texture_seed=2, tile_mm=30.0))
    renderer = SurfaceRenderer(worlds.living_tube(tissues), CAMERA, "cpu", OPTIONAL_LABELS)
    renderer.render(stereo(0))
    first = set(kernels())
    assert len(first) == 5  # the two pictures, the box around a mesh, and two for its normals
    for k in (1, 2, 3, 7, 2):
        renderer.render(stereo(k))
    assert set(kernels()) == first
    others = [
        worlds.living_tube((Tissue(texture_seed=1),), seed=4),
        worlds.living_tube(tuple(Tissue(texture_seed=k, relief=0.01 * k) for k in range(5)), 5),
    ]
    for scene in others:
        SurfaceRenderer(scene, CAMERA, "cpu", OPTIONAL_LABELS).render(stereo(1))
    assert set(kernels()) == first


def test_a_label_that_nobody_asked_for_is_not_there():
    plain = SurfaceRenderer(worlds.tube(), CAMERA, "cpu").render(stereo(0))
    assert [name for name in OPTIONAL_LABELS if getattr(plain, name) is not None] == []
