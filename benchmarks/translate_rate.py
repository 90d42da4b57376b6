# SPDX-License-Identifier: Apache-2.0
"""How much of a translator's own rate is left when whole data sets are read and written.

Prints one JSON object. The network alone translates pictures that lie in memory (inference); then
`translate_dataset` makes a data set of the same pictures, labels included (end to end, the model's
start as well). The two take turns, because a shared machine changes its pace.
Usage: translate_rate.py [MODEL] [--frames N] [--width W] [--height H] [--batch B] [--turns T]
Without MODEL it is an untrained munit of a stated width.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset
from endoforge.streams import stream
from endoforge.translation.methods import find_method
from endoforge.translation.planes import PlaneStack
from endoforge.translation.ready import ReadyTranslator, load_ready
from endoforge.translation.translate import Translation, translate_dataset
from endoforge.translation.translate_settings import TranslateSettings
from endoforge.translation.translator import Channels


def untrained(width: int) -> ReadyTranslator:
    """A munit whose weights nobody learnt; it takes as long as a trained one."""
    method = find_method("munit")
    settings = method.settings().model_validate({"codes": {"width": width}})
    torch.manual_seed(0)
    translator = method.build(settings, Channels(3, 3)).translator.eval()
    return ReadyTranslator(translator, "munit", "0" * 64, PlaneStack(("image",)))


def inference_rate(ready: ReadyTranslator, shape: tuple[int, ...], batches: int) -> float:
    """Pictures per second of the network alone, copies to and from the device included."""
    pictures = stream(0, "noise").uniform(-1, 1, shape).astype(np.float32)
    styles = np.zeros((shape[0], ready.translator.style_size), np.float32)
    codes = styles if ready.translator.style_size else None
    ready.launch(pictures, codes).cpu()
    started = time.perf_counter()
    launched = ready.launch(pictures, codes)
    for _ in range(batches - 1):
        following = ready.launch(pictures, codes)
        launched.cpu()
        launched = following
    launched.cpu()
    return batches * shape[0] / (time.perf_counter() - started)


def whole_rate(task: Translation) -> float:
    """Frames per second of `translate_dataset`, from the call to its return."""
    started = time.perf_counter()
    report = translate_dataset(task)
    assert report.complete
    return report.frames / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--frames", type=int, default=192)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--codes-width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    load = (
        partial(load_ready, options.model)
        if options.model
        else partial(untrained, options.codes_width)
    )
    ready = load().on("auto", options.precision)
    shape = (options.batch, 3, options.height, options.width)
    shares, alone, whole = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        size = [f"camera.width={options.width}", f"camera.height={options.height}"]
        given = {"frames": options.frames, "sequence_frames": options.frames // 2, "seed": 7}
        data = Path(folder) / "data"
        simulate_dataset(load_recipe("colon", given, size), data)
        for turn in range(options.turns):
            settings = TranslateSettings(batch=options.batch, precision=options.precision)
            task = Translation(load, data, Path(folder) / f"out{turn}", settings)
            batches = max(2, options.frames // options.batch // 2)
            before = inference_rate(ready, shape, batches)
            rate = whole_rate(task)
            after = inference_rate(ready, shape, batches)
            alone.append(statistics.mean((before, after)))
            whole.append(rate)
            shares.append(rate / alone[-1])
    result = {
        "machine": platform.processor() or platform.machine(),
        "device": str(ready.device),
        "model": options.model or f"untrained munit, width {options.codes_width}",
        "size": f"{options.width}x{options.height}",
        "batch": options.batch,
        "inference_fps": [round(rate, 2) for rate in alone],
        "end_to_end_fps": [round(rate, 2) for rate in whole],
        "share": round(statistics.median(shares), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
