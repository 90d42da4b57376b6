# SPDX-License-Identifier: Apache-2.0
"""The stage: settings in, a data set on disk out, however often it is interrupted.

Which sequences exist is read from the folder itself, so "resume" is the same code as "start".
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from endoforge.errors import EndoforgeError
from endoforge.frames.journal import read_journal, reconcile
from endoforge.frames.manifest import MANIFEST, DatasetManifest, open_manifest, read_manifest
from endoforge.frames.workers import make_shards
from endoforge.simulation.cameras import build_camera, is_fixed
from endoforge.simulation.label_choice import FIELDS_OF
from endoforge.simulation.patient import class_names, prepare_patient, refuse_another_patient
from endoforge.simulation.settings import AnySimulation, CinematicSimulation
from endoforge.simulation.workers import simulation_job

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SimulationReport:
    """What a run of `simulate` did.

    Attributes:
        out: The data set's folder.
        frames: Frames in the data set now.
        frames_planned: Frames when it is complete.
        frames_made: Frames that this run added.
        seconds: Wall time of this run.
        failures: What went wrong, by sequence number; empty when all is well.
    """

    out: Path
    frames: int
    frames_planned: int
    frames_made: int
    seconds: float
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True when every planned frame is on disk."""
        return self.frames == self.frames_planned


def simulate_dataset(
    settings: AnySimulation,
    out: Path,
    workers: int = 1,
    progress: Progress | None = None,
    strict: bool = False,
) -> SimulationReport:
    """Make a labelled data set, or continue one.

    Args:
        settings: What to simulate.
        out: The data set's folder; made when missing.
        workers: Processes; 1 renders in this process on all cores.
        progress: Called with (frames rendered so far, frames in the data set).
        strict: Stop at the first sequence that fails instead of listing it.

    Raises:
        SettingsError: The folder holds a data set of other settings; names the first difference.
        StorageError: The disk is full or the folder cannot be written; run again when mended.
        EndoforgeError: A sequence failed and `strict` is set.
    """
    started = time.monotonic()
    patient_file = _prepare_folder(settings, out)
    finished = {record.sequence for record in reconcile(out)}
    missing = [s for s in range(settings.sequences) if s not in finished]
    done = made = settings.frames - sum(settings.frames_of(s) for s in missing)
    rendered = done
    failures: dict[int, str] = {}

    def tick(frames: int) -> None:
        nonlocal rendered
        rendered += frames
        if progress is not None:
            progress(rendered, settings.frames)

    tick(0)
    job = simulation_job(settings, out, patient_file)
    for outcome in make_shards(job, missing, workers, tick):
        made += outcome.frames
        if outcome.failure:
            failures[outcome.sequence] = outcome.failure
            if strict:
                raise EndoforgeError(f"sequence {outcome.sequence} failed: {outcome.failure}")
    if len(read_journal(out)) < settings.sequences - len(failures):
        reconcile(out)  # another run on this folder rewrote the journal at the wrong moment
    seconds = time.monotonic() - started
    return SimulationReport(out, made, settings.frames, made - done, seconds, failures)


def _prepare_folder(settings: AnySimulation, out: Path) -> Path | None:
    """Write or check dataset.json; read a patient once. Returns the patient's file, if any."""
    if (out / MANIFEST).exists():  # refuse other settings before any work is done
        provenance = read_manifest(out).provenance
        open_manifest(out, _manifest(settings, provenance))
        refuse_another_patient(settings, out, provenance)
    patient_file, provenance = prepare_patient(settings, out)
    open_manifest(out, _manifest(settings, provenance))
    return patient_file


def _manifest(settings: AnySimulation, provenance: dict[str, str]) -> DatasetManifest:
    classes = class_names(settings)
    optional = [field for name in settings.wanted for field in FIELDS_OF[name]]
    return DatasetManifest(
        name=f"endoforge-{settings.simulator}",
        labels=dict(classes),
        optional_labels=[*optional, "facts"],
        camera=build_camera(settings.camera).to_dict() if is_fixed(settings.camera) else None,
        depth_scale_mm=settings.depth_step_mm,
        depth_rule=settings.depth if isinstance(settings, CinematicSimulation) else "surface",
        seed=settings.seed,
        settings=settings.model_dump(mode="json"),
        sequences=settings.sequences,
        frames=settings.frames,
        provenance=provenance,
    )
