# SPDX-License-Identifier: Apache-2.0
"""Surfaces first, then cinematic pictures of CT: the experiment of Mahmood et al. 2018, run again.

Everything lies in one folder and is made once; the same call goes on where it was stopped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endoforge.depth.settings import DepthSettings
from endoforge.depth.train import train_depth
from endoforge.evaluation.depth import RESULT_FILE, evaluate_model
from endoforge.evaluation.experiments.outcome import ExperimentResult, Row
from endoforge.evaluation.experiments.page import experiment_page
from endoforge.evaluation.experiments.parts import (
    LARGEST_RESULT_BYTES,
    Say,
    WantedSet,
    open_experiment,
    simulated,
)
from endoforge.evaluation.experiments.settings import CinematicExperiment
from endoforge.evaluation.settings import DepthProtocol
from endoforge.frames.storage import parse_json, read_bytes, write_atomically, write_json
from endoforge.settings import validate

RESULT, PAGE, TABLE = "result.json", "report.html", "table.md"

#: Far from all seeds of training data, so that no anatomy comes twice.
_UNSEEN, _OTHER, _SURFACES = 100_000, 200_000, 300_000
_LOOKS = "[transfer,light,illumination,sensor]"


@dataclass(frozen=True)
class Arm:
    """One fine-tuning.

    Attributes:
        name: Of its folder.
        data: Data set that it learns from; None for the network that saw surfaces only.
        images: Number of cinematic pictures.
        conditions: Rendering conditions of each pose; 1 where all share one look.
        seed: Of the training.
    """

    name: str
    data: str | None
    images: int
    conditions: int
    seed: int


def reproduce_cinematic(out: Path, settings: CinematicExperiment, say: Say) -> ExperimentResult:
    """Run the experiment, or what is left of it.

    Args:
        out: Folder of everything: data sets, trainings, results, report.
        settings: How large.
        say: Called with one line per part.

    Raises:
        DataError: The folder holds the experiment at another size, or is damaged.
        EndoforgeError: A part failed; names it.
        StorageError: The disk is full; run again when mended.
    """
    open_experiment(out, settings.model_dump(mode="json", exclude={"workers"}))
    tests = _test_sets(out, settings, say)
    first = _first_network(out, settings, say)
    rows: list[Row] = []
    for arm in _arms(settings):
        model = first if arm.data is None else _fine_tuned(out, settings, arm, first, say)
        for domain, data in tests.items():
            scores = _measured(out / "scores" / f"{arm.name}-{domain}", model, data)
            rows.append(Row(arm.name, arm.images, arm.conditions, arm.seed, domain, scores))
        say(f"    measured {arm.name}")
    result = ExperimentResult(settings.model_dump(mode="json"), tuple(rows), _sentence())
    write_json(out / RESULT, result.to_dict())
    write_atomically(out / TABLE, result.markdown().encode())
    write_atomically(out / PAGE, experiment_page(result).encode())
    return result


def _arms(settings: CinematicExperiment) -> Iterator[Arm]:
    """All networks that are compared, the untouched one first."""
    yield Arm("surfaces", None, 0, 0, 0)
    for repeat in range(settings.repeats):
        for count in settings.counts:
            yield Arm(
                f"cinematic-{count}-{repeat}",
                f"several-{count}",
                count,
                settings.conditions,
                repeat,
            )
        most = settings.counts[-1]
        yield Arm(f"one-look-{most}-{repeat}", f"one-{most}", most, 1, repeat)


# ---- data ----------------------------------------------------------------------------------------


def _test_sets(out: Path, settings: CinematicExperiment, say: Say) -> dict[str, Path]:
    unseen = _simulated(
        out / "data" / "unseen",
        settings.recipe,
        settings,
        (settings.test_frames, settings.seed + _UNSEEN),
        (*_cinematic(settings), f"randomise.anatomies={settings.unseen_volumes}"),
        say,
    )
    if settings.independent_data is not None:
        return {"unseen CT": unseen, "independent": settings.independent_data}
    other = _simulated(
        out / "data" / "independent",
        settings.independent,
        settings,
        (settings.test_frames, settings.seed + _OTHER),
        ("labels=[]",),
        say,
    )
    return {"unseen CT": unseen, "independent": other}


def _training_set(out: Path, settings: CinematicExperiment, arm: Arm, say: Say) -> Path:
    several = arm.conditions > 1
    looks = (
        (f"randomise.conditions={settings.conditions}",)
        if several
        else (f"randomise.held={_LOOKS}",)
    )
    return _simulated(
        out / "data" / str(arm.data),
        settings.recipe,
        settings,
        (arm.images, settings.seed),
        (*_cinematic(settings), f"randomise.anatomies={settings.volumes}", *looks),
        say,
    )


def _cinematic(settings: CinematicExperiment) -> tuple[str, ...]:
    return (f"quality.samples={settings.samples}", "labels=[]")


def _simulated(
    folder: Path,
    recipe: str,
    settings: CinematicExperiment,
    size: tuple[int, int],
    assignments: tuple[str, ...],
    say: Say,
) -> Path:
    """Make a data set, or what is missing of it."""
    frames, seed = size
    changes = {"frames": frames, "seed": seed, "sequence_frames": settings.sequence_frames}
    shape = (f"camera.width={settings.width}", f"camera.height={settings.height}")
    wanted = WantedSet(folder, recipe, changes, (*shape, *assignments))
    return simulated(wanted, settings.workers, say)


# ---- networks ------------------------------------------------------------------------------------


def _first_network(out: Path, settings: CinematicExperiment, say: Say) -> str:
    """The network that saw surfaces only."""
    if settings.surface_frames == 0:
        return settings.start
    count = settings.surface_frames
    data = _simulated(
        out / "data" / "surfaces",
        "colon-depth",
        settings.model_copy(update={"sequence_frames": 100}),
        (count, settings.seed + _SURFACES),
        (),
        say,
    )
    say(f"train on surfaces: {settings.surface_steps} steps")
    told = {"width": settings.width, "height": settings.height, "steps": settings.surface_steps}
    train_depth([data], out / "runs" / "surfaces", validate(DepthSettings, told))
    return str(out / "runs" / "surfaces")


def _fine_tuned(out: Path, settings: CinematicExperiment, arm: Arm, first: str, say: Say) -> str:
    data = _training_set(out, settings, arm, say)
    folder = out / "runs" / arm.name
    say(f"fine-tune {arm.name}: {settings.steps} steps")
    told: Mapping[str, Any] = {
        "width": settings.width,
        "height": settings.height,
        "steps": settings.steps,
        "learning_rate": settings.learning_rate,
        "warm_up": min(100, settings.steps // 4),
        "average": 0.99,
        "validation_share": 0.0,
        "seed": settings.seed + arm.seed,
    }
    train_depth([data], folder, validate(DepthSettings, told), start_from=first)
    return str(folder)


def _protocol() -> DepthProtocol:
    return DepthProtocol(error_maps=2)


def _sentence() -> str:
    return _protocol().sentence()


def _measured(folder: Path, model: str, data: Path) -> dict[str, dict[str, float]]:
    """Figures of a model on a data set, under every alignment; read where they are known."""
    file = folder / RESULT_FILE
    if not file.exists():
        evaluate_model(model, data, _protocol(), out=folder)
    values = parse_json(read_bytes(file, LARGEST_RESULT_BYTES), str(file))
    scores: dict[str, dict[str, float]] = values["predictors"][0]["scores"]
    return scores
