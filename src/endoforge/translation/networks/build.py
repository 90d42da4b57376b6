# SPDX-License-Identifier: Apache-2.0
"""From settings to a generator; the only place that lists them."""

from endoforge.translation.networks.generators import ResNetGenerator, UNetGenerator
from endoforge.translation.networks.settings import (
    GeneratorSettings,
    ResNetSettings,
    UNetGeneratorSettings,
)


def build_generator(
    inputs: int, outputs: int, settings: GeneratorSettings
) -> ResNetGenerator | UNetGenerator:
    """Build the generator that the settings name.

    Args:
        inputs: Channels of what it is given.
        outputs: Channels of what it makes.
        settings: Which one, and how large.
    """
    match settings:
        case ResNetSettings():
            return ResNetGenerator(inputs, outputs, settings)
        case UNetGeneratorSettings():
            return UNetGenerator(inputs, outputs, settings)
