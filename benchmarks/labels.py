# SPDX-License-Identifier: Apache-2.0
"""How true the labels are: depth and normals against closed forms, flow against depth and poses.

Prints one JSON object. A sphere and a cylinder seen from off their centre and a tilted plane, for
every lens, over the whole valid field up to 150 mm from the lens; then the flow of a drawn
colon, as read back from disk, against float64 re-projection of its depth. Usage: labels.py
"""

import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the scenes that the tests use

from endoforge import verbs
from endoforge.frames.dataset import Dataset
from endoforge.frames.frame import Frame
from endoforge.geometry.cameras import Camera
from endoforge.geometry.flow import flow_from_depth
from endoforge.geometry.poses import relative_pose
from endoforge.render.surface import SurfaceRenderer
from endoforge.scene.records import Scene
from render import worlds

SIZE = (320, 240)
PLACE = np.array([20.0, -15.0, 30.0])


def errors(frame: Frame, distance: np.ndarray, normals: np.ndarray) -> dict[str, float]:
    """Largest errors of depth (mm) and normals (degrees) up to 150 mm from the lens."""
    rays = frame.camera.rays()
    depth = distance * rays[..., 2]
    with np.errstate(invalid="ignore"):
        near = frame.valid & (distance > 0) & (depth <= 130) & (distance <= 150)
    apart = np.linalg.norm(frame.normal_camera - normals, axis=-1)[near]
    return {
        "depth_mm": float(np.abs(frame.depth_mm - depth)[near].max()),
        "normal_deg": float(np.degrees(2 * np.arcsin(apart.max() / 2))),
        "share_of_picture": round(float(near.mean()), 3),
    }


def shot(scene: Scene, camera: Camera, pose: np.ndarray) -> Frame:
    return SurfaceRenderer(scene, camera, "cpu").render(worlds.view(pose))


def on_sphere(camera: Camera) -> dict[str, float]:
    """A sphere of 100 mm around the camera, which stands off its centre."""
    rays = camera.rays()
    along = rays @ PLACE
    distance = -along + np.sqrt(along**2 + 100.0**2 - PLACE @ PLACE)
    normals = -(PLACE + distance[..., None] * rays) / 100
    return errors(shot(worlds.sphere(100.0), camera, worlds.turned(PLACE, 0.0)), distance, normals)


def on_plane(camera: Camera) -> dict[str, float]:
    """A wall 100 mm away, tilted by 0.3 rad."""
    towards = np.array([-np.sin(0.3), 0.0, np.cos(0.3)])
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = 100 / (camera.rays() @ towards)
    frame = shot(worlds.plane(100.0), camera, worlds.turned(np.zeros(3), 0.3))
    return errors(frame, distance, np.broadcast_to(-towards, frame.normal_camera.shape))


def on_cylinder(camera: Camera) -> dict[str, float]:
    """A tube of 25 mm radius, seen along its axis from off the middle."""
    radius, place = 25.0, np.array([4.0, -6.0, 0.0])
    rays = camera.rays()
    square = np.sum(rays[..., :2] ** 2, axis=-1)
    along = rays[..., :2] @ place[:2]
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = (-along + np.sqrt(along**2 + square * (radius**2 - place @ place))) / square
    normals = np.zeros_like(rays)
    normals[..., :2] = -(place[:2] + distance[..., None] * rays[..., :2]) / radius
    frame = shot(worlds.cylinder(radius, 160.0), camera, worlds.turned(place))
    return errors(frame, distance, normals)


def reprojection(frames: int = 60) -> dict[str, float]:
    """Flow on disk against depth and poses on disk, visible pixels of drawn colons, px."""
    apart = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "colons"
        verbs.simulate("colon", out=out, frames=frames, seed=3, assignments=["sequence_frames=6"])
        with closing(Dataset.open(out)) as dataset:
            for frame in dataset.iter_frames():
                step = relative_pose(frame.next_camera_from_world, frame.camera_from_world)
                flow = flow_from_depth(frame.depth_mm.astype(np.float64), frame.camera, step)
                seen = frame.valid & ~frame.occluded
                apart.append(np.linalg.norm(flow - frame.flow_px, axis=-1)[seen])
    error = np.concatenate(apart)
    return {
        "frames": frames,
        "median_px": float(np.median(error)),
        "percentile_99_9_px": float(np.percentile(error, 99.9)),
        "largest_px": float(error.max()),
    }


def main() -> None:
    lenses = worlds.lenses(*SIZE)
    report: dict[str, object] = {"size": SIZE}
    for name, measure in (("sphere", on_sphere), ("plane", on_plane), ("cylinder", on_cylinder)):
        report[name] = {lens: measure(camera) for lens, camera in lenses.items()}
    report["flow_against_depth_and_poses"] = reprojection()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
