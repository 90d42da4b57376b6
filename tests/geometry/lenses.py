# SPDX-License-Identifier: Apache-2.0
"""Lenses that the geometry tests share: mild, strong, folding, tilted, wider than 180 degrees."""

import dataclasses

from endoforge.geometry.cameras import (
    Camera,
    FisheyeCamera,
    OmnidirectionalCamera,
    PinholeCamera,
)


def pinhole(*distortion: float, focal: float = 90.0) -> PinholeCamera:
    k1, k2, p1, p2, k3 = distortion or (0.0,) * 5
    return PinholeCamera(160, 120, focal, 1.02 * focal, 81.3, 57.9, (k1, k2, p1, p2, k3))


def fisheye(*distortion: float, focal: float = 60.0) -> FisheyeCamera:
    k1, k2, k3, k4 = distortion or (0.0,) * 4
    return FisheyeCamera(160, 120, focal, 0.98 * focal, 79.2, 61.4, (k1, k2, k3, k4))


def omnidirectional(
    *shape: float, focal: float = 50.0, stretch: tuple[float, float, float] = (1.02, 0.003, -0.002)
) -> OmnidirectionalCamera:
    a0, a1, a2, a3, a4 = (k * focal ** (1 - power) for power, k in enumerate((1.0, *shape)))
    return OmnidirectionalCamera(160, 120, 80.7, 59.1, (a0, a1, a2, a3, a4), stretch)


LENSES: dict[str, Camera] = {
    "pinhole": pinhole(),
    "pinhole, wide": pinhole(focal=25.0),
    "barrel": pinhole(-0.3, 0.1, 0.0, 0.0, 0.0),
    "strong barrel": pinhole(-0.42, 0.19, 0.0, 0.0, -0.036),
    "barrel that folds": pinhole(-0.5, 0.0, 0.0, 0.0, 0.0),
    "barrel that folds, tilted": pinhole(-0.5, 0.05, 0.01, -0.02, 0.0),
    "pincushion": pinhole(0.4, 0.0, 0.0, 0.0, 0.0),
    "strong pincushion": pinhole(1.0, 0.5, 0.0, 0.0, 0.3),
    "moustache": pinhole(-0.35, 0.4, 0.0, 0.0, -0.1),
    "tilted": pinhole(-0.2, 0.05, 0.01, -0.015, 0.0),
    "strongly tilted": pinhole(-0.3, 0.1, 0.05, -0.05, 0.0),
    "tilted pincushion": pinhole(0.3, 0.1, -0.02, 0.03, 0.05),
    "fisheye": fisheye(),
    "fisheye, barrel": fisheye(-0.05, 0.01, -0.002, 0.0001),
    "fisheye, pincushion": fisheye(0.1, 0.02, 0.0, 0.0),
    "fisheye that folds": fisheye(-0.2, 0.0, 0.0, 0.0),
    "fisheye, 140 degrees": FisheyeCamera.from_field_of_view(160, 120, 140.0),
    "fisheye, 190 degrees": FisheyeCamera.from_field_of_view(160, 120, 190.0),
    "fisheye, 190 degrees, bent": FisheyeCamera.from_field_of_view(
        160, 120, 190.0, (-0.03, 0.004, -0.001, 0.0)
    ),
    "fisheye, 220 degrees": FisheyeCamera.from_field_of_view(160, 120, 220.0),
    "omnidirectional, stereographic": omnidirectional(0.0, -0.25, 0.0, 0.0),
    "omnidirectional, 190 degrees": OmnidirectionalCamera.from_field_of_view(160, 120, 190.0),
    "omnidirectional, straight": omnidirectional(0.0, 0.0, 0.0, 0.0, focal=80.0),
    "omnidirectional, as calibrated": omnidirectional(0.0, -0.389, 0.077, -0.081),
    "omnidirectional, bent inwards": omnidirectional(0.0, 0.2, 0.0, 0.0, focal=30.0),
    "omnidirectional, barely turning": omnidirectional(0.0, 0.55, -0.6, 0.3, focal=40.0),
    "pinhole, round": dataclasses.replace(pinhole(), content=(80.0, 60.0, 58.5)),
    "pinhole, octagon": dataclasses.replace(pinhole(), corner_cut_px=31.0),
    "fisheye, round": dataclasses.replace(fisheye(), content=(83.0, 55.0, 70.0)),
    "omnidirectional, round": dataclasses.replace(
        omnidirectional(0.0, -0.25, 0.0, 0.0), content=(80.0, 60.0, 75.0)
    ),
}
