# SPDX-License-Identifier: Apache-2.0
"""A tool that leaves an endoscope's working channel and moves with its tip."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from endoforge.distributions import Choice, draw
from endoforge.errors import ShapeError
from endoforge.geometry.poses import invert_pose, rotation_between, rotation_from_vector
from endoforge.scene.instruments.build import build_channel_tool
from endoforge.scene.instruments.clearance import deepest, feelers_of
from endoforge.scene.instruments.kinematics import part_poses
from endoforge.scene.instruments.motion import PlacedInstrument, place
from endoforge.scene.instruments.plan import times
from endoforge.scene.instruments.records import Instrument
from endoforge.scene.instruments.settings import ChannelToolSettings, InstrumentSettings
from endoforge.scene.instruments.workspace import LocalTissue, Workspace, local_tissue

_MARGIN_MM = 70.0
_BACK_MM = 1.0
_SMOOTH_FRAMES = 2


@dataclass(frozen=True)
class ChannelPlan:
    """Everything random about a tool in the channel.

    Attributes:
        kind: Which tool.
        channel_rad: Where the channel opens, from the image's right towards its bottom.
        channel_mm: Distance of the channel from the lens.
        lean_rad: How far the tool leans towards the optical axis.
        reach_mm: How far its shaft comes out.
        stroke_mm: How far it moves in and out.
        opening: Widest opening, 0 to 1.
        roll_rad: Turn about its shaft.
        cycles: Strokes in the sequence.
        phase_rad: Of the strokes and of the opening.
    """

    kind: str
    channel_rad: float
    channel_mm: float
    lean_rad: float
    reach_mm: float
    stroke_mm: float
    opening: float
    roll_rad: float
    cycles: float
    phase_rad: tuple[float, float]


def sample_channel_plan(
    settings: ChannelToolSettings, rng: np.random.Generator, seconds: float
) -> ChannelPlan:
    """Draw one tool's motion for a sequence of some seconds."""
    kind = settings.kind.pick(rng) if isinstance(settings.kind, Choice) else settings.kind
    return ChannelPlan(
        kind=kind,
        channel_rad=np.deg2rad(draw(settings.channel_deg, rng)),
        channel_mm=draw(settings.channel_mm, rng),
        lean_rad=np.deg2rad(draw(settings.lean_deg, rng)),
        reach_mm=draw(settings.reach_mm, rng),
        stroke_mm=draw(settings.stroke_mm, rng),
        opening=draw(settings.opening, rng),
        roll_rad=np.deg2rad(draw(settings.roll_deg, rng)),
        cycles=seconds * rng.uniform(0.15, 0.4),
        phase_rad=(rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)),
    )


def camera_from_channel(plan: ChannelPlan) -> Float64[np.ndarray, "4 4"]:
    """Pose of the channel's mouth: z out of it, in the camera's frame."""
    side = np.array([np.cos(plan.channel_rad), np.sin(plan.channel_rad), 0.0])
    way = np.cos(plan.lean_rad) * np.array([0.0, 0.0, 1.0]) - np.sin(plan.lean_rad) * side
    turn = rotation_between(np.array([0.0, 0.0, 1.0]), way)
    pose = np.eye(4)
    pose[:3, :3] = turn @ rotation_from_vector(np.array([0.0, 0.0, plan.roll_rad]))
    pose[:3, 3] = plan.channel_mm * side
    return pose


def place_channel_tool(
    settings: InstrumentSettings,
    rng: np.random.Generator,
    work: Workspace,
    camera_from_world: Float64[np.ndarray, "frames 4 4"],
    instance: int,
) -> PlacedInstrument:
    """Draw a tool's motion and let it move with the endoscope, drawn back where tissue is near.

    Args:
        settings: Holds the tool's own settings as `channel`.
        rng: Random numbers of this tool.
        work: The scene.
        camera_from_world: The endoscope's poses for frames -1 to one past the last.
        instance: The tool's object number.

    Raises:
        ShapeError: There are not as many poses as frames and two.
    """
    if len(camera_from_world) != work.frames + 2:
        raise ShapeError(
            f"a tool in the channel needs {work.frames + 2} poses for {work.frames} frames, "
            f"got {len(camera_from_world)}; give those before the first and after the last too"
        )
    own = settings.channel or ChannelToolSettings()
    plan = sample_channel_plan(own, rng, work.frames / settings.frames_per_s)
    tool, time = build_channel_tool(plan.kind), times(work.frames)
    joints = _joints(plan, tool, time)
    mouths = invert_pose(camera_from_world) @ camera_from_channel(plan)
    wanted = plan.reach_mm + plan.stroke_mm * np.sin(
        2 * np.pi * plan.cycles * time + plan.phase_rad[0]
    )
    out, depth = _drawn_back(tool, joints, mouths, wanted, _tissue(work, mouths))
    parts = [part_poses(tool, _row(joints, k)) for k in range(len(time))]
    poses = np.stack([_out_of(m, o) @ p for m, o, p in zip(mouths, out, parts, strict=True)])
    placed = place(tool, instance, work.labels, poses)
    return replace(
        placed,
        joints={"insertion_mm": out, **joints},
        facts={
            "kind": tool.name,
            "behaviour": "channel",
            "diameter_mm": tool.diameter_mm,
            "camera_from_channel": camera_from_channel(plan).tolist(),
            "parts": [part.name for part in tool.parts],
        },
        penetration_mm=depth,
    )


def _joints(
    plan: ChannelPlan, tool: Instrument, time: Float64[np.ndarray, "frames"]
) -> dict[str, Float64[np.ndarray, "frames"]]:
    wave = 0.5 * (1 + np.cos(2 * np.pi * 0.6 * plan.cycles * time + plan.phase_rad[1]))
    share = plan.opening * wave if plan.kind == "forceps" else 1 - plan.opening * (0.4 + 0.6 * wave)
    limits = {name: joint.limits for name, joint in tool.joints.items()}
    return {name: low + share * (high - low) for name, (low, high) in limits.items()}


def _tissue(work: Workspace, mouths: Float64[np.ndarray, "frames 4 4"]) -> LocalTissue:
    places = mouths[:, :3, 3]
    return local_tissue(work, places.min(axis=0) - _MARGIN_MM, places.max(axis=0) + _MARGIN_MM)


def _drawn_back(
    tool: Instrument,
    joints: dict[str, Float64[np.ndarray, "frames"]],
    mouths: Float64[np.ndarray, "frames 4 4"],
    wanted: Float64[np.ndarray, "frames"],
    tissue: LocalTissue,
) -> tuple[Float64[np.ndarray, "frames"], float]:
    """How far out the tool may come at each frame, and the depth that is left."""
    feelers = feelers_of(tool)
    still = tissue.at(0) if tissue.still else None
    hidden = -float(tool.keypoints["tip"].point_mm[2]) - _BACK_MM
    free, depth = wanted.copy(), np.zeros(len(wanted))
    for smooth in (True, False):
        for k, mouth in enumerate(mouths):
            now = still if tissue.still else tissue.at(k)
            parts = part_poses(tool, _row(joints, k))
            while free[k] > hidden:
                inside = feelers.at(_out_of(np.eye(4), free[k]) @ parts)
                seen = inside[inside[:, 2] > 0]
                depth[k] = deepest(now, seen @ mouth[:3, :3].T + mouth[:3, 3]).depth_mm
                if depth[k] <= 0:
                    break
                free[k] = max(free[k] - max(depth[k], 0.4), hidden)
        if smooth:
            least = minimum_filter1d(free, 4 * _SMOOTH_FRAMES + 1, mode="nearest")
            free = gaussian_filter1d(least, _SMOOTH_FRAMES, mode="nearest", truncate=2.0)
    return free, float(max(depth[free > hidden].max(initial=0.0), 0.0))


def _out_of(mouth: Float64[np.ndarray, "4 4"], insertion_mm: float) -> Float64[np.ndarray, "4 4"]:
    slid = np.eye(4)
    slid[2, 3] = insertion_mm
    return mouth @ slid


def _row(joints: dict[str, Float64[np.ndarray, "frames"]], k: int) -> dict[str, float]:
    return {name: float(values[k]) for name, values in joints.items()}
