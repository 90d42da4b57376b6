# SPDX-License-Identifier: Apache-2.0
"""What reading a CT may cost grows with its size, and a CT too large is made to fit."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoforge.errors import DataError
from endoforge.scene.volume.grids import coarser_affine, factors_for
from endoforge.scene.volume.limits import block_factors, limits_for


def test_limits_grow_with_what_is_held():
    small, large = limits_for(10**9, 10**4), limits_for(10**9, 10**9)
    for name in ("memory_bytes", "result_bytes", "cpu_s", "wall_s"):
        assert getattr(small, name) < getattr(large, name)
    usual = limits_for(256_000_000, 240_000_000)  # 512 x 512 x 460
    assert usual.result_bytes > 2 * 512 * 512 * 460
    assert usual.memory_bytes < 5_000_000_000


def test_a_small_file_cannot_ask_for_much_memory():
    assert limits_for(4_000_000_000, 10_000).memory_bytes < 2_700_000_000


@given(st.tuples(*[st.integers(4, 900)] * 3), st.tuples(*[st.floats(0.3, 5.0)] * 3))
def test_blocks_bring_a_ct_below_its_budget(shape, sizes):
    factors = factors_for(shape, np.array(sizes), 100_000)
    left = [n // f for n, f in zip(shape, factors, strict=True)]
    assert np.prod(left) <= 100_000
    assert min(left) >= 2


def test_blocks_even_out_the_voxels():
    assert factors_for((512, 512, 100), np.array([0.7, 0.7, 2.8]), 512 * 512 * 100 // 15) == (
        4,
        4,
        1,
    )


def test_a_block_lies_about_the_middle_of_its_voxels():
    affine = coarser_affine(np.diag([1.0, 2.0, 3.0, 1.0]), (2, 1, 4))
    np.testing.assert_allclose(affine[:3, 3], [0.5, 0.0, 4.5])
    np.testing.assert_allclose(np.diag(affine), [2, 2, 12, 1])


def test_a_ct_that_is_refused_is_told_its_size():
    with pytest.raises(DataError, match=r"512 x 512 x 2000 = 524288000 voxels, 1\.0 GB"):
        block_factors(Path("ct.nii"), (512, 512, 2000), np.ones(3), 256_000_000, "refuse")
