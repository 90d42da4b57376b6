# SPDX-License-Identifier: Apache-2.0
"""Making the shards of a data set in this process or in several, whatever is in them.

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
from typing import Any, Protocol, runtime_checkable

from endoforge.errors import StorageError
from endoforge.frames.journal import append_record
from endoforge.frames.shards import ShardRecord, shard_name

log = logging.getLogger(__name__)

_MAX_DEATHS = 5
_POLL_S = 0.2

Tick = Callable[[int], None]


@runtime_checkable
class ShardMaker(Protocol):
    """Makes the shards of one data set; each process has its own."""

    def frames_of(self, sequence: int) -> int:
        """How many frames a sequence has."""
        ...

    def make(self, sequence: int, target: Path, tick: Tick) -> ShardRecord:
        """Write one shard, whole or not at all; call `tick` with 1 after each frame."""
        ...


@dataclass(frozen=True)
class ShardJob:
    """What every worker must know.

    Attributes:
        folder: The data set's folder.
        start: A function at the top of a module that builds a maker. Its first argument is the
            number of processes that share the machine.
        arguments: The others: texts, paths and other plain values.
    """

    folder: Path
    start: Callable[..., ShardMaker]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How one sequence ended: `failure` is empty when its shard is in place."""

    sequence: int
    frames: int
    failure: str = ""


def make_shards(
    job: ShardJob, sequences: Sequence[int], workers: int, tick: Tick
) -> Iterator[Outcome]:
    """Make sequences and yield how each ended, in any order.

    Args:
        job: What to make and where.
        sequences: Which ones are missing.
        workers: 1 works in this process on all cores; more share the cores between processes.
        tick: Called with the number of frames made since the last call.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    if workers == 1:
        maker = job.start(1, *job.arguments)
        for sequence in sequences:
            yield make_shard(job.folder, maker, sequence, tick)
    else:
        yield from _make_in_processes(job, sequences, workers, tick)


def make_shard(folder: Path, maker: ShardMaker, sequence: int, tick: Tick) -> Outcome:
    """Make one shard and its journal line; a sequence that fails is reported, not raised.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    target = folder / shard_name(sequence)
    count = maker.frames_of(sequence)
    if target.exists():  # another run on this folder was faster; the bytes are the same
        return Outcome(sequence, count)
    try:
        record = maker.make(sequence, target, tick)
    except StorageError:
        raise
    except Exception as error:
        log.exception("sequence %d failed", sequence)
        return Outcome(sequence, 0, f"{type(error).__name__}: {error}")
    append_record(folder, record)
    _give_back_memory()
    return Outcome(sequence, count)


def _give_back_memory() -> None:
    """Hand what the last scene freed back to the system; GNU's allocator keeps 100 MB otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


# ---- several processes ---------------------------------------------------------------------------


def _make_in_processes(
    job: ShardJob, sequences: Sequence[int], workers: int, tick: Tick
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


def _one_pool(
    job: ShardJob, sequences: Sequence[int], workers: int, tick: Tick
) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    stop = context.Event()
    pool = ProcessPoolExecutor(
        workers,
        context,
        initializer=_start_worker,
        initargs=(job, workers, counter, stop, os.getpid()),
    )
    try:
        waiting: set[Future[Outcome]] = {pool.submit(_work, s) for s in sequences}
        seen = 0
        while waiting:
            done, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            made = counter.value
            tick(made - seen)
            seen = made
            for future in done:
                yield future.result()
    finally:
        stop.set()  # the watchdogs end workers that are still busy; shards stay whole
        pool.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """What one worker process holds between sequences."""

    folder: Path
    maker: ShardMaker
    counter: "Synchronized[int]"


def _start_worker(
    job: ShardJob, workers: int, counter: "Synchronized[int]", stop: Event, parent: int
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_watch, args=(stop, parent), daemon=True).start()
    _Worker.folder = job.folder
    _Worker.counter = counter
    _Worker.maker = job.start(workers, *job.arguments)


def _watch(stop: Event, parent: int) -> None:
    """End this process when the parent says so or is gone."""
    while os.getppid() == parent and not stop.is_set():
        time.sleep(_POLL_S)
    os._exit(0)


def _work(sequence: int) -> Outcome:
    return make_shard(_Worker.folder, _Worker.maker, sequence, _count)


def _count(frames: int) -> None:
    with _Worker.counter.get_lock():
        _Worker.counter.value += frames
