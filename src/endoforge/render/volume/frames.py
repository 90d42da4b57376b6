# SPDX-License-Identifier: Apache-2.0
"""From a picture of a volume and its labels to the record of a frame."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64

from endoforge.frames.frame import Frame, RightView
from endoforge.geometry.cameras import Camera
from endoforge.geometry.depth import depth_from_distance
from endoforge.optics.sensor import SensorResponse, develop, develop_clean
from endoforge.render.volume.settings import DepthRule
from endoforge.render.volume.view import VolumeFlow, VolumeLabels
from endoforge.streams import stream

#: Pixels that stop less than this share of the eye's ray have no label; own choice.
LEAST_OPACITY = 0.95

#: Nor have those where half and mean depth lie farther apart, mm: where the depth lies is a matter
#: of definition there (docs/concepts/volume-labels.md). With opaque tissue they are 0.04 mm apart
#: (median), through veils 1 to 12 mm; own choice.
MOST_SPREAD_MM = 3.0

Pose = Float64[np.ndarray, "4 4"]


@dataclass(frozen=True, eq=False)
class VolumeShot:
    """What a frame is made of beside its picture and its labels.

    Attributes:
        sequence: Number of the sequence, for the sensor's noise.
        index: Number of the frame within it.
        camera: The lens.
        camera_from_world: Pose of this frame, mm.
        next_camera_from_world: Pose that the flow leads to, mm.
        sensor: From radiance to the picture.
        seed: The run's seed.
        fields: The optional fields of a `Frame` that are filled.
        least_opacity: What a pixel must stop of the eye's ray to have labels, 0 to 1.
        most_spread_mm: How far apart its half and its mean depth may be, along the ray, mm.
    """

    sequence: int
    index: int
    camera: Camera
    camera_from_world: Pose
    next_camera_from_world: Pose
    sensor: SensorResponse
    seed: int
    fields: frozenset[str] = frozenset()
    least_opacity: float = LEAST_OPACITY
    most_spread_mm: float = MOST_SPREAD_MM


def volume_frame(
    shot: VolumeShot, radiance: Float32[np.ndarray, "height width 3"], labels: VolumeLabels
) -> Frame:
    """Build the frame of a volume.

    Depth, normal, class and flow are those of the point that `labels.rule` names; they are valid
    where the volume is opaque at one place (`sharp`) and z is above 0.

    Args:
        shot: Pose, lens and sensor.
        radiance: Scene-linear picture, denoised or not.
        labels: Of the same view, with the flow to the next pose, and to the previous one where
            `shot.fields` names it.
    """
    assert labels.next is not None
    depth = z_of(_visible(labels), shot.camera)
    with np.errstate(invalid="ignore"):
        valid = sharp(labels, shot.least_opacity, shot.most_spread_mm) & (depth > 0)
    frame = Frame(
        sequence=shot.sequence,
        index=shot.index,
        image=develop(radiance, _at(shot), _noise(shot), shot.camera),
        camera=shot.camera,
        camera_from_world=shot.camera_from_world,
        next_camera_from_world=shot.next_camera_from_world,
        depth_mm=_where(valid, depth),
        valid=valid,
        normal_camera=_where(valid, labels.normal_camera),
        label=np.where(valid, labels.organ + np.uint8(1), np.uint8(0)),
        instance=np.zeros(valid.shape, np.uint16),
        flow_px=_where(valid, labels.next.flow_px),
        occluded=labels.next.occluded & valid,
    )
    return replace(frame, **_optional(shot, radiance, labels, valid))


def right_of(
    shot: VolumeShot,
    frame: Frame,
    radiance: Float32[np.ndarray, "height width 3"],
    labels: VolumeLabels,
    way: VolumeFlow,
) -> RightView:
    """What the second eye of a stereo scope saw.

    Both eyes name their visible points by the same rule. In a soft wall these are not quite the
    same points: each eye looks half of its own light deep into it.

    Args:
        shot: As `volume_frame` takes it, with the right eye's lens and pose.
        frame: Of the left eye.
        radiance: The right eye's picture, denoised or not.
        labels: The right eye's own.
        way: From the left eye's visible points to where the right eye has them.
    """
    depth = z_of(_visible(labels), shot.camera)
    with np.errstate(invalid="ignore"):
        valid = sharp(labels, shot.least_opacity, shot.most_spread_mm) & (depth > 0)
    return RightView(
        image=develop(radiance, _at(shot), _noise(shot, 1), shot.camera),
        camera=shot.camera,
        camera_from_world=shot.camera_from_world,
        depth_mm=_where(valid, depth),
        from_left_px=_where(frame.valid, way.flow_px),
        occluded=way.occluded & frame.valid,
    )


def sharp(
    labels: VolumeLabels, least_opacity: float, most_spread_mm: float
) -> Bool[np.ndarray, "height width"]:
    """True where the visible point lies at one place: nothing shines through, nothing is a veil."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(labels.distance_mm - labels.expected_mm) <= most_spread_mm
    return np.asarray(labels.found & (labels.opacity >= least_opacity) & apart)


def z_of(
    distance_mm: Float32[np.ndarray, "height width"], camera: Camera
) -> Float32[np.ndarray, "height width"]:
    """Depth z of distances along the rays of a lens, mm."""
    return np.asarray(depth_from_distance(distance_mm, camera.rays()), dtype=np.float32)


def _optional(
    shot: VolumeShot,
    radiance: Float32[np.ndarray, "height width 3"],
    labels: VolumeLabels,
    valid: Bool[np.ndarray, "height width"],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "clean" in shot.fields:
        values["clean"] = develop_clean(radiance, shot.sensor)
    if "back_flow_px" in shot.fields:
        back: VolumeFlow | None = labels.previous
        assert back is not None
        values["back_flow_px"] = _where(valid, back.flow_px)
        values["back_occluded"] = back.occluded & valid
    values |= {
        name: array for name, array in _through(labels, shot.camera).items() if name in shot.fields
    }
    return values


def _through(labels: VolumeLabels, camera: Camera) -> dict[str, np.ndarray]:
    """What is known of the whole way of each ray, by its name in a `Frame`."""
    return {
        "opacity": labels.opacity,
        "expected_depth_mm": _forwards(z_of(labels.expected_mm, camera)),
        "first_depth_mm": _forwards(z_of(labels.first_mm, camera)),
        "hu": labels.hu,
    }


def _forwards(depth_mm: Float32[np.ndarray, "height width"]) -> np.ndarray:
    """Depth where it is above 0: a very wide lens also sees sideways and behind itself."""
    with np.errstate(invalid="ignore"):
        return np.where(depth_mm > 0, depth_mm, np.float32(np.nan))


def _visible(labels: VolumeLabels) -> Float32[np.ndarray, "height width"]:
    named: dict[DepthRule, Float32[np.ndarray, "height width"]] = {
        "half": labels.distance_mm,
        "expected": labels.expected_mm,
        "first": labels.first_mm,
    }
    return named[labels.rule]


def _where(valid: Bool[np.ndarray, "height width"], values: np.ndarray) -> np.ndarray:
    mask = valid if values.ndim == 2 else valid[..., None]
    return np.where(mask, values, np.float32(np.nan))


def _at(shot: VolumeShot) -> SensorResponse:
    return replace(shot.sensor, moment=float(shot.index))


def _noise(shot: VolumeShot, eye: int = 0) -> np.random.Generator:
    return stream(shot.seed, "sensor noise", shot.sequence, shot.index, eye)
