"""Switchable normalization: trained shares of instance, layer and batch statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["StatisticShares", "SwitchableNorm", "switchable_normalization"]


class StatisticShares(nn.Module):
    """``softmax`` of three numbers each for the means and for the variances.

    Shapes:
        shares of means, of variances: float32[3] each: instance, layer, batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(2, 3))

    def forward(self) -> tuple[Tensor, Tensor]:
        """The shares, shapes as in the class."""
        means, variances = torch.softmax(self.logits, dim=1).unbind()
        return means, variances


class SwitchableNorm(nn.BatchNorm2d):
    """``y = g (x - sum over k of p[k] mean[k]) / sqrt(sum over k of q[k] variance[k] + eps) + b``.

    ``k`` goes over three kinds of statistics: of the instance, over one channel of one image; of
    the layer, over all of one image; of the batch, the running ones of training. ``p`` and ``q``
    are the shares. This is the form of inference: running statistics are read, never updated.

    Source: Luo et al., "Differentiable Learning-to-Normalize via Switchable Normalization", 2018,
    arXiv:1806.10779, section 2.

    Shapes:
        x, y: float32[N, num_features, H, W].

    Args:
        num_features: channels of ``x``.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.shares = StatisticShares()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``x`` to ``y``, shapes as in the class."""
        instance = x.mean(dim=(2, 3), keepdim=True)
        layer = instance.mean(dim=1, keepdim=True)
        layer_variance = ((x - layer) ** 2).mean(dim=(1, 2, 3), keepdim=True)
        instance_variance = ((x - instance) ** 2).mean(dim=(2, 3), keepdim=True)
        batch, batch_variance, scale, shift = (
            value.reshape(1, -1, 1, 1)
            for value in (
                self.get_buffer("running_mean"),
                self.get_buffer("running_var"),
                self.weight,
                self.bias,
            )
        )
        p, q = self.shares()
        mean = p[0] * instance + p[1] * layer + p[2] * batch
        variance = q[0] * instance_variance + q[1] * layer_variance + q[2] * batch_variance
        y: Tensor = scale * (x - mean) / torch.sqrt(variance + self.eps) + shift
        return y


def switchable_normalization() -> SwitchableNorm:
    """Over 11 channels."""
    return SwitchableNorm(11)
