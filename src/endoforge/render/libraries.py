# SPDX-License-Identifier: Apache-2.0
"""Finds the system libraries that the renderer loads, before anything loads them.

Dr.Jit compiles through LLVM 17 or newer; 15 and 16 load and then abort the whole process, so they
must never be picked. `scripts/` can unpack LLVM into the virtual environment without root.
"""

import ctypes
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

OLDEST_LLVM = 17
TESTED_LLVM = 19
ADVICE = "run `apt-get install libllvm19 libatomic1` as root, or `make setup` without"

#: Names in the version's place: libLLVM-19.so.1, libLLVM.so.19.1, libLLVM-14.0.6.so.1.
_LLVM_NAME = re.compile(r"libLLVM(?:-(\d+)[\d.]*\.so(?:\.\d+)*|\.so\.(\d+)[\d.]*)$")


def unpacked_folder() -> Path:
    """Where libraries unpacked without root lie: inside the virtual environment."""
    return Path(sys.prefix) / "endoforge-libs"


def prepare_libraries() -> None:
    """Make the right LLVM, and unpacked libraries, the ones that the renderer will load.

    A path that the user set in ``DRJIT_LIBLLVM_PATH`` is left alone; its version is checked later.
    """
    _preload(unpacked_folder())
    if "DRJIT_LIBLLVM_PATH" not in os.environ:
        found = find_llvm([*_folders_of_libraries(unpacked_folder()), *_system_folders()])
        if found is not None:
            os.environ["DRJIT_LIBLLVM_PATH"] = str(found)


def find_llvm(folders: Iterable[Path]) -> Path | None:
    """Return the best usable libLLVM: the first folder that has one, there the tested version.

    Args:
        folders: Where to look, best first; subfolders are not searched.
    """
    for folder in folders:
        versions = {
            version: path
            for path in sorted(folder.glob("libLLVM*.so*"))
            if (version := llvm_version_of(path)) is not None and version >= OLDEST_LLVM
        }
        if versions:
            return versions[max(versions, key=lambda v: (v == TESTED_LLVM, v))]
    return None


def llvm_version_of(path: Path) -> int | None:
    """Read the major version from the file's name; None when it is no versioned libLLVM."""
    match = _LLVM_NAME.search(path.name)
    return int(match.group(1) or match.group(2)) if match else None


def _system_folders() -> list[Path]:
    machine = os.uname().machine
    fixed = [Path(f"/usr/lib/{machine}-linux-gnu"), Path("/usr/lib64"), Path("/usr/local/lib")]
    return fixed + sorted(Path("/usr/lib").glob("llvm-*/lib"), reverse=True)


def _folders_of_libraries(root: Path) -> list[Path]:
    return sorted({path.parent for path in root.rglob("*.so*")})


def _preload(folder: Path) -> None:
    """Load every unpacked library, so that each is found when another one asks for it by name.

    LLVM itself is left to Dr.Jit, which gets its path.
    """
    waiting = [path for path in sorted(folder.rglob("*.so*")) if llvm_version_of(path) is None]
    while waiting:
        refused = [path for path in waiting if not _loads(path)]
        if len(refused) == len(waiting):
            return  # what cannot be loaded is reported by whoever needs it
        waiting = refused


def _loads(path: Path) -> bool:
    try:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True
