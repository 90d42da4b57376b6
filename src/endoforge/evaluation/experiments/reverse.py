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
from endoforge.evaluation.experiments.reverse_outcome import UNTOUCHED, AdaptedRow, ReverseResult
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
    known = _simulated(out, settings, say)
    test = settings.test_data or _cinematic(
        out / "data" / "test",
        settings,
        (settings.test_frames, _UNSEEN, settings.unseen_volumes),
        say,
    )
    foreign = settings.foreign_data or _cinematic(
        out / "data" / "foreign", settings, (settings.foreign_frames, 0, settings.volumes), say
    )
    networks = _networks(out, settings, known, say)
    looks = {
        keep: _translator(out, settings, keep, (known, foreign), say) for keep in settings.keeps
    }
    rows: list[AdaptedRow] = []
    for name, model in networks.items():
        scores = _measured(out / "scores" / name, model, looks, test)
        rows += [AdaptedRow(name, look, found) for look, found in scores.items()]
        say(f"    measured {name}")
    result = ReverseResult(settings.model_dump(mode="json"), tuple(rows), _protocol().sentence())
    write_json(out / RESULT, result.to_dict())
    write_atomically(out / TABLE, result.markdown().encode())
    return result


# ---- data ----------------------------------------------------------------------------------------


def _simulated(out: Path, settings: ReverseExperiment, say: Say) -> Path:
    changes = {
        "frames": settings.simulated_frames,
        "seed": settings.seed + _SIMULATED,
        "sequence_frames": min(20, settings.simulated_frames),
    }
    folder = out / "data" / "simulated"
    return simulated(
        WantedSet(folder, settings.simulated, changes, _shape(settings)), settings.workers, say
    )


def _cinematic(
    folder: Path, settings: ReverseExperiment, size: tuple[int, int, int], say: Say
) -> Path:
    """Make foreign pictures: so many, from this seed on, of so many synthetic patients."""
    frames, seed, volumes = size
    changes = {
        "frames": frames,
        "seed": settings.seed + seed,
        "sequence_frames": settings.sequence_frames,
    }
    assignments = (
        *_shape(settings),
        f"quality.samples={settings.samples}",
        f"randomise.anatomies={volumes}",
        "labels=[]",
    )
    wanted = WantedSet(folder, settings.foreign, changes, assignments)
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
        "judge_optimiser": "adam",
        "schedule": "linear",
        "turns": {"refiner_alone": 0, "judge_alone": min(20, settings.steps // 4), "refiner": 1},
        "keep": keep,
        "keep_weight": settings.keep_weight,
        "refiner": {"width": settings.refiner_width},
        "judge": {"width": settings.judge_width},
        "pictures": {"height": settings.height, "crop": settings.crop},
        "average": 0.99,
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
