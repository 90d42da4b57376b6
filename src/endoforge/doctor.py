# SPDX-License-Identifier: Apache-2.0
"""What works on this machine, and how to mend what does not; the command line prints it.

Each check is one function that tries the real thing, small. Whatever may abort a process (LLVM,
CUDA) is tried in a process of its own.
"""

import hashlib
import importlib.metadata
import importlib.resources
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from endoforge.render.libraries import ADVICE

_PROBE_SECONDS = 120
_NEEDED_BYTES = 2 * 10**9
_REINSTALL = "run `make setup` again, or `pip install --force-reinstall endoforge`"
_OUR_ERROR = "endoforge.errors.MissingDependency: "
_CPU_PROBE = (
    "import sys\n"
    "from endoforge.render.engine import check_llvm, start\n"
    "from endoforge.render.probe import trace_one_triangle\n"
    "trace_one_triangle(start('cpu'))\n"
    "sys.stdout.write('LLVM ' + '.'.join(map(str, check_llvm())))\n"
)


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes:
        name: What was tried, in one or two words.
        ok: True when it works.
        detail: What was found, or what went wrong.
        mend: What to do when it does not work; empty when it does.
        required: True when Endoforge cannot do its work without it.
    """

    name: str
    ok: bool
    detail: str
    mend: str = ""
    required: bool = True


def diagnose(folder: Path | None = None) -> list[Finding]:
    """Try everything that Endoforge relies on; takes a few seconds and never raises.

    Args:
        folder: Where results are to go; the current folder unless told.
    """
    place = folder or Path.cwd()
    checks: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("Python", check_python),
        ("tensors", check_torch),
        ("CPU renderer", check_cpu_renderer),
        ("GPU renderer", check_gpu_renderer),
        ("video", check_video),
        ("shipped models", check_weights),
        ("disk", lambda: check_disk(place)),
        ("Chromium", check_chromium),
        ("Open3D", check_open3d),
    )
    return [_tried(name, check) for name, check in checks]


def _tried(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        finding = check()
    except Exception as error:  # a broken library may raise anything, and the others still count
        return Finding(name, False, f"{type(error).__name__}: {error}", _REINSTALL)
    return replace(finding, mend="") if finding.ok else finding


def check_python() -> Finding:
    """Python 3.11 or newer, in a virtual environment or not."""
    version = ".".join(map(str, sys.version_info[:3]))
    detail = f"{version} at {sys.prefix}, Endoforge {importlib.metadata.version('endoforge')}"
    return Finding("Python", sys.version_info >= (3, 11), detail, "install Python 3.11 or newer")


def check_torch() -> Finding:
    """Torch loads, and which device it would train on."""
    import torch

    device = "CPU only"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name(0)
    detail = f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads"
    working = bool(torch.ones(2, 2).matmul(torch.ones(2, 2)).eq(2).all())
    return Finding("tensors", working, detail, _REINSTALL)


def check_cpu_renderer() -> Finding:
    """One triangle traced through LLVM, in another process because a bad LLVM aborts."""
    command = [sys.executable, "-c", _CPU_PROBE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return Finding("CPU renderer", False, f"no answer in {_PROBE_SECONDS} s", ADVICE)
    if done.returncode == 0:
        return Finding("CPU renderer", True, done.stdout.strip())
    return Finding("CPU renderer", False, _last_words(done), ADVICE)


def check_gpu_renderer() -> Finding:
    """One triangle traced through CUDA and OptiX; optional."""
    from endoforge.render.engine import probe_cuda

    works, reason = probe_cuda()
    mend = "none needed: the CPU renders; a GPU needs NVIDIA's driver with OptiX"
    return Finding("GPU renderer", works, reason, mend, required=False)


def check_video() -> Finding:
    """A second of video encoded and decoded again."""
    import av
    import numpy as np

    encoder = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(encoder, rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(8):
            picture = np.full((48, 64, 3), level * 30, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as container:
        count = sum(1 for _ in container.decode(video=0))
    detail = f"PyAV {av.__version__}, {encoder}, {count} of 8 frames came back"
    return Finding("video", count == 8, detail, _REINSTALL)


def check_weights() -> Finding:
    """Every shipped model is there and has the SHA-256 that its JSON states."""
    found: list[str] = []
    wrong: list[str] = []
    with importlib.resources.as_file(importlib.resources.files("endoforge.weights")) as root:
        for card in sorted(root.glob("*/model.json")):
            stated = json.loads(card.read_text(encoding="utf-8")).get("tensors_sha256")
            weights = card.with_suffix(".safetensors")
            same = weights.is_file() and _sha256(weights) == stated
            (found if same else wrong).append(card.parent.name)
    if wrong:
        return Finding("shipped models", False, f"damaged: {', '.join(wrong)}", _REINSTALL)
    return Finding("shipped models", bool(found), ", ".join(found) or "none found", _REINSTALL)


def check_disk(folder: Path) -> Finding:
    """Results can be written to the folder, and 2 GB are free there."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"endoforge")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        advice = "go to a folder that you may write to, or name one with --out"
        return Finding("disk", False, f"{folder} cannot be written: {error.strerror}", advice)
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free at {folder}"
    return Finding("disk", free >= _NEEDED_BYTES, detail, "free some space: 2 GB are a good start")


def check_chromium() -> Finding:
    """A browser without a window, which only the report's own test needs."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    mend = "only tests need it: `apt-get install chromium` as root"
    return Finding("Chromium", found is not None, found or "not found", mend, required=False)


def check_open3d() -> Finding:
    """The opponent of one benchmark; nothing else uses it."""
    mend = "only `make bench` compares with it: `pip install open3d`"
    try:
        version = importlib.metadata.version("open3d")
    except importlib.metadata.PackageNotFoundError:
        return Finding("Open3D", False, "not installed", mend, required=False)
    return Finding("Open3D", True, version, required=False)


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = (lines[-1] if lines else "it said nothing").removeprefix(_OUR_ERROR)
    ending = f"stopped by signal {-done.returncode}: " if done.returncode < 0 else ""
    return f"{ending}{said:.300}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
