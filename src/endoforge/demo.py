# SPDX-License-Identifier: Apache-2.0
"""The whole pipeline, small and offline: simulate, fine-tune, evaluate, run, report."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from endoforge import verbs

#: Frames are small so that two CPU cores finish within three minutes.
_SMALL = ("camera.width=160", "camera.height=128", "sequence_frames=15")
_STEPS = 60
_FINE_TUNING = (
    "learning_rate=1e-4",
    "warm_up=10",
    "report_every=5",
    "validate_every=20",
    "validation_share=0.25",
)

Say = Callable[[str], None]


def run_demo(out: Path, say: Say) -> dict[str, str | float]:
    """Run every stage once and return where the results are.

    Args:
        out: Folder of the demo; running again continues what is there.
        say: Called with one line per stage.

    Returns:
        The report's path, the figures that it shows, and the seconds that it took.
    """
    started = time.monotonic()
    train_set, test_set, run_folder = out / "train", out / "unseen", out / "run"
    say("1/5 simulate: 240 frames of 16 colons to train on, 60 of four unseen ones")
    verbs.simulate("colon-depth", out=train_set, frames=240, seed=7, workers=2, assignments=_SMALL)
    verbs.simulate("colon-depth", out=test_set, frames=60, seed=1007, assignments=_SMALL)
    problems = verbs.check(test_set).problems
    say(f"    check: {len(problems)} problems found in the labels of the unseen colons")

    say(f"2/5 train: fine-tune the shipped depth network for {_STEPS} steps")
    verbs.train(
        "depth-unet",
        data=[train_set],
        out=run_folder,
        assignments=[f"steps={_STEPS}", *_FINE_TUNING],
        start_from="depth",
    )
    say("3/5 evaluate: on the unseen colons, beside trivial baselines")
    result = verbs.evaluate(
        run_folder, test_set, out=run_folder / "evaluation", baselines_from=train_set
    )
    say(result.table())
    say("4/5 run: depth and point clouds of the unseen colons' pictures")
    pictures = pictures_of(test_set, out / "pictures", every=6)
    verbs.run(run_folder, pictures, out=run_folder / "frames")
    say("5/5 view: one page about the data and one about the run")
    verbs.view(test_set)
    report = verbs.view(run_folder)
    return {
        "report": str(report),
        "abs_rel": result.score("abs_rel", "none"),
        "seconds": round(time.monotonic() - started, 1),
    }


def pictures_of(dataset: Path, folder: Path, every: int) -> Path:
    """Write every n-th picture of a data set as a file of its own."""
    from endoforge.frames.dataset import Dataset
    from endoforge.frames.png import encode_png
    from endoforge.frames.storage import make_folder, write_atomically

    make_folder(folder)
    with closing(Dataset.open(dataset)) as frames:
        for index in range(0, len(frames), every):
            write_atomically(folder / f"{index:06d}.png", encode_png(frames.frame(index).image))
    return folder
