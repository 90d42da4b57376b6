# SPDX-License-Identifier: Apache-2.0
"""What a worker does that simulates: one sequence, rendered and written as one shard."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from endoforge.frames.frame import Frame
from endoforge.frames.shards import ShardRecord, write_shard
from endoforge.frames.storage import parse_json, to_json
from endoforge.frames.workers import ShardJob, Tick
from endoforge.render.engine import set_render_threads
from endoforge.settings import validate
from endoforge.simulation.patient import Patient, read_patient
from endoforge.simulation.sequence import render_sequence
from endoforge.simulation.settings import SIMULATORS, AnySimulation


@dataclass(frozen=True)
class SequenceMaker:
    """Renders and writes sequences of one simulation.

    Attributes:
        settings: The whole simulation.
        patient: The patient that all sequences share, or None.
    """

    settings: AnySimulation
    patient: Patient | None

    def frames_of(self, sequence: int) -> int:
        """How many frames a sequence has."""
        return self.settings.frames_of(sequence)

    def make(self, sequence: int, target: Path, tick: Tick) -> ShardRecord:
        """Render a sequence into its shard."""
        frames = _ticking(render_sequence(self.settings, sequence, self.patient), tick)
        return write_shard(target, frames, self.settings.depth_step_mm)


def simulation_job(settings: AnySimulation, folder: Path, patient_file: Path | None) -> ShardJob:
    """What workers must know to simulate.

    Args:
        settings: The whole simulation.
        folder: The data set's folder.
        patient_file: The patient that all sequences share, or None.
    """
    text = to_json(settings.model_dump(mode="json"))
    return ShardJob(folder, start_simulating, (text, patient_file))


def start_simulating(processes: int, settings: str, patient_file: Path | None) -> SequenceMaker:
    """Build what one process needs; alone it renders on all cores, beside others on one.

    Args:
        processes: How many share the machine.
        settings: The whole simulation as JSON.
        patient_file: The patient that all sequences share, or None.
    """
    if processes > 1:
        set_render_threads(1)
    values = parse_json(settings.encode(), "the settings")
    simulation = validate(SIMULATORS[values["simulator"]], values)
    return SequenceMaker(simulation, read_patient(patient_file))


# ---- inside -------------------------------------------------------------------------------------


def _ticking(frames: Iterator[Frame], tick: Tick) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        tick(1)
