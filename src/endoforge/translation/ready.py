# SPDX-License-Identifier: Apache-2.0
"""A translator that is ready to run, with its planes, device and hash; arrays go in and out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor
from torch.nn import functional

from endoforge.errors import SettingsError
from endoforge.frames.content import content_mask
from endoforge.training.device import Device, pick_device
from endoforge.translation.model_file import load_model, weights_hash
from endoforge.translation.planes import PlaneStack
from endoforge.translation.translator import Translator

_CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class ReadyTranslator:
    """A trained translator with what must be known to run it and to say what ran.

    Attributes:
        translator: In evaluation mode.
        method: That trained it.
        weights_sha256: Of its weights.
        stack: The channels that it is fed.
        device: Where it runs.
        precision: Of the convolutions.
    """

    translator: Translator
    method: str
    weights_sha256: str
    stack: PlaneStack
    device: torch.device = _CPU
    precision: torch.dtype = torch.float32

    def on(self, device: Device, precision: str) -> "ReadyTranslator":
        """Return the same on another device and with another precision.

        Raises:
            MissingDependency: A GPU was asked for and there is none.
        """
        place = pick_device(device)
        translator = self.translator.to(place).eval()
        kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
        return replace(self, translator=translator, device=place, precision=kind)

    @torch.inference_mode()
    def launch(
        self,
        pictures: Float32[np.ndarray, "batch channels height width"],
        styles: Float32[np.ndarray, "batch style"] | None,
    ) -> Tensor:
        """Begin to translate pictures in [-1, 1]; on a GPU this returns before it is done.

        Returns:
            8-bit pictures on the device, batch × height × width × channels, as large as those
            that came.
        """
        source = torch.from_numpy(pictures)
        if self.device.type == "cuda":
            source = source.pin_memory().to(self.device, non_blocking=True)
        codes = None if styles is None else torch.from_numpy(styles).to(self.device)
        height, width = source.shape[-2:]
        padded = _padded(source, self.translator.divisor)
        with torch.autocast(
            self.device.type, self.precision, enabled=self.precision != torch.float32
        ):
            made = self.translator(padded, codes)
        eight: Tensor = ((made[..., :height, :width].float() + 1) * 127.5).round_().clamp_(0, 255)
        last: Tensor = eight.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        return last

    @torch.inference_mode()
    def styles_of(
        self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], height: int
    ) -> Float32[np.ndarray, "pictures style"]:
        """Return the style codes of pictures of any sizes, to six digits.

        Args:
            pictures: 8-bit colour.
            height: Short side at which the network sees them, px.

        Raises:
            SettingsError: The method has no styles.
        """
        self.refuse_without_styles()
        codes = [self._style_of(picture, height) for picture in pictures]
        return np.stack(codes).round(6).astype(np.float32)

    @torch.inference_mode()
    def style_of_values(
        self,
        picture: Float32[np.ndarray, "channels height width"],
        counts: Bool[np.ndarray, "1 height width"],
    ) -> Float32[np.ndarray, " style"]:
        """Return the style code of the pixels of a picture, in [-1, 1], that count."""
        values, mask = (
            _padded(torch.from_numpy(one)[None].to(self.device), self.translator.divisor)
            for one in (picture, counts.astype(np.float32))
        )
        code = self.translator.style_of(values, mask)
        return np.asarray(code[0].float().cpu().numpy())

    def refuse_without_styles(self) -> None:
        """Raise an error if the method has one look only.

        Raises:
            SettingsError: It has.
        """
        if not self.translator.style_size:
            raise SettingsError(
                f"a model of the method {self.method} has one look only, no styles to choose; use "
                "a model of munit or content-munit"
            )

    def _style_of(
        self, picture: UInt8[np.ndarray, "height width 3"], height: int
    ) -> Float32[np.ndarray, " style"]:
        scale = height / min(picture.shape[:2])
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(picture, size, interpolation=how)
        values = (small / np.float32(127.5) - np.float32(1)).transpose(2, 0, 1)
        return self.style_of_values(np.ascontiguousarray(values), content_mask(small)[None])


#: Builds a translator in the process where it runs; picklable by name, such as a
#: `functools.partial` of a function at the top of a module.
Loader: TypeAlias = Callable[[], ReadyTranslator]


def load_ready(path_or_name: str) -> ReadyTranslator:
    """Read a model folder, a run folder that holds one, or a shipped model by its name.

    Raises:
        CheckpointError: There is no model, or it is damaged.
    """
    model = load_model(path_or_name)
    pictures = model.settings.pictures
    stack = PlaneStack(pictures.source_planes, pictures.depth_range_mm, model.classes)
    return ReadyTranslator(model.translator, model.method, weights_hash(path_or_name), stack)


# ---- inside -------------------------------------------------------------------------------------


def _padded(source: Tensor, divisor: int) -> Tensor:
    """Mirror the right and lower edge until both sides are multiples of the divisor."""
    height, width = source.shape[-2:]
    down, right = -height % divisor, -width % divisor
    if not (down or right):
        return source
    mode = "reflect" if down < height and right < width else "replicate"
    return functional.pad(source, (0, right, 0, down), mode=mode)
