# SPDX-License-Identifier: Apache-2.0
"""The one door for files that others made: meshes, volumes, calibrations.

First the file's size and first bytes are checked, then it is parsed in a child process with limits
on memory, processor time and waiting time. A file that lies, loops or crashes its parser becomes
one `DataError` that names the file; this process never suffers.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from endoforge.errors import DataError, EndoforgeError

#: What a parser may return: arrays and plain values by name.
Parsed: TypeAlias = Mapping[str, Any]

#: Deflate cannot pack anything more tightly than this.
_LARGEST_DEFLATE_RATIO = 1032


@dataclass(frozen=True)
class Limits:
    """What a foreign file and its parser may use.

    Attributes:
        file_bytes: Largest file that is opened at all.
        memory_bytes: Address space of the child, the interpreter and its libraries included.
        result_bytes: Largest result that the parser may hand back.
        cpu_s: Processor time of the child, seconds.
        wall_s: Time that we wait for it, seconds.
    """

    file_bytes: int = 2_000_000_000
    memory_bytes: int = 6_000_000_000
    result_bytes: int = 2_000_000_000
    cpu_s: int = 120
    wall_s: float = 180.0


@dataclass(frozen=True)
class FileKind:
    """How a kind of file is recognised.

    Attributes:
        name: What a person calls it.
        suffixes: Endings of the name, with the dot, lower case.
        magic: Bytes by position, of which at least one must be found; empty if there are none.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: tuple[tuple[int, bytes], ...] = ()


NIFTI = FileKind("NIfTI volume", (".nii",), ((344, b"n+1\0"), (4, b"n+2\0")))
NIFTI_GZ = FileKind("packed NIfTI volume", (".nii.gz",), ((0, b"\x1f\x8b"),))
STL = FileKind("STL mesh", (".stl",))
OBJ = FileKind("OBJ mesh", (".obj",))
PLY = FileKind("PLY mesh", (".ply",), ((0, b"ply\n"), (0, b"ply\r")))
JSON = FileKind("JSON file", (".json",))


def kind_of_file(path: Path, kinds: Sequence[FileKind], limits: Limits | None = None) -> FileKind:
    """Tell which kind a file is by its name, then check its size and its first bytes.

    Raises:
        DataError: It is missing, empty, too large, of another kind, or not what its name says.
    """
    limits = limits or Limits()
    kind = _kind_by_name(path, kinds)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(512)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read {path}: {reason}; check the path") from None
    if not start:
        raise DataError(f"{path} is empty; expected a {kind.name}")
    if size > limits.file_bytes:
        raise DataError(f"{path} has {size} bytes; at most {limits.file_bytes} are read")
    if kind.magic and not any(start[at : at + len(m)] == m for at, m in kind.magic):
        raise DataError(f"{path} is not a {kind.name}: it starts with {start[:8]!r}; convert it")
    return kind


def check_declared_size(path: Path, declared_bytes: int, packed: bool = False) -> None:
    """Refuse a file whose header claims more content than the file can hold.

    Args:
        path: The file.
        declared_bytes: What the header says the content takes when unpacked.
        packed: The content is packed with deflate (gzip, zip).

    Raises:
        DataError: The header lies, or the file is cut.
    """
    size = path.stat().st_size
    largest = size * _LARGEST_DEFLATE_RATIO if packed else size
    if not 0 < declared_bytes <= largest:
        raise DataError(
            f"{path} claims {declared_bytes} bytes of content, but a file of {size} bytes holds at "
            f"most {largest}; it is cut or damaged, get it again"
        )


def parse_in_child(
    function: Callable[..., Parsed],
    path: Path,
    limits: Limits | None = None,
    arguments: Sequence[Any] = (),
) -> dict[str, Any]:
    """Call ``function(path, *arguments)`` in a limited child process and return its result.

    Args:
        function: A function at the top of an importable module. It returns arrays of numbers and
            plain JSON values by name. Whatever error of our family it raises comes through.
        path: The foreign file.
        limits: What the child may use.
        arguments: Plain JSON values.

    Returns:
        What the function returned; arrays are read-only.

    Raises:
        DataError: The parser failed, crashed, or exceeded a limit; names the file.
    """
    limits = limits or Limits()
    request = {
        "module": function.__module__,
        "function": function.__qualname__,
        "path": str(path),
        "arguments": list(arguments),
        "memory_bytes": limits.memory_bytes,
        "result_bytes": limits.result_bytes,
        "cpu_s": limits.cpu_s,
        "search_path": [str(Path(entry or ".").resolve()) for entry in sys.path],
    }
    with tempfile.TemporaryFile() as output:
        code = _run_child(json.dumps(request), output, path, limits)
        return _read_answer(output, code, path, limits)


# ---- inside -------------------------------------------------------------------------------------


def _kind_by_name(path: Path, kinds: Sequence[FileKind]) -> FileKind:
    name = path.name.lower()
    for kind in sorted(kinds, key=lambda k: -max(map(len, k.suffixes))):
        if name.endswith(kind.suffixes):
            return kind
    known = ", ".join(suffix for kind in kinds for suffix in kind.suffixes)
    raise DataError(f"{path} is of no kind that is read here; expected a name ending in {known}")


def _run_child(request: str, output: IO[bytes], path: Path, limits: Limits) -> int:
    threads = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    child = subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).with_name("foreign_child.py"))],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.DEVNULL,
        env=os.environ | threads,
        start_new_session=True,
    )
    try:
        child.communicate(request.encode(), timeout=limits.wall_s)
    except subprocess.TimeoutExpired:
        raise DataError(
            f"{path} could not be read within {limits.wall_s:g} s; it is damaged or too large"
        ) from None
    finally:
        _end(child)
    return child.returncode


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _read_answer(output: IO[bytes], code: int, path: Path, limits: Limits) -> dict[str, Any]:
    size = output.seek(0, os.SEEK_END)
    output.seek(0)
    line = output.readline(10_000_000)
    if code != 0 or not line.endswith(b"\n"):
        raise DataError(f"{path} could not be read: {_reason_of(code, limits)}; is it damaged?")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise _error(answer, path)
    values: dict[str, Any] = answer["values"]
    return values | dict(_arrays(answer["arrays"], output, size - len(line)))


def _reason_of(code: int, limits: Limits) -> str:
    if code == -signal.SIGXCPU or code == -signal.SIGKILL:
        return f"its parser was stopped after {limits.cpu_s} s of processor time"
    if code == -signal.SIGXFSZ:
        return f"its content takes more than {limits.result_bytes} bytes"
    if code < 0:
        return f"its parser crashed ({signal.Signals(-code).name})"
    return f"its parser ended with code {code}"


def _error(answer: Mapping[str, Any], path: Path) -> EndoforgeError:
    """Build the error that the child reported, if it is of our family, else a DataError."""
    name, message = str(answer["error"]), str(answer["message"])
    for kind in _family(EndoforgeError):
        if kind.__name__ == name:
            return kind(message if str(path) in message else f"{path}: {message}")
    if name == "MemoryError":
        message = "it needs more memory than its parser may use"
    else:
        message = f"{name}: {' '.join(message.split())[:200]}"
    return DataError(f"{path} could not be read: {message}; is it damaged?")


def _family(kind: type[EndoforgeError]) -> Iterator[type[EndoforgeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


def _arrays(
    listed: Sequence[Any], output: IO[bytes], left: int
) -> Iterator[tuple[str, "np.ndarray[Any, Any]"]]:
    for name, kind, shape in listed:
        dtype = np.dtype(kind)
        length = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if dtype.kind not in "biuf" or not 0 <= length <= left:
            raise DataError(f"the parser's answer does not hold {name!r} {kind} {shape}; try again")
        left -= length
        yield name, np.frombuffer(output.read(length), dtype).reshape(shape)
