# SPDX-License-Identifier: Apache-2.0
"""One small data set with every label, exported by each test in its own way."""

from pathlib import Path

import pytest

from endoforge.frames.dataset import Dataset
from frames.analytic import write_analytic_dataset


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return write_analytic_dataset(
        tmp_path_factory.mktemp("exports") / "set", 2, 3, full=True, sway_mm=1.5
    )


@pytest.fixture(scope="session")
def dataset(folder) -> Dataset:
    return Dataset.open(folder)
