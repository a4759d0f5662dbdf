"""Takes channels that group regularization has made zero out of a network."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edgewright.models.train.groups import (
    ChannelGroups,
    Weighted,
    WeightedLayer,
    channel_groups,
    leaf_layers,
)
from edgewright.spec.errors import UsageError

__all__ = ["prune_groups"]


def prune_groups(network: nn.Sequential) -> nn.Sequential:
    """A copy without the channels whose groups are zero, and without the weights that read them.

    It computes the same numbers but for rounding: what is taken out was zero and was multiplied.
    See :mod:`edgewright.models.train.groups` for what a group is.

    Args:
        network: layers one after another, in any nesting of ``nn.Sequential``; left as it is.

    Returns:
        A network of the same layers in the same mode, smaller where channels were zero.

    Raises:
        UsageError: layers whose channels cannot be followed, or one whose channels are all zero.
    """
    pruned = copy.deepcopy(network)
    groups = {id(group.layer): group for group in channel_groups(pruned)}
    kept: Tensor | None = None  # channels that remain of what the layer reads; None for all
    channels = 0
    for name, layer in leaf_layers(pruned):
        if not isinstance(layer, Weighted):
            continue
        if kept is not None:
            _keep_inputs(layer, kept, channels)
        group = groups.get(id(layer))
        if group is None:
            break  # the last layer
        channels = len(layer.weight)
        kept = torch.nonzero(group.norms()).flatten()
        if len(kept) == 0:
            raise UsageError(
                f"all {channels} channels of the layer '{name}' are zero",
                rule="A layer must keep one channel at least.",
                remedy="Train with less group regularization.",
            )
        _keep_outputs(group, kept)
    return pruned


def _keep_inputs(layer: WeightedLayer, kept: Tensor, channels: int) -> None:
    """Drop weights that read removed channels."""
    weight = layer.weight.detach()
    # Behind a Flatten every channel is a run of features: one for each of its positions.
    positions = weight.shape[1] // channels
    runs = weight.reshape(len(weight), channels, positions, *weight.shape[2:])
    layer.weight = nn.Parameter(runs[:, kept].flatten(1, 2).clone())
    if isinstance(layer, nn.Linear):
        layer.in_features = len(kept) * positions
    else:
        layer.in_channels = len(kept)


def _keep_outputs(group: ChannelGroups, kept: Tensor) -> None:
    """Drop filters and what belongs to their channels."""
    layer, norm = group.layer, group.norm
    for owner in (layer, norm) if norm is not None else (layer,):
        for name, parameter in list(owner.named_parameters()):
            setattr(owner, name, nn.Parameter(parameter.detach()[kept].clone()))
    if isinstance(layer, nn.Linear):
        layer.out_features = len(kept)
    else:
        layer.out_channels = len(kept)
    if norm is not None:
        norm.num_features = len(kept)
        for name, statistic in list(norm.named_buffers()):
            if statistic.ndim == 1:
                setattr(norm, name, statistic[kept].clone())
