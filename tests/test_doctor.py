# SPDX-License-Identifier: Apache-2.0
"""The doctor finds what works, survives what does not, and always says how to mend it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from endoforge import doctor
from endoforge.doctor import Finding, diagnose


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return diagnose()


def test_a_machine_that_passes_the_tests_is_well(findings):
    assert [finding for finding in findings if finding.required and not finding.ok] == []


def test_what_works_needs_no_mending_and_what_does_not_has_advice(findings):
    for finding in findings:
        assert finding.detail
        assert bool(finding.mend) != finding.ok


def test_one_broken_check_does_not_hide_the_others(monkeypatch):
    def broken() -> Finding:
        raise NameError("_drjit_ext")

    monkeypatch.setattr(doctor, "check_torch", broken)
    tried = {finding.name: finding for finding in diagnose()}
    assert "NameError: _drjit_ext" in tried["tensors"].detail
    assert tried["Python"].ok


def test_a_renderer_that_aborts_its_process_is_reported_not_shared(monkeypatch):
    monkeypatch.setattr(doctor, "_CPU_PROBE", "import os; os.abort()")
    finding = doctor.check_cpu_renderer()
    assert not finding.ok
    assert "signal 6" in finding.detail
    assert "libllvm19" in finding.mend


def test_a_renderer_that_hangs_is_reported(monkeypatch):
    monkeypatch.setattr(doctor, "_CPU_PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(doctor, "_PROBE_SECONDS", 1)
    assert "no answer" in doctor.check_cpu_renderer().detail


def test_an_llvm_that_is_no_llvm_is_reported_with_the_command_that_installs_one(tmp_path):
    false_llvm = tmp_path / "libLLVM.so.19.1"
    false_llvm.write_bytes(b"not a library")
    code = "from endoforge.doctor import check_cpu_renderer as c; f = c(); print(f.ok, f.mend)"
    environment = os.environ | {"DRJIT_LIBLLVM_PATH": str(false_llvm)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("False")
    assert "libllvm19" in done.stdout


def test_a_folder_that_cannot_be_written_is_named():
    folder = Path("/proc/self")  # not even root may write there
    finding = doctor.check_disk(folder)
    assert not finding.ok
    assert str(folder) in finding.detail


@pytest.mark.parametrize("damage", ["none", "changed", "missing"])
def test_a_damaged_model_is_named(damage, tmp_path, monkeypatch):
    model = tmp_path / "depth"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    stated = {"tensors_sha256": hashlib.sha256(b"weights").hexdigest()}
    (model / "model.json").write_text(json.dumps(stated))
    if damage == "changed":
        (model / "model.safetensors").write_bytes(b"weightz")
    if damage == "missing":
        (model / "model.safetensors").unlink()
    monkeypatch.setattr(doctor.importlib.resources, "files", lambda _: tmp_path)
    finding = doctor.check_weights()
    assert finding.ok is (damage == "none")
    assert "depth" in finding.detail
