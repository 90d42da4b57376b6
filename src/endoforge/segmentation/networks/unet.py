# SPDX-License-Identifier: Apache-2.0
"""A residual U-Net that answers with a score per class, and its settings turned into a network."""

from endoforge.segmentation.settings import SegmentationUNetSettings
from endoforge.training.networks.unet import ResidualUNet


class SegmentationUNet(ResidualUNet):
    """Class scores (logits) of every pixel; softmax over the channels gives probabilities."""

    settings: SegmentationUNetSettings

    def __init__(self, settings: SegmentationUNetSettings, classes: int) -> None:
        super().__init__(settings, outputs=classes, start=0.0)
        self.classes = classes
