# SPDX-License-Identifier: Apache-2.0
"""A data set from closed forms alone, without the renderer: inside a ball with a round polyp.

Every label is exact: distance from two quadratic equations, normals from the centres, flow from
the poses, occlusion from a second ray. Other tests use it wherever they need labelled frames.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from endoforge.frames.frame import Frame
from endoforge.frames.journal import append_record
from endoforge.frames.manifest import DatasetManifest, write_manifest
from endoforge.frames.shards import shard_name, write_shard
from endoforge.geometry.cameras import Camera, FisheyeCamera
from endoforge.geometry.flow import flow_from_depth
from endoforge.geometry.poses import camera_centre, invert_pose, look_at, relative_pose
from endoforge.streams import stream

WALL_RADIUS_MM = 25.0
LABELS = {0: "outside", 1: "wall", 2: "fold", 3: "polyp"}


@dataclass(frozen=True, eq=False)
class Ball:
    """The inside of a ball around the origin, with a small ball (the polyp) on its wall."""

    polyp_centre_mm: Float64[np.ndarray, "3"]
    polyp_radius_mm: float


def sample_ball(sequence: int) -> Ball:
    rng = stream(0, "analytic", sequence)
    direction = np.array([1.0, rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)])
    direction /= np.linalg.norm(direction)
    radius = float(rng.uniform(5.0, 7.0))
    return Ball(direction * (WALL_RADIUS_MM - 0.8 * radius), radius)


def analytic_camera(width: int = 64, height: int = 48) -> Camera:
    """A wide lens whose field ends just before the corners, so that some pixels are invalid."""
    lens = FisheyeCamera.from_field_of_view(width, height, 120.0, (0.02, -0.004, 0.0, 0.0))
    return replace(lens, max_angle_rad=math.radians(57.0))


def analytic_pose(sequence: int, index: int) -> Float64[np.ndarray, "4 4"]:
    """camera_from_world on a smooth path near the middle, looking towards the polyp's side."""
    t = 0.25 * index + sequence
    position = np.array([-14.0 + 0.8 * index % 8, 3.0 * np.sin(t), 3.0 * np.cos(0.7 * t)])
    target = np.array([20.0, 2.0 * np.sin(0.5 * t), 2.0 * np.cos(0.9 * t)])
    return look_at(position, target, np.array([0.0, np.sin(0.1 * t), 1.0]))


def analytic_frame(
    sequence: int, index: int, camera: Camera | None = None, ball: Ball | None = None
) -> Frame:
    camera, ball = camera or analytic_camera(), ball or sample_ball(sequence)
    pose, next_pose = analytic_pose(sequence, index), analytic_pose(sequence, index + 1)
    world_from_camera = invert_pose(pose)
    rays = camera.rays() @ world_from_camera[:3, :3].T
    centre = camera_centre(pose)
    to_wall, to_polyp = _distance_to_wall(centre, rays), _distance_to_polyp(ball, centre, rays)
    is_polyp = to_polyp < to_wall
    distance = np.where(is_polyp, to_polyp, to_wall)
    depth = (distance * camera.rays()[..., 2]).astype(np.float32)
    valid = np.isfinite(depth) & (depth > 0)
    depth[~valid] = np.nan
    points = centre + distance[..., None] * rays
    outward = (points - ball.polyp_centre_mm) / ball.polyp_radius_mm
    normal_world = np.where(is_polyp[..., None], outward, -points / WALL_RADIUS_MM)
    flow = flow_from_depth(depth.astype(np.float64), camera, relative_pose(next_pose, pose))
    landing = camera_pixels(camera) + flow
    seen = np.zeros(valid.shape, bool)
    known = np.isfinite(landing).all(axis=-1)
    seen[known] = camera.in_field(landing[known])
    seen &= ~_hidden(ball, camera_centre(next_pose), points)
    shade = _shade(points, normal_world, rays, distance, is_polyp)
    return Frame(
        sequence=sequence,
        index=index,
        image=np.where(valid[..., None], shade, 0).astype(np.uint8),
        camera=camera,
        camera_from_world=pose,
        next_camera_from_world=next_pose,
        depth_mm=depth,
        valid=valid,
        normal_camera=np.where(valid[..., None], normal_world @ pose[:3, :3].T, np.nan).astype(
            np.float32
        ),
        label=np.where(valid, np.where(is_polyp, 3, 1), 255).astype(np.uint8),
        instance=(is_polyp & valid).astype(np.uint16),
        flow_px=flow.astype(np.float32),
        occluded=valid & ~seen,
    )


def camera_pixels(camera: Camera) -> Float64[np.ndarray, "height width 2"]:
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    return np.stack([u, v], axis=-1)


def analytic_frames(sequence: int, frames: int, camera: Camera | None = None) -> Iterator[Frame]:
    for index in range(frames):
        yield analytic_frame(sequence, index, camera)


def write_analytic_dataset(
    folder: Path,
    sequences: int = 2,
    frames: int = 4,
    width: int = 64,
    height: int = 48,
    first_sequence: int = 0,
) -> Path:
    """Write a complete data set of ``sequences`` × ``frames`` frames and return its folder.

    `first_sequence` shifts the scenes' draws, so that two data sets can show different scenes.
    """
    camera = analytic_camera(width, height)
    manifest = DatasetManifest(
        name="analytic",
        labels=LABELS,
        camera=camera.to_dict(),
        seed=0,
        settings={"simulator": "analytic", "camera": {"width": width, "height": height}},
        sequences=sequences,
        frames=sequences * frames,
        provenance={"anatomy": "a ball with a polyp", "licence": "Apache-2.0"},
    )
    write_manifest(folder, manifest)
    for sequence in range(sequences):
        ball = sample_ball(sequence + first_sequence)
        shots = (analytic_frame(sequence, index, camera, ball) for index in range(frames))
        append_record(folder, write_shard(folder / shard_name(sequence), shots))
    return folder


def _distance_to_wall(
    origin: Float64[np.ndarray, "3"], rays: Float64[np.ndarray, "height width 3"]
) -> Float64[np.ndarray, "height width"]:
    b = rays @ origin
    return -b + np.sqrt(b * b + WALL_RADIUS_MM**2 - origin @ origin)


def _distance_to_polyp(
    ball: Ball, origin: Float64[np.ndarray, "3"], rays: Float64[np.ndarray, "height width 3"]
) -> Float64[np.ndarray, "height width"]:
    offset = origin - ball.polyp_centre_mm
    b = rays @ offset
    inside = b * b + ball.polyp_radius_mm**2 - offset @ offset
    return np.where((inside > 0) & (b < 0), -b - np.sqrt(np.maximum(inside, 0)), np.inf)


def _hidden(
    ball: Ball,
    origin: Float64[np.ndarray, "3"],
    points: Float64[np.ndarray, "height width 3"],
) -> Bool[np.ndarray, "height width"]:
    """Whether the polyp stands between a camera and each point."""
    way = points - origin
    length = np.linalg.norm(way, axis=-1)
    return _distance_to_polyp(ball, origin, way / length[..., None]) < length - 1e-6


def _shade(points, normal, rays, distance, is_polyp):
    """Head light with the square of distance, on a smooth pattern."""
    cosine = np.clip(-(normal * rays).sum(axis=-1), 0, 1)
    pattern = 0.75 + 0.25 * np.sin(points[..., 0] / 2) * np.sin(points[..., 1] / 3)
    light = (pattern * cosine * (16.0 / distance) ** 2)[..., None]
    colour = np.where(is_polyp[..., None], [250.0, 90.0, 80.0], [220.0, 120.0, 90.0])
    return np.clip(np.nan_to_num(255 * (light * colour / 255) ** (1 / 2.2)), 0, 255)
