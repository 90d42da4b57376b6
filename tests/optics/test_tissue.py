# SPDX-License-Identifier: Apache-2.0
"""Reflection laws: normalisation, reciprocity, energy, and what is drawn from the settings."""

import numpy as np
import pytest

from endoforge.optics.settings import TissueSettings
from endoforge.optics.tissue import (
    edge_gain,
    film_roughness,
    ggx_density,
    normal_reflectance,
    sample_tissue,
    schlick_fresnel,
    smith_visibility,
    soft_cosine,
)
from endoforge.streams import stream

COSINES = np.linspace(0, 1, 20_001)


def over_hemisphere(values: np.ndarray) -> float:
    """Integral over directions of a function of the cosine alone."""
    return float(2 * np.pi * np.trapezoid(values, COSINES))


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.7, 1.0])
def test_facets_project_onto_the_whole_surface(alpha):
    assert over_hemisphere(ggx_density(COSINES, alpha) * COSINES) == pytest.approx(1, rel=1e-3)


def test_masking_is_reciprocal_and_never_brightens():
    a, b = np.meshgrid(np.linspace(0.01, 1, 40), np.linspace(0.01, 1, 40))
    np.testing.assert_allclose(smith_visibility(a, b, 0.3), smith_visibility(b, a, 0.3))
    assert (4 * a * b * smith_visibility(a, b, 0.3) <= 1 + 1e-12).all()
    np.testing.assert_allclose(4 * a * b * smith_visibility(a, b, 0.0), 1, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.1, 0.4])
def test_the_film_reflects_no_more_than_it_receives(alpha):
    rng = np.random.default_rng(0)
    out = np.array([0.6, 0.0, 0.8])
    cosine, turn = rng.random(200_000), rng.random(200_000) * 2 * np.pi
    sine = np.sqrt(1 - cosine**2)
    light = np.stack([sine * np.cos(turn), sine * np.sin(turn), cosine], -1)
    half = light + out
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    mirrored = ggx_density(half[:, 2], alpha) * smith_visibility(cosine, np.full(1, 0.8), alpha)
    assert 2 * np.pi * np.mean(mirrored * cosine) < 1.02


def test_fresnel_starts_at_the_normal_reflectance_and_ends_at_one():
    f0 = normal_reflectance(1.4)
    np.testing.assert_allclose(schlick_fresnel(np.array([1.0, 0.0]), f0), [f0, 1.0])


def test_schlick_stays_near_fresnel():
    cos_in = np.linspace(0.1, 1, 50)
    cos_out = np.sqrt(1 - (1 - cos_in**2) / 1.4**2)
    across = ((cos_in - 1.4 * cos_out) / (cos_in + 1.4 * cos_out)) ** 2
    along = ((1.4 * cos_in - cos_out) / (1.4 * cos_in + cos_out)) ** 2
    exact = (across + along) / 2
    assert np.abs(schlick_fresnel(cos_in, normal_reflectance(1.4)) - exact).max() < 0.06


@pytest.mark.parametrize("softness", [0.0, 0.3, 0.8])
def test_the_soft_cosine_keeps_the_energy_of_lamberts_law(softness):
    cosines = np.linspace(-1, 1, 40_001)
    total = 2 * np.pi * np.trapezoid(soft_cosine(cosines, softness), cosines)
    assert total == pytest.approx(np.pi, rel=1e-4)


def test_without_softness_it_is_lamberts_law():
    np.testing.assert_array_equal(soft_cosine(np.array([-0.5, 0.0, 0.7]), 0.0), [0, 0, 0.7])


def test_edges_glow_and_faces_do_not():
    np.testing.assert_allclose(edge_gain(np.array([1.0, 0.5, 0.0]), 0.8), [1.0, 1.1, 1.8])


def test_drawn_tissue_is_reddish_and_absorbs():
    for k in range(50):
        tissue = sample_tissue(TissueSettings(), stream(1, "tissue", k))
        red, green, blue = tissue.albedo
        assert 1 > red > green > blue > 0
        assert tissue.softness[0] > tissue.softness[1] > tissue.softness[2] >= 0
        assert 0.019 < tissue.f0 < 0.04
        assert 0 <= tissue.texture_seed < TissueSettings().textures


def test_the_same_stream_draws_the_same_tissue():
    one, two = (sample_tissue(TissueSettings(), stream(1, "tissue", 4)) for _ in range(2))
    assert one == two


def test_an_even_film_has_one_roughness_and_an_uneven_one_spans_sixteenfold():
    film = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(film_roughness(0.08, 0.0, film), 0.08)
    np.testing.assert_allclose(film_roughness(0.08, 1.0, film), [0.02, 0.08, 0.32])
