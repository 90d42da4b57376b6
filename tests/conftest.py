# SPDX-License-Identifier: Apache-2.0
"""What all tests share: annotations are checked, the network is refused, real data is found.

* Shapes and types in annotations are checked at every call (jaxtyping with beartype). That check
  answers before our own, so a test of a refusal uses the fixture `plain_shapes`.
* Connections to other machines are refused, in child processes too.
* Tests of the real data beside the project use the fixture `shared_data` and skip without it.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

OFFLINE = Path(__file__).parent / "offline"
REPOSITORY = Path(__file__).parents[1]

# Before anything reads them: two threads per process, no network in children.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH", "")])
)
if "sitecustomize" not in sys.modules or not hasattr(
    sys.modules["sitecustomize"], "NetworkUseError"
):
    sys.modules.pop("sitecustomize", None)
    sys.path.insert(0, str(OFFLINE))
    import sitecustomize  # noqa: F401

    sys.path.remove(str(OFFLINE))

import jaxtyping  # noqa: E402
import pytest  # noqa: E402

# `is_pep484_tower`: an int is welcome where a float is asked for, as type checkers see it.
_CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
jaxtyping.install_import_hook("endoforge", _CHECKER)

from endoforge.render.libraries import prepare_libraries  # noqa: E402

prepare_libraries()  # some tests import Dr.Jit themselves


@pytest.fixture
def plain_shapes() -> Iterator[None]:
    """Switch the annotation checks off, so that a function's own refusal can be seen."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data: ``$ENDOFORGE_SHARED_DATA``, else shared/data beside the checkout."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("ENDOFORGE_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"the real data is not at {folder}; set ENDOFORGE_SHARED_DATA to its folder")
    return folder
