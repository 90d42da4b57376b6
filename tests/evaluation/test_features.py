# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from endoforge.errors import CheckpointError
from endoforge.evaluation.features.choose import INCEPTION, SQUEEZENET, feature_network
from endoforge.evaluation.features.inception import FidInception
from endoforge.evaluation.features.squeezenet import NAMES


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """Random weights in the layout of the public ones, as a torch file."""
    torch.manual_seed(0)
    state = FidInception().state_dict()
    path = tmp_path_factory.mktemp("weights") / "fid.pth"
    torch.save(state, path)
    return path, state


def pictures(count=2):
    return np.random.default_rng(0).integers(0, 256, (count, 40, 48, 3), np.uint8)


def test_the_layout_is_that_of_the_public_weights(inception):
    _, state = inception
    parameters = sum(v.numel() for k, v in state.items() if k.endswith(("weight", "bias")))
    # torch's inception_v3 has 27,161,264; its auxiliary head 3,326,696; 8 more classes 8 x 2,049
    assert parameters == 27_161_264 - 3_326_696 + 8 * 2_049
    assert state["Mixed_7c.branch3x3dbl_3b.conv.weight"].shape == (384, 384, 3, 1)
    assert state["Mixed_6b.branch7x7dbl_4.bn.running_var"].shape == (128,)
    assert state["fc.weight"].shape == (1008, 2048)


def test_users_inception_gives_2048_features_and_the_name_fid(inception):
    network = feature_network(inception[0])
    assert network.name == INCEPTION
    assert network.is_inception
    features = network.features(pictures())
    assert features.shape == (2, 2048)
    assert np.isfinite(features).all()


def test_an_inception_of_1000_classes_is_not_the_one_of_fid(inception, tmp_path):
    changed = dict(inception[1]) | {
        "fc.weight": torch.zeros(1000, 2048),
        "fc.bias": torch.zeros(1000),
    }
    save_file(changed, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"1000 classes.*1008"):
        feature_network(tmp_path / "other.safetensors")


def test_squeezenet_is_known_by_its_layers_and_is_not_called_fid(tmp_path):
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "s.npz", **squeezenet_arrays(rng))
    network = feature_network(tmp_path / "s.npz")
    assert (network.name, network.is_inception) == (SQUEEZENET, False)
    assert network.features(pictures()).shape == (2, 512)


def test_without_weights_the_shipped_encoder_lends_its_name():
    network = feature_network(None)
    assert "depth network" in network.name
    assert not network.is_inception
    assert len(network.weights_sha256) >= 6
    features = network.features(pictures(3))
    assert features.shape[0] == 3
    assert features.std(axis=0).max() > 0


def test_a_file_of_anything_else_is_refused(tmp_path):
    (tmp_path / "text.pth").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="cannot read"):
        feature_network(tmp_path / "text.pth")
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    with pytest.raises(CheckpointError, match="no network known here"):
        feature_network(tmp_path / "a.npz")


def squeezenet_arrays(rng):
    squeeze = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
    arrays, inputs = {"conv1": (96, 3, 7, 7)}, 96
    for number, width in squeeze.items():
        arrays[f"fire{number}/conv1x1_1"] = (width, inputs, 1, 1)
        arrays[f"fire{number}/conv1x1_2"] = (4 * width, width, 1, 1)
        arrays[f"fire{number}/conv3x3_2"] = (4 * width, width, 3, 3)
        inputs = 8 * width
    found = {k: rng.normal(0, 0.05, shape).astype(np.float32) for k, shape in arrays.items()}
    found |= {f"{k}.bias": np.zeros(v.shape[0], np.float32) for k, v in found.items()}
    assert set(found) == NAMES
    return found
