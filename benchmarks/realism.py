# SPDX-License-Identifier: Apache-2.0
"""How far simulated pictures are from real ones, before and after, in SqueezeNet's features.

    python benchmarks/realism.py --weights FILE.npz --real FOLDER… --now DATASET --before DATASET

The weights are the user's own copy (ImageNet, Caffe layout). The distance is a kernel distance on
SqueezeNet v1.0 features and carries that name; it is not KID, whose features are Inception's.
Features are scaled so that those of the real pictures have unit mean square.
"""

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from endoforge.frames.dataset import Dataset
from endoforge.metrics.kernel_distance import kernel_distance

_MEAN_BGR = (104.0, 117.0, 123.0)
_SIDE = 227


class SqueezeNet(nn.Module):
    """SqueezeNet v1.0 up to fire9, averaged over the picture: 512 features."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.weights = {name: torch.from_numpy(array) for name, array in weights.items()}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features of pictures in Caffe's range: BGR, 0 to 255, mean taken off."""
        x = functional.relu(self._conv("conv1", images, stride=2))
        for number in range(2, 10):
            if number in (2, 5, 9):
                x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
            x = functional.relu(self._conv(f"fire{number}/conv1x1_1", x))
            wide = self._conv(f"fire{number}/conv3x3_2", x, padding=1)
            x = functional.relu(torch.cat([self._conv(f"fire{number}/conv1x1_2", x), wide], dim=1))
        return x.mean(dim=(2, 3))

    def _conv(self, name: str, x: torch.Tensor, stride: int = 1, padding: int = 0) -> torch.Tensor:
        weight, bias = self.weights[name], self.weights[f"{name}.bias"]
        return functional.conv2d(x, weight, bias, stride, padding)


def pictures_of(path: Path, count: int) -> list[np.ndarray]:
    """Evenly spread pictures of a data set, a folder or a video, RGB."""
    if (path / "dataset.json").exists():
        with closing(Dataset.open(path)) as frames:
            places = np.unique(np.linspace(0, len(frames) - 1, count).astype(int))
            return [frames.frame(int(i)).image for i in places]
    if path.is_file():
        return _frames_of_video(path, count)
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in {".jpg", ".png"})
    files = [p for p in files if "mask" not in p.name and "fov" not in p.name]
    places = np.unique(np.linspace(0, len(files) - 1, count).astype(int))
    return [cv2.cvtColor(cv2.imread(str(files[i])), cv2.COLOR_BGR2RGB) for i in places]


def _frames_of_video(path: Path, count: int) -> list[np.ndarray]:
    video, frames = cv2.VideoCapture(str(path)), []
    while (answer := video.read())[0]:
        frames.append(cv2.cvtColor(answer[1], cv2.COLOR_BGR2RGB))
    return frames[:: max(1, len(frames) // count)]


def features_of(network: SqueezeNet, pictures: list[np.ndarray], crop: float) -> np.ndarray:
    """Features of the middle of every picture: borders, corners and dates are left out."""
    rows = []
    for picture in pictures:
        height, width = picture.shape[:2]
        side = int(min(height, width) * crop)
        top, left = (height - side) // 2, (width - side) // 2
        middle = picture[top : top + side, left : left + side]
        middle = cv2.resize(middle, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        bgr = middle[..., ::-1].astype(np.float32) - np.float32(_MEAN_BGR)
        with torch.inference_mode():
            rows.append(network(torch.from_numpy(bgr.transpose(2, 0, 1)[None].copy()))[0].numpy())
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--now", type=Path, required=True)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--crop", type=float, default=0.7)
    options = parser.parse_args()
    with np.load(options.weights, allow_pickle=False) as file:
        network = SqueezeNet({name: file[name] for name in file.files})
    share = options.count // len(options.real)
    real = [picture for path in options.real for picture in pictures_of(path, share)]
    wanted = features_of(network, real, options.crop)
    scale = float(np.sqrt(np.mean(wanted**2)))
    wanted /= scale
    sets = {name: getattr(options, name) for name in ("now", "before")}
    found = {"real_halves": _halves(wanted)}
    for name, path in sets.items():
        features = features_of(network, pictures_of(path, options.count), options.crop) / scale
        distance = kernel_distance(wanted, features, np.random.default_rng(0))
        found[name] = {"value": distance.value, "deviation": distance.deviation}
    found["reduction"] = 1 - found["now"]["value"] / found["before"]["value"]
    found |= {"network": "SqueezeNet v1.0, fire9, mean", "real": len(real), "crop": options.crop}
    json.dump(found, sys.stdout, indent=1)
    print()


def _halves(features: np.ndarray) -> dict[str, float]:
    """The distance between two random halves of the real pictures: what "equal" looks like."""
    order = np.random.default_rng(0).permutation(len(features))
    half = len(order) // 2
    first, second = features[order[:half]], features[order[half:]]
    distance = kernel_distance(first, second, np.random.default_rng(0))
    return {"value": distance.value, "deviation": distance.deviation}


if __name__ == "__main__":
    main()
