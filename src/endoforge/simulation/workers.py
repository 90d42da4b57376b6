# SPDX-License-Identifier: Apache-2.0
"""Making sequences in this process or in several.

Nothing is shared between workers but a frame counter for the progress bar: a worker is told a
sequence number, writes one shard and one journal line, and may die at any moment in between.
"""

import ctypes
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

from endoforge.errors import StorageError
from endoforge.frames.frame import Frame
from endoforge.frames.journal import append_record
from endoforge.frames.shards import shard_name, write_shard
from endoforge.frames.storage import parse_json, to_json
from endoforge.render.engine import set_render_threads
from endoforge.settings import validate
from endoforge.simulation.patient import Patient, read_patient
from endoforge.simulation.sequence import render_sequence
from endoforge.simulation.settings import SIMULATORS, AnySimulation

log = logging.getLogger(__name__)

_MAX_DEATHS = 5
_POLL_S = 0.2

Tick = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """What every worker must know.

    Attributes:
        settings: The whole simulation.
        folder: The data set's folder.
        patient_file: The patient that all sequences share, or None.
    """

    settings: AnySimulation
    folder: Path
    patient_file: Path | None


@dataclass(frozen=True)
class Outcome:
    """How one sequence ended: `failure` is empty when its shard is in place."""

    sequence: int
    frames: int
    failure: str = ""


def make_sequences(
    job: Job, sequences: Sequence[int], workers: int, tick: Tick
) -> Iterator[Outcome]:
    """Make sequences and yield how each ended, in any order.

    Args:
        job: What to make and where.
        sequences: Which ones are missing.
        workers: 1 renders in this process on all cores; more give each process one core.
        tick: Called with the number of frames rendered since the last call.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    if workers == 1:
        patient = read_patient(job.patient_file)
        for sequence in sequences:
            yield _make(job, patient, sequence, tick)
    else:
        yield from _make_in_processes(job, sequences, workers, tick)


def _make(job: Job, patient: Patient | None, sequence: int, tick: Tick) -> Outcome:
    """Make one shard and its journal line; a scene that fails is reported, not raised."""
    target = job.folder / shard_name(sequence)
    count = job.settings.frames_of(sequence)
    if target.exists():  # another run on this folder was faster; the bytes are the same
        return Outcome(sequence, count)
    try:
        frames = _ticking(render_sequence(job.settings, sequence, patient), tick)
        record = write_shard(target, frames, job.settings.depth_step_mm)
    except StorageError:
        raise
    except Exception as error:
        log.exception("sequence %d failed", sequence)
        return Outcome(sequence, 0, f"{type(error).__name__}: {error}")
    append_record(job.folder, record)
    _give_back_memory()
    return Outcome(sequence, count)


def _give_back_memory() -> None:
    """Hand what the last scene freed back to the system; GNU's allocator keeps 100 MB otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _ticking(frames: Iterator[Frame], tick: Tick) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        tick(1)


# ---- several processes ---------------------------------------------------------------------------


def _make_in_processes(
    job: Job, sequences: Sequence[int], workers: int, tick: Tick
) -> Iterator[Outcome]:
    """Hand sequence numbers to processes; replace a process that dies, up to a limit."""
    missing = list(sequences)
    for _ in range(_MAX_DEATHS):
        try:
            for outcome in _one_pool(job, missing, workers, tick):
                missing.remove(outcome.sequence)
                yield outcome
            return
        except BrokenProcessPool:
            log.warning("a worker died (killed or out of memory); starting new ones")
    for sequence in missing:
        yield Outcome(sequence, 0, f"a worker died {_MAX_DEATHS} times (killed or out of memory)")


def _one_pool(job: Job, sequences: Sequence[int], workers: int, tick: Tick) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    stop = context.Event()
    told = (to_json(job.settings.model_dump(mode="json")), job.folder, job.patient_file)
    pool = ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(told, counter, stop, os.getpid())
    )
    try:
        waiting: set[Future[Outcome]] = {pool.submit(_work, s) for s in sequences}
        seen = 0
        while waiting:
            done, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            rendered = counter.value
            tick(rendered - seen)
            seen = rendered
            for future in done:
                yield future.result()
    finally:
        stop.set()  # the watchdogs end workers that are still busy; shards stay whole
        pool.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """What one worker process holds between sequences."""

    job: Job
    patient: Patient | None
    counter: "Synchronized[int]"


def _start_worker(
    told: tuple[str, Path, Path | None], counter: "Synchronized[int]", stop: Event, parent: int
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_watch, args=(stop, parent), daemon=True).start()
    set_render_threads(1)
    values, folder, patient_file = parse_json(told[0].encode(), "the settings"), told[1], told[2]
    job = Job(validate(SIMULATORS[values["simulator"]], values), folder, patient_file)
    _Worker.job = job
    _Worker.counter = counter
    _Worker.patient = read_patient(job.patient_file)


def _watch(stop: Event, parent: int) -> None:
    """End this process when the parent says so or is gone."""
    while os.getppid() == parent and not stop.is_set():
        time.sleep(_POLL_S)
    os._exit(0)


def _work(sequence: int) -> Outcome:
    return _make(_Worker.job, _Worker.patient, sequence, _count)


def _count(frames: int) -> None:
    with _Worker.counter.get_lock():
        _Worker.counter.value += frames
