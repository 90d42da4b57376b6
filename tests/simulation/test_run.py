# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from endoforge.errors import EndoforgeError, SettingsError, StorageError
from endoforge.frames.check import check_dataset
from endoforge.frames.dataset import Dataset
from endoforge.simulation import workers as workers_module
from endoforge.simulation.run import simulate_dataset
from simulation.small import SMALL, small_simulation

COMMAND = [sys.executable, "-m", "endoforge", "simulate", "colon"]


def shard_hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.tar")}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "data"
    report = simulate_dataset(small_simulation(), out)
    assert report.complete
    assert report.frames == report.frames_made == 7
    return out


def test_a_simulated_data_set_is_whole_and_its_labels_agree(unbroken):
    report = check_dataset(unbroken)
    assert report.problems == []
    assert (report.sequences, report.frames) == (3, 7)


def test_the_last_sequence_holds_what_is_left(unbroken):
    with closing(Dataset.open(unbroken)) as dataset:
        sequences = [frame.sequence for frame in dataset.iter_frames()]
    assert sequences == [0, 0, 0, 1, 1, 1, 2]


def test_the_bytes_do_not_depend_on_the_number_of_workers(unbroken, tmp_path):
    simulate_dataset(small_simulation(), tmp_path / "two", workers=2)
    assert shard_hashes(tmp_path / "two") == shard_hashes(unbroken)


def test_the_bytes_do_not_depend_on_the_order(unbroken, tmp_path):
    out = tmp_path / "data"
    simulate_dataset(small_simulation(), out)
    (out / "shard-000000.tar").unlink()
    report = simulate_dataset(small_simulation(), out)
    assert report.frames_made == 3
    assert shard_hashes(out) == shard_hashes(unbroken)


def test_a_finished_data_set_is_left_alone(unbroken):
    before = {p: p.stat().st_mtime_ns for p in unbroken.glob("*.tar")}
    assert simulate_dataset(small_simulation(), unbroken).frames_made == 0
    assert {p: p.stat().st_mtime_ns for p in unbroken.glob("*.tar")} == before


def test_another_seed_gives_other_frames(unbroken, tmp_path):
    simulate_dataset(small_simulation("seed=8"), tmp_path / "other")
    other = shard_hashes(tmp_path / "other")
    assert all(other[name] != digest for name, digest in shard_hashes(unbroken).items())


def test_changed_settings_are_refused_with_the_difference(unbroken, tmp_path):
    out = shutil.copytree(unbroken, tmp_path / "data")
    with pytest.raises(SettingsError, match=r"camera\.width.*48.*64"):
        simulate_dataset(small_simulation("camera.width=64"), out)
    assert shard_hashes(out) == shard_hashes(unbroken)


def test_a_scene_that_fails_is_listed_and_the_rest_is_made(unbroken, tmp_path, monkeypatch):
    real = workers_module.render_sequence

    def failing(settings, sequence, anatomy=None):
        if sequence == 1:
            raise RuntimeError("planted fault")
        return real(settings, sequence, anatomy)

    monkeypatch.setattr(workers_module, "render_sequence", failing)
    out = tmp_path / "data"
    report = simulate_dataset(small_simulation(), out)
    assert report.failures == {1: "RuntimeError: planted fault"}
    assert (report.complete, report.frames) == (False, 4)
    with pytest.raises(EndoforgeError, match="sequence 1 failed: RuntimeError: planted fault"):
        simulate_dataset(small_simulation(), out, strict=True)
    monkeypatch.undo()
    assert simulate_dataset(small_simulation(), out).complete
    assert shard_hashes(out) == shard_hashes(unbroken)


# ---- faults from outside -------------------------------------------------------------------------


def run_command(out: Path, workers: int, *assignments: str) -> subprocess.Popen[bytes]:
    settings = [word for text in (*SMALL, *assignments) for word in ("--set", text)]
    words = [*COMMAND, *settings, "--out", str(out), "--workers", str(workers)]
    return subprocess.Popen(
        words, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=_hear_interrupts
    )


def _hear_interrupts() -> None:
    """A job that was started in the background hands an ignored SIGINT down; undo that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for_a_new_shard(process: subprocess.Popen[bytes], out: Path) -> None:
    """Wait until a run has begun a shard that was not there before, or has ended."""
    before = set(out.glob("*.tar")) if out.exists() else set()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if out.exists() and set(out.glob("*shard*")) - before:
            break
        time.sleep(0.005)


def kill_while_it_writes(process: subprocess.Popen[bytes], out: Path, delay_s: float) -> None:
    """Kill a run some moments after it began a shard that was not there before."""
    wait_for_a_new_shard(process, out)
    time.sleep(delay_s)
    process.kill()  # does nothing when it was faster
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_it_continues_with_the_same_frames(tmp_path, workers):
    many = ("frames=36", "sequence_frames=3")
    simulate_dataset(small_simulation(*many), tmp_path / "unbroken")
    out = tmp_path / "data"
    moments = random.Random(workers)
    for _ in range(5):
        process = run_command(out, workers, *many)
        kill_while_it_writes(process, out, delay_s=moments.uniform(0.0, 0.5))
        time.sleep(0.5)  # workers notice that their parent is gone
    process = run_command(out, workers, *many)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert shard_hashes(out) == shard_hashes(tmp_path / "unbroken")
    assert check_dataset(out).problems == []
    assert not list(out.glob(".*tmp*"))


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_within_five_seconds_and_says_how_to_continue(tmp_path, signal_number):
    out = tmp_path / "data"
    process = run_command(out, 2, "frames=9000")
    wait_for_a_new_shard(process, out)
    sent = time.monotonic()
    os.kill(process.pid, signal_number)
    try:
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert time.monotonic() - sent < 5.0
    assert process.returncode == 130
    assert b"the same command continues" in errors


@pytest.mark.slow
def test_two_runs_on_one_folder_make_one_whole_data_set(unbroken, tmp_path):
    out = tmp_path / "data"
    processes = [run_command(out, 1) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert shard_hashes(out) == shard_hashes(unbroken)
    assert check_dataset(out).problems == []


@pytest.fixture
def tiny_disk(tmp_path):
    """A 2 MB file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this machine does not let us mount a small tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_and_the_run_continues_once_there_is_room(unbroken, tiny_disk):
    out = tiny_disk / "data"
    needed = sum(path.stat().st_size for path in unbroken.glob("*.tar"))
    free = shutil.disk_usage(tiny_disk).free
    (tiny_disk / "ballast").write_bytes(b"x" * (free - needed * 6 // 10))
    with pytest.raises(StorageError, match="space") as caught:
        simulate_dataset(small_simulation(), out)
    assert caught.value.exit_code == 4
    assert all(shard_hashes(unbroken)[name] == d for name, d in shard_hashes(out).items())
    (tiny_disk / "ballast").unlink()
    assert simulate_dataset(small_simulation(), out).complete
    assert shard_hashes(out) == shard_hashes(unbroken)
