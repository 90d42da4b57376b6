# SPDX-License-Identifier: Apache-2.0
"""Starts Mitsuba on the CPU or the GPU, or says in one sentence what is missing.

Everything that imports Mitsuba or Dr.Jit does so after `start`; importing this file loads neither.
"""

import importlib
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from endoforge.errors import MissingDependency, SettingsError
from endoforge.render.libraries import ADVICE, OLDEST_LLVM, prepare_libraries

Device = Literal["auto", "cpu", "cuda"]

CPU_VARIANT = "llvm_ad_rgb"
CUDA_VARIANT = "cuda_ad_rgb"

_PROBE_SECONDS = 120


@dataclass(frozen=True)
class EngineReport:
    """What the renderer can use on this machine, for `endoforge doctor`.

    Attributes:
        cpu: Version of LLVM, or why the CPU renderer does not work.
        cpu_works: True when frames can be rendered on the CPU.
        cuda: Why the GPU renderer does or does not work.
        cuda_works: True when frames can be rendered on an NVIDIA GPU.
    """

    cpu: str
    cpu_works: bool
    cuda: str
    cuda_works: bool


def start(device: Device = "auto") -> str:
    """Choose a device, check its libraries and set Mitsuba's variant.

    Args:
        device: ``"auto"`` takes the GPU when a probe in its own process works, else the CPU.

    Returns:
        The variant that is now set.

    Raises:
        MissingDependency: Names the library that is missing or too old and how to install it.
        SettingsError: The device is not one of the three words.
    """
    variant = pick_variant(device)
    mitsuba = _mitsuba()
    if variant == CPU_VARIANT:
        check_llvm()
    if mitsuba.variant() != variant:
        mitsuba.set_variant(variant)
    return variant


def pick_variant(device: Device = "auto") -> str:
    """Return Mitsuba's name for the device, without starting it.

    Raises:
        MissingDependency: CUDA was asked for and does not work here.
        SettingsError: The device is not one of the three words.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"render device must be 'auto', 'cpu' or 'cuda', got {device!r}")
    if device == "cpu":
        return CPU_VARIANT
    works, reason = probe_cuda()
    if not works and device == "cuda":
        raise MissingDependency(
            f"the GPU renderer does not work here: {reason}; use the device 'cpu'"
        )
    return CUDA_VARIANT if works else CPU_VARIANT


def set_render_threads(count: int) -> None:
    """Let the renderer use this many threads of the process; 1 in a worker among workers."""
    if count < 1:
        raise SettingsError(f"render threads must be 1 or more, got {count}")
    _mitsuba()
    importlib.import_module("drjit").set_thread_count(count)


def check_llvm() -> tuple[int, int, int]:
    """Return the version of LLVM that is loaded, or refuse it.

    Raises:
        MissingDependency: No LLVM was found, or one that would abort the process.
    """
    _mitsuba()
    try:
        version: tuple[int, int, int] = importlib.import_module("drjit").detail.llvm_version()
    except Exception as error:  # Dr.Jit raises RuntimeError; a broken library may raise others
        raise MissingDependency(
            f"the CPU renderer needs LLVM {OLDEST_LLVM} or newer and found none ({error}); {ADVICE}"
        ) from error
    if version[0] < OLDEST_LLVM:
        known = version[0] >= 0  # Dr.Jit answers -1 for one that it refused itself
        shown = ".".join(map(str, version)) if known else "one that is too old"
        raise MissingDependency(
            f"the CPU renderer needs LLVM {OLDEST_LLVM} or newer, found {shown}; {ADVICE}"
        )
    return version


@lru_cache(maxsize=1)
def probe_cuda() -> tuple[bool, str]:
    """Trace one triangle on the GPU in another process, because a failure may abort it.

    Returns:
        Whether it worked, and the reason in words.
    """
    if not _has_cuda_driver():
        return False, "no NVIDIA driver (libcuda.so.1) was found"
    command = [sys.executable, "-m", "endoforge.render.probe", CUDA_VARIANT]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return False, f"the probe did not answer within {_PROBE_SECONDS} s"
    if answer.returncode == 0:
        return True, answer.stdout.strip()
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit code {answer.returncode}"
    return False, f"the probe failed ({last:.200}); is OptiX (libnvoptix.so.1) there?"


def engine_report() -> EngineReport:
    """Say what works, without raising."""
    try:
        cpu, cpu_works = "LLVM " + ".".join(map(str, check_llvm())), True
    except MissingDependency as error:
        cpu, cpu_works = str(error), False
    cuda_works, cuda = probe_cuda()
    return EngineReport(cpu=cpu, cpu_works=cpu_works, cuda=cuda, cuda_works=cuda_works)


def _has_cuda_driver() -> bool:
    import ctypes

    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _mitsuba() -> Any:
    """Import Mitsuba after its libraries were put in place."""
    prepare_libraries()
    try:
        importlib.import_module("drjit")
        return importlib.import_module("mitsuba")
    except (ImportError, NameError, OSError) as error:
        # without libatomic1 the import ends in "name '_drjit_ext' is not defined"
        missing = "libatomic1" if "_drjit_ext" in str(error) or "atomic" in str(error) else error
        raise MissingDependency(
            f"the renderer cannot load: {missing} is missing; {ADVICE}"
        ) from error
