# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import drjit as dr
import numpy as np
import pytest

from endoforge.render.bounces import face_colours
from endoforge.render.constants import BLOOD_COLOUR
from endoforge.render.surface import SurfaceRenderer
from endoforge.render.transport import Transport
from endoforge.render.view import RightEye, View
from endoforge.scene.records import Scene
from render import worlds

LABELS = frozenset({"albedo", "shading", "specular", "clean", "texture_mm", "material"})
CAMERA = worlds.lenses(64, 48)["kannala-brandt"]
GLOBAL = Transport(bounces=3, samples=4)


@pytest.fixture(scope="module")
def tube() -> Scene:
    return worlds.tube()


@pytest.fixture(scope="module")
def renderer(tube: Scene) -> SurfaceRenderer:
    return SurfaceRenderer(tube, CAMERA, "cpu", LABELS)


def test_the_mean_colour_of_a_face_is_that_of_its_pixels(tube):
    colours = face_colours(tube)
    renderer = SurfaceRenderer(tube, CAMERA, "cpu", frozenset({"albedo"}))
    seen = renderer.render(worlds.view()).albedo
    mirrored = tube.tissues[0].f0
    assert colours.shape == (len(tube.surface.faces), 3)
    assert colours.mean(axis=0) - mirrored == pytest.approx(np.nanmean(seen, axis=(0, 1)), rel=0.1)


def test_blood_and_tissue_give_faces_their_colour(tube):
    count = len(tube.surface.vertices_mm)
    stain = np.zeros((count, 2), np.float32)
    stain[:, 0] = 1
    material = np.zeros(len(tube.surface.faces), np.uint8)
    material[:100] = 1
    chalk = replace(tube, tissues=(tube.tissues[0], worlds.CHALK))
    chalk = replace(chalk, surface=replace(tube.surface, face_material=material))
    tint = tube.surface.tint[tube.surface.faces].mean(axis=1)
    np.testing.assert_allclose(face_colours(chalk)[:100], 0.5 * tint[:100], rtol=1e-5)
    bloody = replace(chalk, surface=replace(chalk.surface, stain=stain))
    np.testing.assert_allclose(face_colours(bloody)[:100], [BLOOD_COLOUR] * 100, atol=1e-5)


def test_labels_do_not_change_with_the_light(renderer):
    view = worlds.walk(3)
    plain = renderer.render(view)
    for transport in (GLOBAL, Transport(aperture_mm=0.3), Transport(bounces=1, shutter=0.5)):
        frame = renderer.render(view, transport)
        for name in ("depth_mm", "normal_camera", "label", "flow_px", "valid", "albedo"):
            assert np.array_equal(getattr(frame, name), getattr(plain, name), equal_nan=True), name
        assert not np.array_equal(frame.image, plain.image)


def test_radiance_is_albedo_times_shading_plus_the_same_film_as_before(renderer, tube):
    view = worlds.walk(3)
    calm = tuple(replace(tissue, interreflection=0.0) for tissue in tube.tissues)
    lamps = SurfaceRenderer(replace(tube, tissues=calm), CAMERA, "cpu", LABELS)
    films = []
    for rendering in (lamps.render_linear(view), renderer.render_linear(view, GLOBAL)):
        frame = rendering.frame
        films.append((rendering.radiance - frame.albedo * frame.shading)[frame.valid])
    np.testing.assert_allclose(films[0], films[1], atol=2e-5)
    assert films[1].min() > -1e-5
    bright = np.array([0.2126, 0.7152, 0.0722])
    tissue = (frame.albedo * frame.shading)[frame.valid] @ bright
    clear = np.abs(films[1] @ bright - tissue) > 1e-4
    assert np.array_equal(frame.specular[frame.valid][clear], (films[1] @ bright > tissue)[clear])


def test_the_clean_label_is_sharp_in_focus_and_out(renderer):
    view = worlds.walk(3)
    sharp = renderer.render(view, GLOBAL)
    blurred = renderer.render(view, replace(GLOBAL, aperture_mm=1.0, focus_mm=5.0))
    assert np.array_equal(sharp.clean, blurred.clean)
    assert np.array_equal(sharp.shading, blurred.shading, equal_nan=True)
    assert not np.array_equal(sharp.image, blurred.image)


def test_a_frame_repeats_and_another_seed_differs(renderer):
    view = worlds.walk(5)
    first, again, other = (
        renderer.render_linear(v, GLOBAL).radiance for v in (view, view, replace(view, seed=9))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_second_eye_sees_the_same_walls_lit(tube):
    shifted = worlds.turned(np.array([0.8, 0.0, 5.0]))
    here = worlds.turned(np.array([0.0, 0.0, 5.0]))
    view = replace(worlds.view(here, here), right=RightEye(CAMERA, shifted))
    renderer = SurfaceRenderer(tube, CAMERA, "cpu", frozenset({"right"}))
    frame = renderer.render(view, Transport(bounces=3, samples=64, aperture_mm=0.1))
    left, right = frame.image.astype(float), frame.right.image.astype(float)
    assert abs(left.mean() - right.mean()) < 6


def rendered_kernels(renderer: SurfaceRenderer, views: list[View], transports: list[Transport]):
    for transport in transports:
        renderer.render(views[0], transport)
    dr.set_flag(dr.JitFlag.KernelHistory, True)
    dr.kernel_history_clear()
    for view in views[1:]:
        for k, transport in enumerate(transports):
            renderer.render(view, replace(transport, samples=3 + k, focus_mm=10.0 + view.index))
    launches = dr.kernel_history([dr.KernelType.JIT])
    dr.set_flag(dr.JitFlag.KernelHistory, False)
    return launches


def test_no_kernel_is_compiled_again_for_another_frame_sample_count_or_focus(tube):
    renderer = SurfaceRenderer(tube, CAMERA, "cpu", LABELS)
    transports = [GLOBAL, Transport(bounces=2, aperture_mm=0.2, shutter=0.4, subsamples=3)]
    launches = rendered_kernels(renderer, [worlds.walk(k) for k in range(6)], transports)
    assert len(launches) > 30
    assert sum(not launch["cache_hit"] for launch in launches) == 0


def test_four_paths_smoothed_are_nearer_the_truth_than_thirty_raw_ones(tube):
    camera = worlds.lenses(160, 120)["kannala-brandt"]
    renderer = SurfaceRenderer(tube, camera, "cpu")
    view = worlds.walk(3)
    truth = renderer.render_linear(view, Transport(4, 300, "off")).radiance
    scale = 1 / np.percentile(truth, 99)

    def error(transport: Transport) -> float:
        picture = renderer.render_linear(view, transport).radiance
        tones = [np.clip(p * scale, 0, 1) ** (1 / 2.2) for p in (picture, truth)]
        return float(-10 * np.log10(np.mean((tones[0] - tones[1]) ** 2)))

    raw, many, smooth = (
        error(Transport(4, count, method))
        for count, method in ((4, "off"), (32, "off"), (4, "guided"))
    )
    assert smooth > raw + 10
    assert smooth > many
