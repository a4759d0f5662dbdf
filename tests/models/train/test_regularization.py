"""Proximal operators against their formulas and against what they minimise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from edgewright.models.train.digits import digits_network, digits_network_with_norm
from edgewright.models.train.groups import channel_groups
from edgewright.models.train.regularization import (
    regularized_weights,
    shrink_elements,
    shrink_groups,
)


def test_elements_shrink_to_zero_and_not_beyond() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, -0.4, 0.5], [-2.0, 0.0, 0.6]]))
    shrink_elements([weight], 0.5)
    expected = torch.tensor([[2.5, 0.0, 0.0], [-1.5, 0.0, 0.1]])
    torch.testing.assert_close(weight.detach(), expected)


def test_groups_shrink_by_their_norm() -> None:
    layer = nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0.0], [0.1, 0.1], [0.0, 0.0]]))
        layer.bias.copy_(torch.tensor([4.0, 0.1, 0.0]))
    group = channel_groups(nn.Sequential(layer, nn.Linear(3, 2)))
    shrink_groups(group, 0.5)
    # Norms 5, 0.17 and 0; three parameters each.
    left = 1 - 0.5 * math.sqrt(3) / 5
    torch.testing.assert_close(layer.weight[0].detach(), torch.tensor([3 * left, 0.0]))
    assert float(layer.bias[0].detach()) == pytest.approx(4 * left)
    assert not layer.weight[1:].detach().any() and not layer.bias[1:].detach().any()
    assert layer.weight.isfinite().all()


@pytest.mark.parametrize("step", [0.05, 0.3, 2.0])
def test_the_result_minimises_what_a_proximal_operator_minimises(step: float) -> None:
    start = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double()
    network = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 1)).double()
    layer = network[0]
    assert isinstance(layer, nn.Linear)
    for kind in ("l1", "group"):
        layer.weight.data = start.clone()
        if kind == "l1":
            shrink_elements([layer.weight], step)
        else:
            shrink_groups(channel_groups(network), step)
        found = layer.weight.detach().clone()

        def objective(w: torch.Tensor, kind: str = kind) -> torch.Tensor:
            penalty = w.abs().sum() if kind == "l1" else math.sqrt(3) * w.norm(dim=1).sum()
            return 0.5 * (w - start).square().sum() + step * penalty

        best = float(objective(found))
        for seed in range(200):
            noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed)).double()
            for size in (1e-3, 1e-1):
                assert float(objective(found + size * noise)) >= best - 1e-12


def test_what_is_regularized() -> None:
    plain, norm = digits_network(), digits_network_with_norm()
    assert [weight.ndim for weight in regularized_weights(plain)] == [4, 4, 4, 2, 2]
    assert [group.group_elems for group in channel_groups(plain)] == [10, 145, 289, 129]
    # Behind a convolution a batch norm's scale and shift decide alone.
    assert [group.group_elems for group in channel_groups(norm)] == [2, 2, 2]
