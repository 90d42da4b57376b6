# SPDX-License-Identifier: Apache-2.0
"""The child process of `frames.foreign`: limits itself, runs one parser, answers on its output.

The answer is one line of JSON, then the bytes of the arrays that it lists. Nothing is unpickled.
"""

import errno
import importlib
import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO


def main() -> None:
    """Read the request from standard input and write the answer to standard output."""
    request = json.loads(sys.stdin.buffer.read())
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # whatever a library prints must not mix with the answer
        limit(request["memory_bytes"], request["result_bytes"], request["cpu_s"])
        sys.path[:] = request["search_path"]
        try:
            write_result(answer, call(request))
        except BaseException as error:  # the parent tells the user; a trace would help nobody
            write_error(answer, error)


def limit(memory_bytes: int, result_bytes: int, cpu_s: int) -> None:
    """Bound what this process may use; the system enforces it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (result_bytes, result_bytes))


def call(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Import the parser's module and call it."""
    target: Any = importlib.import_module(request["module"])
    for name in request["function"].split("."):
        target = getattr(target, name)
    result: Mapping[str, Any] = target(Path(request["path"]), *request["arguments"])
    return result


def write_result(answer: BinaryIO, result: Mapping[str, Any]) -> None:
    """Write plain values and arrays; an array is anything with a dtype and a shape."""
    import numpy as np

    arrays = {k: np.asarray(v, order="C") for k, v in result.items() if hasattr(v, "dtype")}
    values = {k: v for k, v in result.items() if k not in arrays}
    listed = [(name, array.dtype.str, list(array.shape)) for name, array in arrays.items()]
    answer.write(json.dumps({"values": values, "arrays": listed}).encode() + b"\n")
    for array in arrays.values():
        answer.write(array.reshape(-1).view(np.uint8).data)
    answer.flush()


def write_error(answer: BinaryIO, error: BaseException) -> None:
    """Write the error's name and text, in place of a result that may have begun."""
    answer.seek(0)
    answer.truncate()
    name, message = type(error).__name__, str(error)[:2000]
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        name, message = "DataError", "its content is larger than its parser may hand back"
    text = {"error": name, "message": message}
    answer.write(json.dumps(text).encode() + b"\n")
    answer.flush()


if __name__ == "__main__":
    main()
