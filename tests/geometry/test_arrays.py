# SPDX-License-Identifier: Apache-2.0
"""One source for two libraries: types are kept, and torch is never imported by the geometry."""

import subprocess
import sys

import numpy as np
import torch

from endoforge.geometry.arrays import floating, like, namespace


def test_tensors_belong_to_torch_and_everything_else_to_numpy() -> None:
    assert namespace(torch.zeros(1)) is torch
    assert namespace(np.zeros(1)) is np
    assert namespace([1.0]) is np


def test_floats_are_kept_and_whole_numbers_become_float64() -> None:
    single = np.zeros(2, np.float32)
    assert floating(single) is single
    assert floating([1, 2]).dtype == np.float64
    tensor = torch.zeros(2)
    assert floating(tensor) is tensor
    assert floating(torch.arange(2)).dtype == torch.float64


def test_values_take_the_reference_s_library_and_type() -> None:
    values = np.arange(3.0)
    assert like(values, np.zeros(1, np.float32)).dtype == np.float32
    assert like(values, torch.zeros(1)).dtype == torch.float32
    assert like(torch.arange(3), torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_geometry_imports_without_torch_or_opencv() -> None:
    code = (
        "import sys, endoforge.geometry.flow, endoforge.geometry.camera_files;"
        "assert not {'torch', 'cv2', 'scipy', 'mitsuba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
