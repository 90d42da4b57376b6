# SPDX-License-Identifier: Apache-2.0
"""HDF5 files re-read by h5py."""

import json

import h5py
import numpy as np

from endoforge.frames.exports.export import export_dataset
from endoforge.geometry.cameras import camera_from_dict


def test_every_label_of_every_frame_comes_back(folder, dataset, tmp_path):
    out = export_dataset(folder, "hdf5", tmp_path / "out").out
    with h5py.File(out / "dataset.h5") as file:
        assert sorted(file) == ["000000", "000001"]
        assert json.loads(file.attrs["manifest"])["frames"] == 6
        for number in range(6):
            frame = dataset.frame(number)
            group, k = file[f"{frame.sequence:06d}"], frame.index
            for name in (
                "image", "depth_mm", "valid", "normal_camera", "label", "instance", "flow_px",
                "occluded", "clean", "albedo", "shading", "specular", "back_flow_px",
                "back_occluded", "texture_mm", "material", "moving", "opacity",
                "expected_depth_mm", "first_depth_mm", "hu", "camera_from_world",
                "next_camera_from_world",
            ):  # fmt: skip
                there = getattr(frame, name)
                assert group[name].dtype == there.dtype
                np.testing.assert_array_equal(group[name][k], there)
            np.testing.assert_array_equal(group["right_image"][k], frame.right.image)
            np.testing.assert_array_equal(
                group["right_camera_from_world"][k], frame.right.camera_from_world
            )
            assert camera_from_dict(json.loads(group["camera"][k])) == frame.camera
            assert json.loads(group["facts"][k]) == frame.facts
