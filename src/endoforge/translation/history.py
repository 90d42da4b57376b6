# SPDX-License-Identifier: Apache-2.0
"""A memory of made pictures, so that a judge does not forget what it has already learnt to see."""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from endoforge.errors import CheckpointError

#: ``swap``: each picture changes places with a remembered one with a chance of 1/2 (CycleGAN).
#: ``half``: half of each batch is replaced, half of the new pictures are kept (SimGAN).
Rule = Literal["swap", "half"]


class PictureHistory:
    """Remembers made pictures; what it does in a step counts only once the step is `settle`d.

    Its choices come from torch's random numbers on the CPU, which every checkpoint holds.

    Source:
        Shrivastava et al., *SimGAN*, 2017, section 2.3; Zhu et al., *CycleGAN*, 2017, section 4,
        with 50 pictures.
    """

    def __init__(self, capacity: int = 50, rule: Rule = "swap") -> None:
        self._capacity, self._rule = capacity, rule
        self._pictures: Tensor | None = None
        self._filled = 0
        self._pending: dict[int, Tensor] = {}
        self._pending_filled = 0

    def __len__(self) -> int:
        return self._filled

    def mixed(
        self, pictures: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return as many pictures, detached, of which some are remembered ones.

        Until the memory is full all are new and all are remembered.
        """
        fresh = pictures.detach().float()
        if not self._capacity:
            return fresh
        self._make_room(fresh)
        self._pending_filled = max(self._pending_filled, self._filled)
        chosen = self._chosen(len(fresh))
        result = [self._exchange(fresh[k], chosen[k]) for k in range(len(fresh))]
        return torch.stack(result)

    def settle(self, kept: bool) -> None:
        """Remember, or forget, what happened since the last call."""
        if kept:
            assert self._pictures is not None or not self._pending
            for slot, picture in self._pending.items():
                assert self._pictures is not None
                self._pictures[slot] = picture
            self._filled = max(self._filled, self._pending_filled)
        self._pending, self._pending_filled = {}, 0

    def state(self) -> dict[str, Tensor]:
        """Return all that it remembers, for a checkpoint."""
        pictures = torch.zeros(0) if self._pictures is None else self._pictures
        return {"pictures": pictures, "filled": torch.tensor(self._filled)}

    def load_state(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Remember what `state` returned.

        Raises:
            CheckpointError: It was made with another capacity.
        """
        pictures = state["pictures"]
        if pictures.ndim == 4 and len(pictures) != self._capacity:
            raise CheckpointError(
                f"the saved history holds {len(pictures)} pictures but {self._capacity} are set; "
                "use the settings that it was trained with"
            )
        self._pictures = pictures.to(device).clone() if pictures.ndim == 4 else None
        self._filled = int(state["filled"])
        self._pending, self._pending_filled = {}, 0

    # ---- inside ----

    def _make_room(self, fresh: Tensor) -> None:
        if self._pictures is None:
            self._pictures = fresh.new_zeros(self._capacity, *fresh.shape[1:])

    def _chosen(self, count: int) -> list[bool]:
        """Choose which pictures of a batch change places, should the memory be full."""
        if self._rule == "swap":
            return [float(torch.rand(())) > 0.5 for _ in range(count)]
        order = torch.randperm(count).tolist()
        return [place < (count + 1) // 2 if count == 1 else place < count // 2 for place in order]

    def _exchange(self, picture: Tensor, wanted: bool) -> Tensor:
        if self._pending_filled < self._capacity:
            self._pending[self._pending_filled] = picture.clone()
            self._pending_filled += 1
            return picture
        if not wanted:
            return picture
        slot = int(torch.randint(self._capacity, ()))
        assert self._pictures is not None
        old = self._pending.get(slot, self._pictures[slot]).clone()
        self._pending[slot] = picture.clone()
        return old
