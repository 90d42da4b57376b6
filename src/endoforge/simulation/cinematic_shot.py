# SPDX-License-Identifier: Apache-2.0
"""A camera in or around a CT, and its path-traced frames."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from endoforge.distributions import draw as drawn_value
from endoforge.frames.frame import Frame, RightView
from endoforge.geometry.cameras import Camera
from endoforge.optics.illumination import WorldLight, sample_world_light
from endoforge.optics.lamp import Triple
from endoforge.optics.light import LightSource, sample_lights
from endoforge.optics.sensor import SensorResponse, sample_sensor
from endoforge.optics.transfer import TransferFunction
from endoforge.optics.transfer_draw import sample_transfer
from endoforge.optics.transfer_file import transfer_to_dict
from endoforge.render.volume.convergence import exposed
from endoforge.render.volume.denoise import denoised
from endoforge.render.volume.frames import Pose, VolumeShot, right_of, volume_frame
from endoforge.render.volume.label_pass import LabelRequest
from endoforge.render.volume.renderer import VolumeRenderer
from endoforge.render.volume.view import Exposure, VolumeLabels, VolumeView
from endoforge.scene.paths.plan import CameraPath, camera_path
from endoforge.scene.volume.records import CtVolume
from endoforge.simulation.cameras import build_camera, right_from_left
from endoforge.simulation.draws import Draw
from endoforge.simulation.label_choice import FIELDS_OF
from endoforge.simulation.settings import CinematicSimulation
from endoforge.simulation.volumes import room_for, volume_of
from endoforge.streams import stream

_MOST_SEEDS = 1 << 62


@dataclass(frozen=True, eq=False)
class CinematicShot:
    """Everything about a sequence in a CT that is settled before its first frame is rendered.

    Attributes:
        draw: The settings with this sequence's draws.
        volume: The CT.
        transfer: What its tissue does to light.
        camera: The lens.
        path: Where the camera is at every frame, and just before and after it.
        lights: The sources beside the lens.
        world_light: Lamps and surroundings.
        sensor: From radiance to the picture.
        aperture_mm: Radius of the lens's opening, mm.
        focus_mm: Depth in focus, mm.
        right_from_left: Pose of a second eye with the same lens against the first; None for one.
    """

    draw: Draw[CinematicSimulation]
    volume: CtVolume
    transfer: TransferFunction
    camera: Camera
    path: CameraPath
    lights: tuple[LightSource, ...]
    world_light: WorldLight
    sensor: SensorResponse
    aperture_mm: float
    focus_mm: float
    right_from_left: Pose | None = None


def cinematic_shot(draw: Draw[CinematicSimulation]) -> CinematicShot:
    """Settle one sequence in or around a CT.

    Raises:
        DataError, SceneError: The CT cannot be used, or has no way for the camera.
    """
    settings = draw.settings
    volume = volume_of(settings.anatomy, settings.seed, draw.counters["anatomy"])
    frames = settings.frames_of(draw.sequence)
    pupil, stereo = draw.stream("camera", "pupil"), settings.camera.stereo
    return CinematicShot(
        draw=draw,
        volume=volume,
        transfer=sample_transfer(settings.transfer, draw.stream("transfer")),
        camera=build_camera(settings.camera),
        path=_path(draw, frames),
        lights=sample_lights(settings.light, draw.stream("light")),
        world_light=sample_world_light(
            settings.illumination, draw.stream("illumination"), volume.centre_mm, reach_mm(volume)
        ),
        sensor=sample_sensor(settings.sensor, draw.stream("sensor")),
        aperture_mm=drawn_value(settings.pupil.aperture_mm, pupil) / 2,
        focus_mm=drawn_value(settings.pupil.focus_mm, pupil),
        right_from_left=None if stereo is None else right_from_left(stereo),
    )


def _path(draw: Draw[CinematicSimulation], frames: int) -> CameraPath:
    room = room_for(draw.settings, draw.counters["anatomy"])
    return camera_path(draw.settings.trajectory, room, draw.stream("trajectory"), frames)


def reach_mm(volume: CtVolume) -> float:
    """Half of a CT's diagonal, mm."""
    return float(np.linalg.norm((np.array(volume.hu.shape) - 1) * volume.spacing_mm)) / 2


def cinematic_frames(draw: Draw[CinematicSimulation]) -> Iterator[Frame]:
    """Render the frames of one sequence in order."""
    shot = cinematic_shot(draw)
    settings = draw.settings
    renderer = VolumeRenderer(shot.volume, shot.camera, shot.transfer)
    fields = frozenset(field for name in settings.wanted for field in FIELDS_OF[name])
    for index in range(settings.frames_of(draw.sequence)):
        view = view_of(shot, index)
        exposure = exposed(renderer, view, settings.quality)
        labels = renderer.labels(view, _request(shot, index, fields))
        picture = _cleaned(shot, exposure, labels)
        taken = _taken(shot, index, fields)
        frame = volume_frame(taken, picture, labels)
        if "right" in fields:
            frame = replace(frame, right=_right(shot, renderer, taken, frame))
        facts = facts_of(shot, index, exposure)
        yield replace(frame, sequence=draw.sequence, facts=facts)


def _right(
    shot: CinematicShot, renderer: VolumeRenderer, taken: VolumeShot, frame: Frame
) -> RightView:
    """Expose the second eye and follow the first one's visible points to it."""
    rule, left = shot.draw.settings.depth, view_of(shot, taken.index)
    view = right_view_of(shot, taken.index)
    exposure = exposed(renderer, view, shot.draw.settings.quality)
    labels = renderer.labels(view, LabelRequest(rule))
    way = renderer.labels(left, LabelRequest(rule, view.camera_from_world)).next
    assert way is not None
    eye = replace(taken, camera_from_world=view.camera_from_world)
    return right_of(eye, frame, _cleaned(shot, exposure, labels), labels, way)


def _cleaned(
    shot: CinematicShot, exposure: Exposure, labels: VolumeLabels
) -> Float32[np.ndarray, "height width 3"]:
    quality = shot.draw.settings.quality
    return denoised(exposure, labels, quality.denoise, quality.limit_fireflies)


def view_of(shot: CinematicShot, index: int) -> VolumeView:
    """What the renderer is asked for one frame; a replay asks for the number it had at first."""
    return VolumeView(
        camera_from_world=shot.path.moments[index, 1],
        lights=shot.lights,
        world_light=shot.world_light,
        aperture_mm=shot.aperture_mm,
        focus_mm=shot.focus_mm,
        seed=_seed(shot, index),
    )


def right_view_of(shot: CinematicShot, index: int) -> VolumeView:
    """The same moment from the second eye; the sources stay where they are, at the first."""
    assert shot.right_from_left is not None
    turn, shift = shot.right_from_left[:3, :3], shot.right_from_left[:3, 3]
    lights = tuple(
        replace(
            light,
            position_mm=_triple(turn @ np.asarray(light.position_mm) + shift),
            axis=_triple(turn @ np.asarray(light.axis)),
        )
        for light in shot.lights
    )
    return replace(
        view_of(shot, index),
        camera_from_world=shot.right_from_left @ shot.path.moments[index, 1],
        lights=lights,
        seed=_seed(shot, index, 1),
    )


def _triple(vector: np.ndarray) -> Triple:
    x, y, z = (float(v) for v in vector)
    return x, y, z


def _seed(shot: CinematicShot, *counters: int) -> int:
    """Of a frame's light paths; a second counter is the eye's."""
    settings = shot.draw.settings
    number = settings.first_sequence + shot.draw.sequence
    return int(stream(settings.seed, "light paths", number, *counters).integers(_MOST_SEEDS))


def facts_of(shot: CinematicShot, index: int, exposure: Exposure) -> dict[str, Any]:
    """What is known of a frame as a whole; the first also holds the sequence's draw."""
    facts: dict[str, Any] = {
        "lights": [asdict(light) for light in shot.lights],
        "lamps": [asdict(disk) for disk in shot.world_light.disks],
        "sensor": asdict(shot.sensor),
        "samples": exposure.samples,
        "continuous": shot.path.continuous,
        "pose_group": shot.draw.pose_group,
        "condition": shot.draw.condition,
        "previous_camera_from_world": shot.path.moments[index, 0].tolist(),
    }
    if index == 0:
        facts["transfer"] = transfer_to_dict(shot.transfer)
        facts["draw"] = shot.draw.record()
    return facts


def _request(shot: CinematicShot, index: int, fields: frozenset[str]) -> LabelRequest:
    before, _, after = shot.path.moments[index]
    back = before if "back_flow_px" in fields else None
    return LabelRequest(shot.draw.settings.depth, after, back)


def _taken(shot: CinematicShot, index: int, fields: frozenset[str]) -> VolumeShot:
    settings = shot.draw.settings
    _, here, after = shot.path.moments[index]
    return VolumeShot(
        sequence=settings.first_sequence + shot.draw.sequence,
        index=index,
        camera=shot.camera,
        camera_from_world=here,
        next_camera_from_world=after,
        sensor=shot.sensor,
        seed=settings.seed,
        fields=fields,
    )
