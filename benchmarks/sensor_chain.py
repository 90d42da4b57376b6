# SPDX-License-Identifier: Apache-2.0
"""Milliseconds of the sensor's chain for one frame, stage by stage; prints one JSON object.

Processor time of one thread, the median of many frames; it does not count waiting for other
programs on the machine.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from endoforge.geometry.cameras import FisheyeCamera
from endoforge.optics.haze import Veils
from endoforge.optics.sensor import SensorResponse, develop, develop_clean

FRAMES = 60

PLAIN = SensorResponse(metering=0.5)
STAGES = {
    "glare, dirt, fog and smoke": {"veils": Veils(0.05, 0.5, 0.2, 0.2, 3)},
    "lateral colour": {"fringe_px": 1.0},
    "point spread": {"blur_px": 0.6},
    "corner blur": {"corner_blur_px": 1.0},
    "vignette": {"vignetting": 1.5},
    "edge": {"edge_px": 2.0},
    "noise": {"shot_noise": 0.02, "read_noise": 0.004},
    "saturation": {"saturation": 1.1},
    "sharpening": {"sharpening": 0.6},
    "jpeg": {"jpeg_quality": 80},
}
EVERYTHING = replace(PLAIN, **{k: v for stage in STAGES.values() for k, v in stage.items()})


def milliseconds(work: Callable[[], object]) -> float:
    """Median processor time of one call."""
    work()
    spent = []
    for _ in range(FRAMES):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return round(1000 * float(np.median(spent)), 2)


def measured(width: int, height: int) -> dict[str, object]:
    """All figures at one size."""
    rng = np.random.default_rng(0)
    camera = FisheyeCamera.from_field_of_view(width, height, diagonal_deg=140.0)
    small = rng.random((height // 16, width // 16, 3), np.float32)
    radiance = np.abs(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))

    def spent(sensor: SensorResponse) -> float:
        return milliseconds(lambda: develop(radiance, sensor, rng, camera))

    plain = spent(PLAIN)
    return {
        "clean_ms": milliseconds(lambda: develop_clean(radiance, PLAIN)),
        "exposure_and_curve_ms": plain,
        "added_ms": {
            name: round(spent(replace(PLAIN, **stage)) - plain, 2) for name, stage in STAGES.items()
        },
        "all_of_these_ms": spent(EVERYTHING),
        "all_and_h264_ms": spent(replace(EVERYTHING, h264_quantiser=28)),
    }


def main() -> None:
    """Print the figures of two picture sizes."""
    cv2.setNumThreads(1)
    sizes = {f"{w}x{h}": measured(w, h) for w, h in ((320, 256), (640, 480))}
    print(json.dumps({"benchmark": "sensor_chain", "frames": FRAMES, **sizes}))


if __name__ == "__main__":
    main()
