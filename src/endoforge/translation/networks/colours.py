# SPDX-License-Identifier: Apache-2.0
"""One matrix and one offset that take the colours of a domain to those of another."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LinearColours(nn.Module):
    """An affine map of the channels of each pixel; at first it changes nothing.

    It is not learnt by steps: `set_between` computes it from both domains, and its numbers are
    saved with the network.
    """

    matrix: Tensor
    offset: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.eye(channels))
        self.register_buffer("offset", torch.zeros(channels))

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return pictures in [-1, 1]; what falls outside stays at the ends."""
        moved = torch.einsum("oc,bchw->bohw", self.matrix, picture.float())
        return (moved + self.offset[:, None, None]).clamp(-1.0, 1.0)

    def set_between(
        self, source: Float[Tensor, "pixels channels"], target: Float[Tensor, "others channels"]
    ) -> None:
        """Take mean and covariance of the source's pixels to those of the target's.

        Args:
            source: Pixels of the domain that pictures come from.
            target: Pixels of the domain that they are to look like.
        """
        matrix = transport(torch.cov(source.double().T), torch.cov(target.double().T))
        offset = target.double().mean(dim=0) - matrix @ source.double().mean(dim=0)
        self.matrix.copy_(matrix)
        self.offset.copy_(offset)


def transport(
    source: Float[Tensor, "channels channels"],
    target: Float[Tensor, "channels channels"],
    least: float = 1e-5,
) -> Float[Tensor, "channels channels"]:
    """Return the symmetric matrix that takes a covariance to another and moves colours least.

    Args:
        source: Covariance before.
        target: Covariance after.
        least: Added to variances, so that channels that never change have an inverse.

    Source:
        Pitié & Kokaram, *The linear Monge-Kantorovitch linear colour mapping*, 2007, equation 4.
    """
    alike = least * torch.eye(len(source), dtype=source.dtype)
    root = _root(source + alike)
    inverse = torch.linalg.inv(root)
    matrix: Tensor = inverse @ _root(root @ (target + alike) @ root) @ inverse
    return matrix


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
