# SPDX-License-Identifier: Apache-2.0
"""The laws of the labels hold for random laparoscopies: any lens, eyes, path, tools and motion."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from endoforge.frames.check import check_dataset
from endoforge.geometry.camera_files import write_camera
from endoforge.geometry.cameras import FisheyeCamera
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset

TINY = ("frames=2", "sequence_frames=2", "tracked_points=8", "anatomy.resolution_mm=4")
SIZE = "width: 64, height: 52"

#: A content area cuts the picture round, beside its middle or beyond its sides.
ROUND = st.one_of(st.just(0.0), st.floats(0.5, 1.4))
#: Rectified, and turned towards each other.
EYES = st.sampled_from(
    ["null", "{baseline_mm: 3.0}", "{baseline_mm: 5.0, convergence_deg: 4.0}"],
)


@st.composite
def cameras(draw):
    """Every kind of camera, as a recipe says it; `FILE` stands for the path of one."""
    angle = draw(st.floats(50.0, 110.0))
    wide = draw(st.floats(60.0, 180.0))
    lens = draw(
        st.sampled_from(
            [
                f"model: pinhole, horizontal_deg: {angle}, {SIZE}",
                f"model: pinhole, horizontal_deg: 70, distortion: [-0.2, 0.05, 0, 0, 0], {SIZE}",
                f"model: fisheye, diagonal_deg: {wide}, {SIZE}",
                f"model: omnidirectional, diagonal_deg: {wide}, {SIZE}",
                f"model: omnidirectional, diagonal_deg: 150, shape: [0, -0.2, -0.02, 0], {SIZE}",
                "file: FILE",
            ]
        )
    )
    return f"camera={{{lens}, content_radius: {draw(ROUND)}, stereo: {draw(EYES)}}}"


PATHS = st.sampled_from(
    [
        "trajectory={path: laparoscope, oblique_deg: 0}",
        "trajectory={path: laparoscope, oblique_deg: 45}",
        "trajectory={path: inspection, target: gallbladder, clearance_mm: 10}",
        "trajectory={path: views}",
        "trajectory={path: views, target: stomach, distance_mm: [30, 60]}",
    ]
)
STILL = "anatomy.motion=null"
BREATHING = "anatomy.motion={breath_mm: 14, breaths_per_min: 40, frames_per_s: 10}"


@st.composite
def tools_and_motion(draw):
    """At most one tool, and organs that move or are still; still ones cannot be pulled."""
    motion = draw(st.sampled_from([STILL, BREATHING]))
    behaviours = ["work", "hold"] if motion == STILL else ["work", "hold", "pull", "retract"]
    tool = st.builds(
        "{{kind: {}, port: {}, target: {}, motion: {{behaviour: {}}}}}".format,
        st.sampled_from(["grasper", "dissector", "scissors", "hook", "clipper", "suction"]),
        st.sampled_from(["port-epigastric", "port-right", "port-flank"]),
        st.sampled_from(["liver", "gallbladder", "triangle"]),
        st.sampled_from(behaviours),
    )
    return draw(st.lists(tool, max_size=1)), motion


LIGHT = st.builds("transport.bounces={}".format, st.integers(0, 1))


@pytest.mark.slow
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cameras(), PATHS, tools_and_motion(), LIGHT, st.integers(0, 4))
@example(
    f"camera={{model: omnidirectional, diagonal_deg: 150, content_radius: 0.9, {SIZE}, "
    "stereo: {baseline_mm: 5.0, convergence_deg: 4.0}}",
    "trajectory={path: laparoscope, oblique_deg: 30}",
    (["{kind: grasper, port: port-flank, target: fundus, motion: {behaviour: pull}}"], BREATHING),
    "transport.bounces=0",
    1,
)
@example(
    "camera={file: FILE, stereo: {baseline_mm: 4.0}}",
    "trajectory={path: views}",
    ([], BREATHING),
    "transport.bounces=1",
    0,
)
@example(  # the clip that an applier holds is part of it
    f"camera={{model: pinhole, horizontal_deg: 50.0, {SIZE}, content_radius: 0.0, stereo: null}}",
    "trajectory={path: laparoscope, oblique_deg: 45}",
    (["{kind: clipper, port: port-epigastric, target: liver, motion: {behaviour: work}}"], STILL),
    "transport.bounces=0",
    1,
)
def test_random_laparoscopies_keep_every_law(
    tmp_path_factory, camera, path, tools_in_motion, light, seed
):
    tools, motion = tools_in_motion
    folder = tmp_path_factory.mktemp("laws")
    file = folder / "scope.json"
    write_camera(file, FisheyeCamera.from_field_of_view(64, 52, 110.0, (0.02, -0.008, 0.001, 0)))
    assignments = [*TINY, motion, path, light, f"instruments.tools=[{', '.join(tools)}]"]
    lens = camera.replace("FILE", str(file))
    simulation = load_recipe("laparoscopy-liver", {"seed": seed}, [*assignments, lens])
    assert simulate_dataset(simulation, folder / "data").failures == {}
    assert [str(problem) for problem in check_dataset(folder / "data").problems] == []
