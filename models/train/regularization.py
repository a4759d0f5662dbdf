"""What keeps weights small, or makes them zero.

With the loss ``L``, learning rate ``η`` and strength ``λ``:

- **l2** adds ``λ/2 ‖w‖²``, whose gradient ``λ w`` shrinks each weight in proportion (Krogh and
  Hertz, 1991, "A Simple Weight Decay Can Improve Generalization"). It is ``weight_decay`` of
  ``torch.optim``.
- **l1** adds ``λ ‖w‖₁``, which makes single weights zero (Tibshirani, 1996, "Regression Shrinkage
  and Selection via the Lasso").
- **group** adds ``λ √n ‖w_g‖₂`` for each group ``g`` of ``n`` parameters, which makes whole groups
  zero (Yuan and Lin, 2006, "Model selection and estimation in regression with grouped variables";
  for channels: Wen et al., 2016, arXiv:1608.03665; for scales of batch norms: Liu et al., 2017,
  arXiv:1708.06519).

The last two have no gradient at zero. After each step of the optimiser their proximal operators are
applied instead, which reach zero exactly (Parikh and Boyd, 2014, "Proximal Algorithms", sections
6.5.2 and 6.5.4):

- l1: ``w ← sign(w) max(|w| - η λ, 0)``;
- group: ``w_g ← max(1 - η λ √n / ‖w_g‖₂, 0) w_g``.

Behind gradient descent that is proximal gradient descent; behind momentum and Adam, whose steps are
not ``η`` times the gradient, it is a shrinkage of the same form.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from edgewright.models.train.groups import ChannelGroups, Weighted

__all__ = ["regularized_weights", "shrink_elements", "shrink_groups"]


def regularized_weights(network: nn.Module) -> list[Tensor]:
    """Weights of convolutions and dense layers: what l1 and l2 act on, not biases or norms."""
    return [layer.weight for layer in network.modules() if isinstance(layer, Weighted)]


@torch.no_grad()
def shrink_elements(weights: Iterable[Tensor], step: float) -> None:
    """The proximal operator of ``step ‖w‖₁``, in place."""
    for weight in weights:
        weight.copy_(torch.nn.functional.softshrink(weight, step))


@torch.no_grad()
def shrink_groups(groups: Iterable[ChannelGroups], step: float) -> None:
    """The proximal operator of ``step √n ‖w_g‖₂``, in place, for each group of each layer."""
    for group in groups:
        norms = group.norms()
        threshold = step * math.sqrt(group.group_elems)
        # A norm of zero: the group is zero already, and any factor keeps it.
        factors = (1.0 - threshold / norms.clamp_min(torch.finfo(norms.dtype).tiny)).clamp_min(0.0)
        for tensor in group.parameters:
            tensor.mul_(factors.reshape(-1, *[1] * (tensor.ndim - 1)))
