# SPDX-License-Identifier: Apache-2.0
"""A data set from closed forms alone, without the renderer: inside a ball with a round polyp.

Every label is exact: distance from two quadratic equations, normals from the centres, flow from
the poses, occlusion from a second ray. Other tests use it wherever they need labelled frames.
With `full=True` a frame has every optional label, and its polyp may sway through the scene.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from endoforge.frames.facts import Part, TrackedPoints, boxes_of, keypoints_of, tracks_of
from endoforge.frames.frame import Frame, RightView
from endoforge.frames.journal import append_record
from endoforge.frames.manifest import DatasetManifest, write_manifest
from endoforge.frames.members import OPTIONAL_LABELS
from endoforge.frames.shards import shard_name, write_shard
from endoforge.geometry.cameras import Camera, FisheyeCamera
from endoforge.geometry.poses import camera_centre, invert_pose, look_at
from endoforge.streams import stream

WALL_RADIUS_MM = 25.0
LABELS = {0: "outside", 1: "wall", 2: "fold", 3: "polyp"}


@dataclass(frozen=True, eq=False)
class Ball:
    """The inside of a ball around the origin, with a small ball (the polyp) on its wall.

    The polyp sways to and fro with `sway_mm`; 0 keeps it still.
    """

    polyp_centre_mm: Float64[np.ndarray, "3"]
    polyp_radius_mm: float
    sway_mm: float = 0.0

    def shift_mm(self, index: int) -> Float64[np.ndarray, "3"]:
        """How far the polyp is from its place at rest in a frame."""
        return self.sway_mm * np.array([0.3 * np.cos(index), np.sin(0.9 * index), 0.5])

    def at(self, index: int) -> "Ball":
        """The same ball with the polyp where it is in a frame, at rest there."""
        return Ball(self.polyp_centre_mm + self.shift_mm(index), self.polyp_radius_mm)


@dataclass(frozen=True, eq=False)
class Seen:
    """What a camera meets in each pixel, in the world frame."""

    points: Float64[np.ndarray, "height width 3"]
    normal_world: Float64[np.ndarray, "height width 3"]
    rays_world: Float64[np.ndarray, "height width 3"]
    distance_mm: Float64[np.ndarray, "height width"]
    is_polyp: Bool[np.ndarray, "height width"]
    depth_mm: Float32[np.ndarray, "height width"]
    valid: Bool[np.ndarray, "height width"]

    def masked(self, values: Float64[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
        """NaN where invalid, as `Frame` has it."""
        valid = self.valid.reshape(self.valid.shape + (1,) * (values.ndim - 2))
        return np.where(valid, values, np.nan).astype(np.float32)


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
    sequence: int,
    index: int,
    camera: Camera | None = None,
    ball: Ball | None = None,
    full: bool = False,
) -> Frame:
    camera, ball = camera or analytic_camera(), ball or sample_ball(sequence)
    pose, next_pose = analytic_pose(sequence, index), analytic_pose(sequence, index + 1)
    seen = _look(ball.at(index), camera, pose)
    flow, occluded = _follow(ball, index, seen, index + 1, camera, next_pose)
    frame = Frame(
        sequence=sequence,
        index=index,
        image=_picture(seen),
        camera=camera,
        camera_from_world=pose,
        next_camera_from_world=next_pose,
        depth_mm=seen.depth_mm,
        valid=seen.valid,
        normal_camera=seen.masked(seen.normal_world @ pose[:3, :3].T),
        label=np.where(seen.valid, np.where(seen.is_polyp, 3, 1), 255).astype(np.uint8),
        instance=(seen.is_polyp & seen.valid).astype(np.uint16),
        flow_px=flow,
        occluded=occluded,
    )
    return with_all_labels(frame, ball, seen) if full else frame


def with_all_labels(frame: Frame, ball: Ball, seen: Seen) -> Frame:
    """The same frame with every optional label, from closed forms as well."""
    sequence, index, camera = frame.sequence, frame.index, frame.camera
    back, back_occluded = _follow(
        ball, index, seen, index - 1, camera, analytic_pose(sequence, index - 1)
    )
    shift = np.where(seen.is_polyp[..., None], ball.shift_mm(index), 0.0)
    albedo, shading = _matter(seen)
    sway = np.abs([ball.shift_mm(index + step) - ball.shift_mm(index) for step in (-1, 1)])
    return replace(
        frame,
        clean=frame.image,
        image=_noisy(frame),
        albedo=seen.masked(albedo),
        shading=seen.masked(shading),
        specular=seen.valid & (shading[..., 0] > np.nanquantile(shading[..., 0], 0.95)),
        back_flow_px=back,
        back_occluded=back_occluded,
        texture_mm=seen.masked(seen.points - shift),
        material=np.where(seen.valid, np.where(seen.is_polyp, 2, 1), 0).astype(np.uint8),
        moving=seen.valid & seen.is_polyp & bool(sway.max() > 0),
        right=_right_eye(frame, ball, seen),
        opacity=np.where(seen.valid, 0.998, 0.2).astype(np.float32),
        expected_depth_mm=seen.depth_mm + np.float32(0.1),
        first_depth_mm=seen.depth_mm - np.float32(0.1),
        hu=np.where(seen.valid, np.where(seen.is_polyp, 55, -320), -1024).astype(np.int16),
        facts=_facts(frame, ball),
    )


def _noisy(frame: Frame) -> UInt8[np.ndarray, "height width 3"]:
    noise = stream(0, "analytic noise", frame.sequence, frame.index).normal(0, 2, frame.image.shape)
    return np.where(frame.valid[..., None], np.clip(frame.image + noise, 0, 255), 0).astype(
        np.uint8
    )


def _right_eye(frame: Frame, ball: Ball, seen: Seen) -> RightView:
    rig = look_at(np.array([4.0, 0, 0]), np.array([3.0, 0, 40.0]), np.array([0.0, -1, 0]))
    pose = rig @ frame.camera_from_world
    there = _look(ball.at(frame.index), frame.camera, pose)
    flow, occluded = _follow(ball, frame.index, seen, frame.index, frame.camera, pose)
    return RightView(_picture(there), frame.camera, pose, there.depth_mm, flow, occluded)


def _facts(frame: Frame, ball: Ball) -> dict:
    shift = ball.shift_mm(frame.index)
    centre = np.eye(4)
    centre[:3, 3] = ball.polyp_centre_mm + shift
    directions = stream(0, "analytic tracks", frame.sequence).normal(size=(40, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    rest = WALL_RADIUS_MM * directions
    rest[:10] = ball.polyp_centre_mm + ball.polyp_radius_mm * directions[:10]
    outside = np.linalg.norm(rest, axis=1) > WALL_RADIUS_MM + 1e-6
    rest[outside] *= WALL_RADIUS_MM / np.linalg.norm(rest[outside], axis=1)[:, None]
    of_polyp = (np.arange(40) < 10) & ~outside
    tracked = TrackedPoints(
        np.arange(40), rest + np.where(of_polyp[:, None], shift, 0.0), rest,
        np.where(of_polyp, 2, 1).astype(np.uint8),
    )  # fmt: skip
    lens, pose, depth = frame.camera, frame.camera_from_world, frame.depth_mm
    parts = [Part("polyp/centre", 1, centre), Part("origin", 0, np.eye(4))]
    return {
        "lights": [{"position_mm": [0.0, 0.0, 0.0], "intensity": [256.0, 256.0, 256.0]}],
        "sensor": {"gain": 1.0},
        "previous_camera_from_world": analytic_pose(frame.sequence, frame.index - 1).tolist(),
        "objects": boxes_of(frame.label, frame.instance, LABELS),
        "keypoints": keypoints_of(parts, lens, pose, depth, frame.instance),
        "tracks": tracks_of(tracked, lens, pose, depth),
    }


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
    full: bool = False,
    sway_mm: float = 0.0,
) -> Path:
    """Write a complete data set of ``sequences`` × ``frames`` frames and return its folder.

    `first_sequence` shifts the scenes' draws, so that two data sets can show different scenes.
    With `full` every frame has all optional labels; with `sway_mm` the polyp moves by itself.
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
        optional_labels=list(OPTIONAL_LABELS) if full else [],
    )
    write_manifest(folder, manifest)
    for sequence in range(sequences):
        ball = replace(sample_ball(sequence + first_sequence), sway_mm=sway_mm)
        shots = (analytic_frame(sequence, index, camera, ball, full) for index in range(frames))
        append_record(folder, write_shard(folder / shard_name(sequence), shots))
    return folder


def _look(ball: Ball, camera: Camera, pose: Float64[np.ndarray, "4 4"]) -> Seen:
    """Find what a camera meets in a ball at rest."""
    rays = camera.rays() @ invert_pose(pose)[:3, :3].T
    centre = camera_centre(pose)
    to_wall, to_polyp = _distance_to_wall(centre, rays), _distance_to_polyp(ball, centre, rays)
    is_polyp = to_polyp < to_wall
    distance = np.where(is_polyp, to_polyp, to_wall)
    depth = (distance * camera.rays()[..., 2]).astype(np.float32)
    valid = np.isfinite(depth) & (depth > 0)
    depth[~valid] = np.nan
    points = centre + distance[..., None] * rays
    outward = (points - ball.polyp_centre_mm) / ball.polyp_radius_mm
    normal = np.where(is_polyp[..., None], outward, -points / WALL_RADIUS_MM)
    return Seen(points, normal, rays, distance, is_polyp, depth, valid)


def _follow(
    ball: Ball,
    index: int,
    seen: Seen,
    then: int,
    camera: Camera,
    pose: Float64[np.ndarray, "4 4"],
) -> tuple[Float32[np.ndarray, "height width 2"], Bool[np.ndarray, "height width"]]:
    """Where the points seen in one frame are in another picture, and whether they are hidden."""
    step = ball.shift_mm(then) - ball.shift_mm(index)
    points = seen.points + np.where(seen.is_polyp[..., None], step, 0.0)
    landing = camera.project(points @ pose[:3, :3].T + pose[:3, 3])
    landing[~seen.valid] = np.nan
    visible = np.zeros(seen.valid.shape, bool)
    known = np.isfinite(landing).all(axis=-1)
    visible[known] = camera.in_field(landing[known])
    centre = camera_centre(pose)
    hidden = _hidden(ball.at(then), centre, points)
    hidden |= np.linalg.norm(points, axis=-1) > WALL_RADIUS_MM + 1e-6  # moved into the wall
    flow = (landing - camera_pixels(camera)).astype(np.float32)
    return flow, seen.valid & ~(visible & ~hidden)


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


def _matter(
    seen: Seen,
) -> tuple[Float64[np.ndarray, "height width 3"], Float64[np.ndarray, "height width 3"]]:
    """Albedo of a smooth pattern, and a head light with the square of distance."""
    cosine = np.clip(-(seen.normal_world * seen.rays_world).sum(axis=-1), 0, 1)
    x, y = seen.points[..., 0], seen.points[..., 1]
    pattern = 0.75 + 0.25 * np.sin(x / 2) * np.sin(y / 3)
    colour = np.where(seen.is_polyp[..., None], [250.0, 90.0, 80.0], [220.0, 120.0, 90.0]) / 255
    light = cosine * (16.0 / seen.distance_mm) ** 2
    return pattern[..., None] * colour, np.repeat(light[..., None], 3, axis=-1)


def _picture(seen: Seen) -> UInt8[np.ndarray, "height width 3"]:
    albedo, shading = _matter(seen)
    picture = np.clip(np.nan_to_num(255 * (albedo * shading) ** (1 / 2.2)), 0, 255)
    return np.where(seen.valid[..., None], picture, 0).astype(np.uint8)
