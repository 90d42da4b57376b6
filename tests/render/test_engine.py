# SPDX-License-Identifier: Apache-2.0
"""The engine starts, or says in one sentence what is missing; it never lets LLVM 15 or 16 in."""

import importlib
import subprocess
import sys
from types import SimpleNamespace

import drjit
import pytest

from endoforge.errors import MissingDependency, SettingsError
from endoforge.render import engine


@pytest.fixture
def fresh_probe():
    """Forget what earlier probes of the GPU said."""
    engine.probe_cuda.cache_clear()
    yield
    engine.probe_cuda.cache_clear()


def test_the_cpu_renderer_works_here():
    assert engine.start("cpu") == "llvm_ad_rgb"
    report = engine.engine_report()
    assert report.cpu_works
    assert report.cpu.startswith("LLVM ")
    assert int(report.cpu.split()[1].split(".")[0]) >= 17


@pytest.mark.parametrize("major", [14, 15, 16])
def test_an_llvm_that_would_abort_is_refused(monkeypatch, major):
    monkeypatch.setattr(drjit.detail, "llvm_version", lambda: (major, 0, 6))
    with pytest.raises(MissingDependency, match=rf"found {major}\.0\.6.*libllvm19"):
        engine.check_llvm()
    report = engine.engine_report()
    assert not report.cpu_works
    assert "\n" not in report.cpu


def test_an_llvm_that_drjit_refused_itself_is_called_too_old(monkeypatch):
    monkeypatch.setattr(drjit.detail, "llvm_version", lambda: (-1, -1, -1))
    with pytest.raises(MissingDependency, match=r"found one that is too old; run"):
        engine.check_llvm()


def test_a_missing_llvm_is_named_with_its_package(monkeypatch):
    def missing() -> None:
        raise RuntimeError("LLVM backend could not be loaded")

    monkeypatch.setattr(drjit.detail, "llvm_version", missing)
    with pytest.raises(MissingDependency, match=r"found none.*apt-get install libllvm19"):
        engine.check_llvm()


def test_a_missing_libatomic_is_named_with_its_package(monkeypatch):
    def broken(name: str) -> None:
        raise NameError("name '_drjit_ext' is not defined")

    monkeypatch.setattr(engine, "importlib", SimpleNamespace(import_module=broken))
    with pytest.raises(MissingDependency, match=r"libatomic1 is missing.*apt-get"):
        engine.start("cpu")
    assert importlib.import_module("drjit") is drjit


def test_without_a_driver_auto_means_cpu_and_cuda_is_refused(monkeypatch, fresh_probe):
    monkeypatch.setattr(engine, "_has_cuda_driver", lambda: False)
    assert engine.pick_variant("auto") == "llvm_ad_rgb"
    with pytest.raises(MissingDependency, match=r"libcuda\.so\.1.*'cpu'"):
        engine.pick_variant("cuda")


def test_a_probe_that_aborts_means_cpu_with_the_reason(monkeypatch, fresh_probe):
    answer = subprocess.CompletedProcess([], -6, "", "first\ncould not find OptiX\n")
    monkeypatch.setattr(engine, "_has_cuda_driver", lambda: True)
    monkeypatch.setattr(engine.subprocess, "run", lambda *_, **__: answer)
    assert engine.pick_variant("auto") == "llvm_ad_rgb"
    works, reason = engine.probe_cuda()
    assert not works
    assert "could not find OptiX" in reason


def test_a_probe_that_hangs_is_given_up(monkeypatch, fresh_probe):
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("probe", 1)

    monkeypatch.setattr(engine, "_has_cuda_driver", lambda: True)
    monkeypatch.setattr(engine.subprocess, "run", hang)
    assert engine.probe_cuda()[0] is False


def test_a_probe_that_answers_means_cuda(monkeypatch, fresh_probe):
    answer = subprocess.CompletedProcess([], 0, "cuda_ad_rgb works\n", "")
    monkeypatch.setattr(engine, "_has_cuda_driver", lambda: True)
    monkeypatch.setattr(engine.subprocess, "run", lambda *_, **__: answer)
    assert engine.pick_variant("auto") == engine.pick_variant("cuda") == "cuda_ad_rgb"


def test_the_probe_itself_runs_in_a_process_of_its_own():
    command = [sys.executable, "-m", "endoforge.render.probe", "llvm_ad_rgb"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.stdout == "llvm_ad_rgb works\n", answer.stderr


def test_an_unknown_device_is_refused_with_its_name(plain_shapes):
    with pytest.raises(SettingsError, match="'gpu'"):
        engine.pick_variant("gpu")  # type: ignore[arg-type]


def test_no_threads_are_refused_with_the_count():
    with pytest.raises(SettingsError, match="got 0"):
        engine.set_render_threads(0)


def test_importing_the_engine_loads_no_renderer():
    code = (
        "import sys, endoforge.render.engine, endoforge.render.surface;"
        "sys.exit(any(name in sys.modules for name in ('mitsuba', 'drjit')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
