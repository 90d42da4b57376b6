# SPDX-License-Identifier: Apache-2.0
"""How long the labels of a frame of a CT take: a drawn CT of 192 voxels a side at 256x256.

Prints one JSON object: milliseconds per frame on the clock and of CPU (of all threads together),
in the colon (`colon-lumen`), from outside (`skin`, `soft-tissue`), the last also without the tables
of its organs and with a ramp over the gradient of HU. `exact` compares two frames to the bit.
Usage: render_volume_labels.py [--frames N]
"""

import argparse
import json
import os
import platform
import time
from dataclasses import replace

import numpy as np
from render_volume import SEED, VOXELS, compiled, in_lumen, moved, outside

from endoforge.geometry.cameras import PinholeCamera
from endoforge.optics.transfer import GradientRamp, TransferFunction, organ_tables
from endoforge.optics.transfer_file import preset
from endoforge.render.volume.label_pass import LabelPass
from endoforge.render.volume.view import VolumeView
from endoforge.scene.volume.phantom import phantom
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.records import CtVolume
from endoforge.streams import stream


def timed(
    volume: CtVolume,
    seen: tuple[VolumeView, PinholeCamera],
    transfer: TransferFunction,
    count: int,
) -> dict[str, object]:
    """Milliseconds per frame of a camera that moves on."""
    view, lens = seen
    looker = LabelPass(volume, lens, transfer, "cpu")
    first = looker.labels(view.camera_from_world)
    compiled()
    clock, threads = [], []
    for k in range(count):
        pose = moved(view, k + 1).camera_from_world
        begin, before = time.perf_counter(), time.process_time()
        looker.labels(pose)
        clock.append(1e3 * (time.perf_counter() - begin))
        threads.append(1e3 * (time.process_time() - before))
    again = looker.labels(view.camera_from_world)
    return {
        "tables": len(organ_tables(transfer, volume.organ_names).tables),
        "median_ms": round(float(np.median(clock)), 1),
        "min_ms": round(min(clock), 1),
        "median_cpu_ms": round(float(np.median(threads)), 1),
        "exact": first.distance_mm.tobytes() == again.distance_mm.tobytes(),
        "recompiled": compiled(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=30)
    options = parser.parse_args()
    import drjit as dr

    from endoforge.render.engine import start

    start("cpu")
    dr.set_flag(dr.JitFlag.KernelHistory, True)
    volume = phantom(PhantomSettings(voxels=VOXELS), stream(SEED, "anatomy", 0))
    report: dict[str, object] = {"cpus": os.cpu_count(), "machine": platform.machine()}
    soft = preset("soft-tissue")
    around = outside(volume)
    for name, seen, transfer in (
        ("lumen", in_lumen(volume), preset("colon-lumen")),
        ("skin", around, preset("skin")),
        ("soft_tissue", around, soft),
        ("soft_tissue_without_organs", around, replace(soft, organs={})),
        ("soft_tissue_by_gradient", around, replace(soft, gradient=GradientRamp(5.0, 30.0, 0.1))),
    ):
        report[name] = timed(volume, seen, transfer, options.frames)
    report["load"] = round(os.getloadavg()[0], 2)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
