# SPDX-License-Identifier: Apache-2.0
"""Foreign pictures taken to the simulated look before depth is read: error with and without.

Everything lies in one folder and is made once; the same call goes on where it was stopped.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from endoforge.depth.predictor import DepthPredictor
from endoforge.depth.settings import DepthSettings
from endoforge.depth.train import train_depth
from endoforge.evaluation.depth import RESULT_FILE, Estimator, evaluate_depth
from endoforge.evaluation.experiments.parts import (
    LARGEST_RESULT_BYTES,
    Say,
    WantedSet,
    open_experiment,
    simulated,
)
from endoforge.evaluation.experiments.reverse_looks import RETEXTURED
from endoforge.evaluation.experiments.reverse_outcome import (
    OWN,
    UNTOUCHED,
    AdaptedRow,
    ReverseResult,
)
from endoforge.evaluation.experiments.reverse_settings import Keep, ReverseExperiment
from endoforge.evaluation.settings import DepthProtocol
from endoforge.frames.storage import parse_json, read_bytes, write_atomically, write_json
from endoforge.settings import validate
from endoforge.translation.adapting import AdaptedEstimator, load_adapter
from endoforge.translation.tasks.reverse_settings import ReverseSettings
from endoforge.translation.train import train_translation

RESULT, TABLE = "result.json", "table.md"

#: Far from all seeds of training data, so that no anatomy comes twice.
_UNSEEN, _SIMULATED = 100_000, 300_000

#: Simulated pictures per colon.
_POSES = 10


def reproduce_reverse(out: Path, settings: ReverseExperiment, say: Say) -> ReverseResult:
    """Run the experiment, or what is left of it.

    Args:
        out: Folder of everything: data sets, trainings, results.
        settings: How large.
        say: Called with one line per part.

    Raises:
        DataError: The folder holds the experiment at another size, or is damaged.
        EndoforgeError: A part failed; names it.
        StorageError: The disk is full; run again when mended.
    """
    open_experiment(out, settings.model_dump(mode="json", exclude={"workers"}))
    known = _simulated(out / "data" / "simulated", settings, _SIMULATED, say)
    own = _simulated(out / "data" / "own", settings, _UNSEEN, say)
    test = settings.test_data or _foreign(out / "data" / "test", settings, _UNSEEN, say)
    foreign = settings.foreign_data or _foreign(out / "data" / "foreign", settings, 0, say)
    networks = _networks(out, settings, known, say)
    looks = {
        keep: _translator(out, settings, keep, (known, foreign), say) for keep in settings.keeps
    }
    rows: list[AdaptedRow] = []
    for name, model in networks.items():
        scores = _measured(out / "scores" / name, model, looks, test)
        scores[OWN] = _measured(out / "scores" / f"{name}-own", model, {}, own)[UNTOUCHED]
        rows += [AdaptedRow(name, look, found) for look, found in scores.items()]
        say(f"    measured {name}")
    result = ReverseResult(settings.model_dump(mode="json"), tuple(rows), _protocol().sentence())
    write_json(out / RESULT, result.to_dict())
    write_atomically(out / TABLE, result.markdown().encode())
    return result


# ---- data ----------------------------------------------------------------------------------------


def _simulated(folder: Path, settings: ReverseExperiment, seed: int, say: Say) -> Path:
    """Make pictures in the simulated look: to learn from, or of the test pictures' poses."""
    if seed == _UNSEEN:
        frames, poses = settings.test_frames, settings.sequence_frames
    else:
        frames, poses = settings.simulated_frames, _POSES
    changes = {
        "frames": frames,
        "seed": settings.seed + seed,
        "sequence_frames": min(poses, frames),
    }
    assignments = (*_shape(settings), *settings.simulated_look)
    wanted = WantedSet(folder, settings.simulated, changes, assignments)
    return simulated(wanted, settings.workers, say)


def _foreign(folder: Path, settings: ReverseExperiment, seed: int, say: Say) -> Path:
    """Make foreign pictures, from this seed on: to measure on, or to adapt."""
    unseen = seed == _UNSEEN
    changes = {
        "frames": settings.test_frames if unseen else settings.foreign_frames,
        "seed": settings.seed + seed,
        "sequence_frames": settings.sequence_frames,
    }
    match settings.foreign:
        case "retextured":
            recipe, own = settings.simulated, RETEXTURED
        case "cinematic":
            volumes = settings.unseen_volumes if unseen else settings.volumes
            patients = f"randomise.anatomies={volumes}"
            recipe, own = (
                "cinematic",
                (f"quality.samples={settings.samples}", patients, "labels=[]"),
            )
    wanted = WantedSet(folder, recipe, changes, (*_shape(settings), *own))
    return simulated(wanted, settings.workers, say)


def _shape(settings: ReverseExperiment) -> tuple[str, str]:
    return f"camera.width={settings.width}", f"camera.height={settings.height}"


# ---- networks ------------------------------------------------------------------------------------


def _networks(out: Path, settings: ReverseExperiment, known: Path, say: Say) -> dict[str, str]:
    """The depth networks by name: one that saw one look, and the shipped one."""
    found: dict[str, str] = {}
    if settings.plain_steps:
        say(f"train depth on one look: {settings.plain_steps} steps")
        told: Mapping[str, Any] = {
            "width": settings.width,
            "height": settings.height,
            "steps": settings.plain_steps,
            "batch": settings.plain_batch,
            "learning_rate": settings.plain_rate,
            "precision": "float32",
            "network": settings.plain_network.model_dump(),
            "warm_up": min(300, settings.plain_steps // 4),
            "augment": {"strength": 0.0},
            "seed": settings.seed,
        }
        train_depth([known], out / "runs" / "plain", validate(DepthSettings, told))
        found["plain"] = str(out / "runs" / "plain")
    if settings.shipped:
        found["shipped"] = settings.shipped
    return found


def _translator(
    out: Path, settings: ReverseExperiment, keep: Keep, sides: tuple[Path, Path], say: Say
) -> Path:
    known, foreign = sides
    folder = out / "runs" / f"reverse-{keep}"
    say(f"train a translator that keeps {keep}: {settings.steps} steps")
    told: Mapping[str, Any] = {
        "steps": settings.steps,
        "batch": settings.batch,
        "learning_rate": settings.learning_rate,
        "judge_rate": settings.judge_rate,
        "judge_optimiser": "adam",
        "schedule": "linear",
        "turns": {
            "refiner_alone": settings.alone,
            "judge_alone": settings.judge_alone,
            "refiner": 1,
            "judge": 1,
        },
        "keep": keep,
        "keep_weight": settings.keep_weight,
        "colour_weight": settings.colour_weight,
        "refiner": {"width": settings.refiner_width},
        "judge": {"width": settings.judge_width},
        "pictures": {"height": settings.height, "crop": settings.crop},
        "average": settings.average,
        "validate_every": settings.steps,
        "seed": settings.seed,
    }
    train_translation("reverse", [known], [foreign], folder, validate(ReverseSettings, told))
    return folder


# ---- figures -------------------------------------------------------------------------------------


def _protocol() -> DepthProtocol:
    return DepthProtocol(error_maps=2)


def _measured(
    folder: Path, model: str, looks: Mapping[Keep, Path], test: Path
) -> dict[str, dict[str, dict[str, float]]]:
    """Figures of a network on the pictures in every look; read where they are known."""
    file = folder / RESULT_FILE
    if not file.exists():
        network = DepthPredictor.load(model)
        predictors: dict[str, Estimator] = {UNTOUCHED: network}
        for keep, translator in looks.items():
            predictors[keep] = AdaptedEstimator(network, load_adapter(translator))
        evaluate_depth(predictors, test, _protocol(), Path(model).name, folder)
    values = parse_json(read_bytes(file, LARGEST_RESULT_BYTES), str(file))
    return {found["name"]: found["scores"] for found in values["predictors"]}
