# SPDX-License-Identifier: Apache-2.0
"""What is drawn at a collision follows the law it stands for, and no light is lost or made."""

import numpy as np
import pytest

from endoforge.render.engine import start

COUNT = 1 << 18


@pytest.fixture(scope="module")
def drawn():
    """A function that draws many directions from one kind of collision."""
    start("cpu")
    import mitsuba as mi

    from endoforge.render.volume.chance import chance_of
    from endoforge.render.volume.scattering import draw_direction, draw_facet, reflected, scatterer

    def draw(surface, cosine, roughness, f0, g=0.0, albedo=1.0):
        random = chance_of(COUNT, (mi.Float(1), mi.Float(2), mi.Float(3)))
        sine = np.sqrt(1 - cosine**2)
        forward = mi.Vector3f(mi.Float(np.full(COUNT, sine, np.float32)), 0, -cosine)
        looks = (mi.Color3f(albedo), mi.Float(roughness), mi.Float(f0))
        hit = scatterer(mi.Vector3f(0, 0, 2), mi.Bool(surface), forward, looks, mi.Float(g))
        facet = draw_facet(hit, random.next(), random.next())
        toward, kept = draw_direction(hit, facet, random)
        z, turn = 1 - random.next(), 2 * np.pi * random.next()
        flat = mi.Float(1 - z * z) ** 0.5
        import drjit as dr

        half_sphere = mi.Vector3f(flat * dr.cos(turn), flat * dr.sin(turn), z)
        value = reflected(hit, facet, half_sphere)
        return {
            "toward": np.array(toward).reshape(3, -1),
            "kept": np.array(kept).reshape(3, -1)[0] * np.ones(COUNT),
            "value": np.array(value).reshape(3, -1)[0],
            "way": np.array(half_sphere).reshape(3, -1),
            "forward": np.array([sine, 0, -cosine]),
        }

    return draw


@pytest.mark.parametrize("cosine", [0.15, 0.6, 1.0])
@pytest.mark.parametrize(("roughness", "f0"), [(0.05, 0.04), (0.5, 0.3), (1.0, 1.0)])
def test_a_white_surface_reflects_all_light_and_no_more(drawn, cosine, roughness, f0):
    found = drawn(True, cosine, max(roughness, 0.2), f0)
    assert (found["kept"] == 1).all()
    assert (found["toward"][2] > -1e-6).all()
    integral = 2 * np.pi * found["value"]
    error = integral.std() / np.sqrt(COUNT)
    assert abs(integral.mean() - 1) < 4 * error
    assert error < 0.02


@pytest.mark.parametrize(("cosine", "roughness", "f0"), [(0.3, 0.4, 0.3), (0.9, 0.7, 1.0)])
def test_directions_off_a_surface_are_drawn_as_its_light_goes(drawn, cosine, roughness, f0):
    found = drawn(True, cosine, roughness, f0)
    # the mean of any function over drawn directions is its integral with the BRDF times cosine
    for probe in (lambda w: w[2], lambda w: w[0], lambda w: w[0] * w[2], lambda w: w[2] ** 3):
        by_draws = probe(found["toward"])
        by_value = 2 * np.pi * found["value"] * probe(found["way"])
        error = np.hypot(by_draws.std(), by_value.std()) / np.sqrt(COUNT)
        assert abs(by_draws.mean() - by_value.mean()) < 4 * error


@pytest.mark.parametrize("g", [0.0, 0.7, -0.4])
def test_the_mean_cosine_of_light_through_tissue_is_g(drawn, g):
    found = drawn(False, 0.5, 0.3, 0.04, g, albedo=0.25)
    cosines = found["forward"] @ found["toward"]
    assert cosines.mean() == pytest.approx(g, abs=4e-3)
    assert (cosines**2).mean() == pytest.approx((1 + 2 * g * g) / 3, abs=4e-3)
    assert np.allclose(np.linalg.norm(found["toward"], axis=0), 1, atol=1e-4)
    assert (found["kept"] == 0.25).all()


def test_light_goes_both_ways_alike_through_tissue_and_a_film_of_full_reflectance(drawn):
    # f0 = 1 leaves nothing to the body: the film alone, D G F / (4 cos cos)
    start("cpu")
    import mitsuba as mi

    from endoforge.render.volume.scattering import Facet, reflected, scatterer

    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(2, 3, 200)).astype(np.float32)
    one[2], other[2] = np.abs(one[2]) + 0.1, np.abs(other[2]) + 0.1
    one, other = (w / np.linalg.norm(w, axis=0) for w in (one, other))

    def value(back, toward):
        forward = mi.Vector3f(*(mi.Float(-c.copy()) for c in back))
        looks = (mi.Color3f(1), mi.Float(0.4), mi.Float(1))
        hit = scatterer(mi.Vector3f(0, 0, 1), mi.Bool(True), forward, looks, mi.Float(0))
        none = Facet(mi.Vector3f(0, 0, 1), mi.Float(1))
        way = mi.Vector3f(*(mi.Float(c.copy()) for c in toward))
        return np.array(reflected(hit, none, way)).reshape(3, -1)[0] / toward[2]

    assert np.allclose(value(one, other), value(other, one), rtol=1e-3)
