# SPDX-License-Identifier: Apache-2.0
"""The laws of the labels hold for every recipe, lens, path and motion, two eyes included."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from endoforge.frames.check import check_dataset
from endoforge.simulation.recipes import load_recipe, recipe_names
from endoforge.simulation.run import simulate_dataset

TINY = ("frames=2", "sequence_frames=2", "camera.width=64", "camera.height=52")
TRACKED = "tracked_points=8"


def check_recipe(name, folder):
    kind = load_recipe(name, {})
    less = (TRACKED,) if hasattr(kind, "tracked_points") else ("quality.samples=2",)
    simulation = load_recipe(name, {"seed": 11}, [*TINY, *less])
    report = simulate_dataset(simulation, folder)
    assert report.failures == {}
    assert [str(problem) for problem in check_dataset(folder).problems] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_keeps_every_law(name, tmp_path):
    check_recipe(name, tmp_path / "data")


LENSES = st.one_of(
    st.builds("camera.diagonal_deg={}".format, st.floats(70.0, 190.0)),
    st.builds("camera={{model: pinhole, horizontal_deg: {}}}".format, st.floats(40.0, 120.0)),
    st.builds("camera.content_radius={}".format, st.floats(0.5, 1.4)),
    st.builds("camera.corner_cut={}".format, st.floats(0.1, 0.9)),
    st.builds(
        "camera={{model: omnidirectional, diagonal_deg: {}, content_radius: {}}}".format,
        st.floats(70.0, 190.0),
        st.sampled_from([0.0, 0.9]),
    ),
)
EYES = st.sampled_from(
    [
        "camera.stereo=null",
        "camera.stereo={baseline_mm: 2.0}",
        "camera.stereo={baseline_mm: 3.0, convergence_deg: 4.0}",
    ]
)
MOTION = st.sampled_from(["anatomy.motility=null", "anatomy.motility={ring_depth: 0.4}"])
PATHS = st.sampled_from(
    ["trajectory.wall_hits=0", "trajectory.wall_hits=8", "trajectory.speed_mm=1.5"]
)
LIGHT = st.builds("transport.bounces={}".format, st.integers(0, 2))
SEEDS = st.integers(0, 10_000)


@pytest.mark.slow
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lens=LENSES, eyes=EYES, motion=MOTION, path=PATHS, light=LIGHT, seed=SEEDS)
@example(
    lens="camera={model: omnidirectional, diagonal_deg: 160, content_radius: 0.9}",
    eyes="camera.stereo={baseline_mm: 3.0, convergence_deg: 4.0}",
    motion="anatomy.motility={ring_depth: 0.4}",
    path="trajectory.wall_hits=8",
    light="transport.bounces=1",
    seed=3,
)
@example(  # polyps beside and behind the lens have no depth, and so no object
    lens="camera={model: omnidirectional, diagonal_deg: 185.3}",
    eyes="camera.stereo={baseline_mm: 2.0}",
    motion="anatomy.motility={ring_depth: 0.4}",
    path="trajectory.wall_hits=0",
    light="transport.bounces=0",
    seed=806,
)
def test_random_colons_keep_every_law(tmp_path_factory, lens, eyes, motion, path, light, seed):
    folder = tmp_path_factory.mktemp("laws") / "data"
    size = ("camera.width=64", "camera.height=52") if lens.startswith("camera=") else ()
    assignments = [lens, *size, eyes, motion, path, light]
    simulation = load_recipe(
        "colon",
        {"seed": seed},
        [*TINY, TRACKED, "anatomy.length_mm=130", *assignments],
    )
    assert simulate_dataset(simulation, folder).failures == {}
    assert [str(problem) for problem in check_dataset(folder).problems] == []
