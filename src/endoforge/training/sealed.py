# SPDX-License-Identifier: Apache-2.0
"""Tensors and plain values on disk, sealed with SHA-256: whole and unchanged, or refused.

Two files: ``NAME.safetensors`` and ``NAME.json``. The JSON text is in one canonical form and holds
the hashes of both, so any changed byte in either file is found. Nothing here runs foreign code.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from endoforge.errors import CheckpointError, DataError
from endoforge.frames.storage import (
    make_folder,
    parse_json,
    read_bytes,
    sync_folder,
    to_json,
    write_atomically,
)

_LIMIT_BYTES = 8 * 2**30
_SEALS = ("tensors_sha256", "content_sha256")


def write_sealed(
    folder: Path, name: str, tensors: Mapping[str, Tensor], content: Mapping[str, Any]
) -> None:
    """Write tensors and plain values as one folder that exists whole or not at all.

    An older folder of the same name is replaced.

    Args:
        folder: Where the two files go.
        name: Their name before the dot.
        tensors: By name; written as they are, wherever they live.
        content: Plain values, with at least ``kind`` and ``format_version``.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    make_folder(folder.parent)
    fresh = folder.with_name(f".{folder.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        data = safetensors.torch.save(
            {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        )
        write_atomically(fresh / f"{name}.safetensors", data)
        text = _sealed_text(content, hashlib.sha256(data).hexdigest())
        write_atomically(fresh / f"{name}.json", text)
        _put_in_place(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def read_sealed(
    folder: Path, name: str, kind: str, newest_version: int
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_sealed` wrote.

    Returns:
        The tensors on the CPU, and the plain values without their seals.

    Raises:
        CheckpointError: A file is missing, cut, changed, of another kind or from a newer version.
    """
    data, content = _unsealed(folder, name)
    if content.get("kind") != kind:
        raise CheckpointError(
            f"{folder} holds {content.get('kind')!r} but {kind!r} was expected; give another path"
        )
    version = content.get("format_version")
    if not isinstance(version, int) or version > newest_version:
        raise CheckpointError(
            f"{folder} has format version {version} but this program knows up to {newest_version}; "
            "update Endoforge"
        )
    try:
        return safetensors.torch.load(data), content
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{folder}/{name}.safetensors is not valid: {error}") from None


def is_intact(folder: Path, name: str) -> bool:
    """Say whether both files are there and carry the hashes that they were written with."""
    try:
        _unsealed(folder, name)
    except CheckpointError:
        return False
    return True


def update_content(folder: Path, name: str, updates: Mapping[str, Any]) -> None:
    """Add or replace plain values, e.g. a model card's figures, and seal the file again.

    Raises:
        CheckpointError: What is there is damaged.
        StorageError: The folder cannot be written.
    """
    data, content = _unsealed(folder, name)
    text = _sealed_text({**content, **updates}, hashlib.sha256(data).hexdigest())
    write_atomically(folder / f"{name}.json", text)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half written in a folder of sealed folders."""
    for stray in folder.glob(".*.tmp-*") if folder.is_dir() else ():
        shutil.rmtree(stray, ignore_errors=True)


# ---- inside -------------------------------------------------------------------------------------


def _sealed_text(content: Mapping[str, Any], tensors_sha256: str) -> bytes:
    bare = {k: v for k, v in content.items() if k not in _SEALS} | {
        "tensors_sha256": tensors_sha256
    }
    return _text({**bare, "content_sha256": hashlib.sha256(_text(bare)).hexdigest()})


def _text(values: Mapping[str, Any]) -> bytes:
    return (to_json(values, indent=2) + "\n").encode()


def _unsealed(folder: Path, name: str) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of the tensors and the plain values, both checked."""
    try:
        text = read_bytes(folder / f"{name}.json", 64_000_000)
        content = parse_json(text, str(folder / f"{name}.json"))
        data = read_bytes(folder / f"{name}.safetensors", _LIMIT_BYTES)
    except DataError as error:
        raise CheckpointError(f"{error}; or use another checkpoint") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{folder}/{name}.json holds {type(content).__name__}, not an object")
    found = hashlib.sha256(data).hexdigest()
    if text != _sealed_text(content, str(content.get("tensors_sha256"))):
        raise CheckpointError(f"{folder}/{name}.json was changed after it was written; restore it")
    if found != content["tensors_sha256"]:
        raise CheckpointError(
            f"{folder}/{name}.safetensors ({len(data)} bytes) has SHA-256 {found[:12]}... but "
            f"{content['tensors_sha256'][:12]}... was written; it was cut or changed, restore it"
        )
    return data, {k: v for k, v in content.items() if k not in _SEALS}


def _put_in_place(fresh: Path, folder: Path) -> None:
    old = fresh.with_name(fresh.name + "-old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(fresh, folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
