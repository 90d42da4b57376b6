# SPDX-License-Identifier: Apache-2.0
"""A CT that cannot be used, given as a user gives it: one sentence, exit code 3, no name."""

import gzip
import json
import re

import numpy as np
import pytest

from endoforge import cli
from endoforge.optics.transfer_file import preset, transfer_to_dict
from scene.scans import SECRETS, Series, patient, write_nifti, write_series


def cut_slice(folder):
    file = sorted(write_series(folder, patient()).iterdir())[4]
    file.write_bytes(file.read_bytes()[:900])
    return folder


def two_series(folder):
    write_series(folder, patient(), how=Series(number=3))
    return write_series(folder, patient(), how=Series(number=7, prefix="S"))


def missing_slice(folder):
    return write_series(folder, patient(), how=Series(leave_out=(4,)))


def lying_header(folder):
    content = bytearray(write_nifti(folder / "plain.nii", patient()).read_bytes())
    content[42:48] = b"\x00\x02\x00\x02\xcc\x01"
    (folder / "ct.nii.gz").write_bytes(gzip.compress(bytes(content)))
    return folder / "ct.nii.gz"


def several_volumes(folder):
    return write_nifti(folder / "ct.nii", np.stack([patient()] * 2, axis=-1))


def no_gas(folder):
    hu = np.full((60, 60, 60), 40, np.int16)
    hu[:4] = hu[-4:] = -1000
    return write_nifti(folder / "ct.nii", hu, np.diag([3.0, 3.0, 3.0, 1.0]))


def nothing(folder):
    return folder / "none.nii"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (cut_slice, "it is cut"),
        (two_series, r"mixes 2 series.*anatomy\.series=3"),
        (missing_slice, "lacks slices.*fill_gaps=1"),
        (lying_header, "claims 241172480 bytes"),
        (several_volumes, "4 axes"),
        (no_gas, "no gas at all"),
        (nothing, "no such file or folder"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_ct_that_cannot_be_used_is_one_sentence_and_exit_code_3(tmp_path, capfd, make, said):
    (tmp_path / "in").mkdir()
    words = ["simulate", "cinematic", "--ct", str(make(tmp_path / "in"))]
    check(words, tmp_path / "out", capfd, said)


def test_a_ct_too_large_is_refused_with_its_size_where_that_is_wanted(tmp_path, capfd):
    ct = write_nifti(tmp_path / "ct.nii", patient())
    told = ["anatomy.most_voxels=1000", "anatomy.when_too_large=refuse"]
    words = ["simulate", "cinematic", "--ct", str(ct), "--set", told[0], "--set", told[1]]
    check(words, tmp_path / "out", capfd, "14 x 12 x 10 = 1680 voxels")


@pytest.mark.parametrize(("extinction", "said"), [(0.0, "opaque nowhere"), (1.0, "everywhere")])
def test_a_transfer_function_without_a_surface_is_refused(tmp_path, capfd, extinction, said):
    values = transfer_to_dict(preset("bone")) | {"organs": {}}
    points = [point | {"extinction_per_mm": extinction} for point in values["points"]]
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(values | {"points": points}))
    words = ["simulate", "cinematic", "--set", f"transfer.file={file}"]
    check(words, tmp_path / "out", capfd, said, code=2)


def test_a_panorama_that_is_not_there_is_refused(tmp_path, capfd):
    words = ["simulate", "cinematic", "--set", f"illumination.picture={tmp_path / 'none.hdr'}"]
    check(words, tmp_path / "out", capfd, r"cannot read .*none\.hdr")


def check(words, out, capfd, said, code=3):
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--out", str(out), "--frames", "2"])
    shown, told = capfd.readouterr()
    assert stop.value.code == code
    lines = [line for line in (shown + told).splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("endoforge: ")
    assert "Traceback" not in lines[0]
    assert not any(secret in lines[0] for secret in SECRETS)
    assert not out.exists() or not any(out.iterdir())

    assert re.search(said, lines[0])
