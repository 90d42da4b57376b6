# SPDX-License-Identifier: Apache-2.0
"""What the tests of translation share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from frames.analytic import write_analytic_dataset


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks are faster on one thread, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sequences of three labelled frames, 64 × 48 px."""
    folder = tmp_path_factory.mktemp("simulated") / "data"
    return write_analytic_dataset(folder, sequences=2, frames=3)
