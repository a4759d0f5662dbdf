from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from edgewright.models.train.groups import ChannelGroups, channel_groups
from edgewright.models.train.prune import prune_groups
from edgewright.spec.errors import UsageError
from tests.trained_digits import NAMES, digits, sparse_network


def make_zero(group: ChannelGroups, *channels: int) -> None:
    with torch.no_grad():
        for tensor in group.parameters:
            tensor[list(channels)] = 0


def mixed_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 6, 3, bias=True), nn.BatchNorm2d(6), nn.SiLU()),
        nn.Conv2d(6, 5, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(5 * 9, 7),
        nn.GELU(),
        nn.Linear(7, 4),
    )


def test_zero_channels_go_with_all_that_reads_them() -> None:
    network = mixed_network()
    network.train()(torch.randn(32, 2, 8, 8))  # statistics that are not the default's
    network.eval()
    first, second, third = channel_groups(network)
    make_zero(first, 0, 4)
    make_zero(second, 1, 2, 3)
    make_zero(third, 6)
    before = copy.deepcopy(network.state_dict())
    pruned = prune_groups(network)
    shapes = [tuple(parameter.shape) for parameter in pruned.parameters()]
    assert shapes == [
        *((4, 2, 3, 3), (4,), (4,), (4,)),
        *((2, 4, 3, 3), (2,), (6, 2 * 9), (6,), (4, 6), (4,)),
    ]
    x = torch.randn(5, 2, 8, 8)
    torch.testing.assert_close(pruned(x), network(x), rtol=1e-5, atol=1e-6)
    assert "Conv2d(2, 4, " in repr(pruned) and "Linear(in_features=18, out_features=6" in repr(
        pruned
    )
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_nothing_zero_leaves_all() -> None:
    network = mixed_network().eval()
    pruned = prune_groups(network)
    for name, tensor in pruned.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_a_layer_that_is_all_zero_is_refused() -> None:
    network = mixed_network()
    make_zero(channel_groups(network)[1], *range(5))
    with pytest.raises(UsageError, match="all 5 channels of the layer '1' are zero.*less group"):
        prune_groups(network)


@pytest.mark.parametrize("name", NAMES)
def test_regularization_makes_channels_zero_that_can_go(name: str) -> None:
    network, images = sparse_network(name), digits().held_out_images
    pruned = prune_groups(network)
    before = sum(len(group.layer.weight) for group in channel_groups(network))
    after = sum(len(group.layer.weight) for group in channel_groups(pruned))
    assert 0.3 * before < after < 0.9 * before
    with torch.no_grad():
        torch.testing.assert_close(pruned(images), network(images), rtol=1e-4, atol=1e-4)
        assert torch.equal(pruned(images).argmax(1), network(images).argmax(1))
