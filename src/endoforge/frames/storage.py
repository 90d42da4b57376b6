# SPDX-License-Identifier: Apache-2.0
"""How anything reaches the disk: a file exists whole or not at all, and errors say what to do.

Nothing here knows what a frame is; shards, journals, reports and checkpoints all use it.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from endoforge.errors import DataError, StorageError

#: What an unfinished file is called: ``.NAME.tmp-PID-HOST-RANDOM``.
_TEMPORARY = re.compile(r"^\..+\.tmp-(?P<pid>\d+)-(?P<host>[0-9a-f]{8})-[0-9a-f]{8}$")

#: An unfinished file of another machine counts as forgotten after this long, seconds.
FORGOTTEN_AFTER_S = 3600.0

_ADVICE = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "your quota is used up; free some space and run the same command again",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOTDIR: "a part of this path is a file; choose another folder",
    errno.EISDIR: "there is a folder of this name; choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "something removed the folder or the unfinished file; run the same command again",
    errno.EFBIG: "the file is larger than this disk or your limits allow",
    errno.EIO: "the disk reports a fault; check it, then run the same command again",
}


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], None]) -> None:
    """Write a file so that it exists whole or not at all, whenever the process is killed.

    The content goes to a temporary name in the same folder, is flushed to the disk and renamed.

    Args:
        path: The final name; missing folders on the way are made.
        content: The bytes, or a function that writes them to the open file it is given.

    Raises:
        StorageError: The disk is full, or the folder cannot be written. Whatever `content` raises
            comes through, and the unfinished file is removed.
    """
    make_folder(path.parent)
    temporary = _temporary_name(path)
    try:
        with _storage_errors(path, temporary):
            with open(temporary, "xb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """Fill a folder so that it exists whole or not at all, whenever the process is killed.

    Yields a temporary folder beside the final one; when the block ends well it is renamed,
    otherwise it is removed. What a killed process left there is removed first.

    Args:
        path: The final name; missing folders on the way are made. It must not exist, or be empty.

    Raises:
        DataError: There is something of this name.
        StorageError: The disk is full, or the folder cannot be written.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path} must be a new or an empty folder, but it is not; choose another")
    make_folder(path.parent)
    for stray in path.parent.glob(f".{path.name}.tmp-*"):
        if _is_stray(stray):
            shutil.rmtree(stray, ignore_errors=True)
    temporary = _temporary_name(path)
    try:
        make_folder(temporary)
        with _storage_errors(path, temporary):
            yield temporary
            sync_folder(temporary)
            os.replace(temporary, path)
            sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def append_line(path: Path, text: str) -> None:
    """Add one line to a file that several processes may extend at once, and flush it to the disk.

    The line is one write in append mode, so lines of two processes never mix. A cut last line, left
    by a killed process or a full disk, is closed first and stays a line of its own. Readers must
    pass over empty lines: two processes that append at once may leave one.

    Raises:
        StorageError: The disk is full, or the file cannot be written.
        DataError: The text holds a line break.
    """
    if "\n" in text:
        raise DataError(
            f"expected one line for {path}, got {text.count(chr(10)) + 1}: {text[:60]!r}"
        )
    make_folder(path.parent)
    with _storage_errors(path):
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            line = (text + "\n").encode()
            if _ends_inside_a_line(descriptor):
                line = b"\n" + line
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        StorageError: It cannot be made.
    """
    with _storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot
            raise
    finally:
        os.close(descriptor)


def remove_strays(folder: Path) -> list[str]:
    """Remove unfinished files that no running process owns; return their names.

    A file of another machine is removed only when nothing touched it for `FORGOTTEN_AFTER_S`.
    """
    strays = [p for p in sorted(folder.glob(".*.tmp-*")) if _is_stray(p)]
    for stray in strays:
        with _storage_errors(stray):
            if stray.is_dir():
                shutil.rmtree(stray)
            else:
                stray.unlink(missing_ok=True)
    return [stray.name for stray in strays]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def sha256_of_all(path: Path) -> str:
    """SHA-256 of a file's content, or of the names and hashes of all files in a folder.

    Hidden files do not count; names do, with the folders that they lie in.

    Raises:
        DataError: A file cannot be read.
    """
    if not path.is_dir():
        return sha256_of(path)
    names = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    shown = {name: file for name, file in names.items() if "/." not in f"/{name}"}
    hashes = {name: sha256_of(file) for name, file in shown.items()}
    return hashlib.sha256(to_json(hashes).encode()).hexdigest()


def read_bytes(path: Path, limit_bytes: int) -> bytes:
    """Read a whole file that must not be larger than a limit.

    Raises:
        DataError: It is missing, not a file, or larger than `limit_bytes`.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(content) > limit_bytes:
        raise DataError(f"{path} is larger than the {limit_bytes} bytes that such a file may have")
    return content


def read_json(path: Path, limit_bytes: int = 16_000_000, limit_depth: int = 50) -> Any:
    """Read plain values from a JSON file; refuse giant, deeply nested or non-finite content.

    Raises:
        DataError: Names the file and what is wrong with it.
    """
    return parse_json(read_bytes(path, limit_bytes), str(path), limit_depth)


def parse_json(content: bytes, source: str, limit_depth: int = 50) -> Any:
    """Read plain values from JSON text; `source` names it in errors.

    Raises:
        DataError: Names the source and what is wrong with it.
    """
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise DataError(
            f"{source} is not valid JSON ({reason}); restore it or make it anew"
        ) from None
    if _deeper_than(value, limit_depth):
        raise DataError(f"{source} is nested more than {limit_depth} levels deep; restore it")
    return value


def to_json(value: Any, indent: int | None = None) -> str:
    """Turn plain values into JSON text that depends on the values alone."""
    separators = (",", ": ") if indent else (",", ":")
    return json.dumps(
        value,
        sort_keys=True,
        indent=indent,
        ensure_ascii=False,
        allow_nan=False,
        separators=separators,
    )


def write_json(path: Path, value: Any) -> None:
    """Write plain values as readable JSON, whole or not at all; keys are sorted.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    write_atomically(path, (to_json(value, indent=2) + "\n").encode())


# ---- inside -------------------------------------------------------------------------------------


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp-{os.getpid()}-{_host()}-{secrets.token_hex(4)}")


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _is_stray(path: Path) -> bool:
    match = _TEMPORARY.match(path.name)
    if not match:
        return False
    try:
        parts = [path, *path.iterdir()] if path.is_dir() else [path]
        touched = max(part.stat().st_mtime for part in parts)
    except OSError:
        return False
    forgotten = time.time() - touched > FORGOTTEN_AFTER_S
    pid = int(match["pid"])
    ours = match["host"] == _host()
    return forgotten or (ours and (pid == os.getpid() or not _is_running(pid)))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _ends_inside_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


@contextmanager
def _storage_errors(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn the system's error about this path into one sentence; let all others through."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.filename is not None and not _is_about(str(error.filename), path, temporary):
            raise
        reason = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, "check the disk and run the same command again")
        raise StorageError(f"cannot write {path}: {reason}; {advice}") from error


def _is_about(name: str, path: Path, temporary: Path | None) -> bool:
    """Whether a file's name is the path, above it, or the temporary one or inside it."""
    within = temporary is not None and Path(name).is_relative_to(temporary)
    return within or str(path).startswith(name)


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot read {path}: {error.strerror or error}; check the path")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return True
