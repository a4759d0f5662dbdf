"""The channels of a network whose layers run one after another, as groups of its parameters.

A group is what decides one channel alone: the filter and bias of a convolution or dense layer, or,
where a batch norm follows, the norm's scale and shift, since the norm makes the filter's own size
meaningless. A channel whose group is zero is zero everywhere, and stays so behind an activation
that maps 0 to 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from edgewright.spec.errors import UsageError

__all__ = ["ChannelGroups", "Weighted", "WeightedLayer", "channel_groups", "leaf_layers"]

WeightedLayer: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
Weighted = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
Normed = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
#: Layers that give zeros for zeros and mix no channels.
_ZERO_KEEPING = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
    *(nn.AdaptiveMaxPool2d, nn.Flatten, nn.Identity, nn.Dropout),
)


@dataclass(frozen=True)
class ChannelGroups:
    """The groups of one layer.

    Attributes:
        layer: the convolution or dense layer that makes the channels.
        norm: the batch norm behind it, or None.
    """

    layer: WeightedLayer
    norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | None

    @property
    def parameters(self) -> list[Tensor]:
        """Tensors whose axis 0 is the channel."""
        owner = self.norm if self.norm is not None else self.layer
        return [owner.weight, *([owner.bias] if owner.bias is not None else [])]

    @property
    def group_elems(self) -> int:
        """Parameters of one group."""
        return sum(tensor[0].numel() for tensor in self.parameters)

    def norms(self) -> Tensor:
        """The Euclidean norm of each group, float32[channels]."""
        squares = [tensor.detach().flatten(1).square().sum(1) for tensor in self._columns()]
        return torch.stack(squares).sum(0).sqrt()

    def _columns(self) -> list[Tensor]:
        return [t if t.ndim > 1 else t.unsqueeze(1) for t in self.parameters]


def channel_groups(network: nn.Module) -> list[ChannelGroups]:
    """Groups of every layer but the last one, whose channels are the answer.

    Args:
        network: ``nn.Sequential``, nested as it likes.

    Raises:
        UsageError: layers that this does not know, or convolutions with groups of their own.
    """
    found: list[ChannelGroups] = []
    for _, layer in leaf_layers(network):
        if isinstance(layer, Weighted):
            found.append(ChannelGroups(layer, None))
        elif isinstance(layer, Normed):
            if not found or found[-1].norm is not None:
                raise _unknown(layer, "A batch norm follows the layer that makes its channels.")
            if not layer.affine:
                raise _unknown(layer, "A batch norm's scale and shift are the groups.")
            found[-1] = ChannelGroups(found[-1].layer, layer)
    return found[:-1]


def leaf_layers(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Layers in the order they run, with their names; errors as of :func:`channel_groups`."""
    found: list[tuple[str, nn.Module]] = []
    if not isinstance(network, nn.Sequential):
        raise _unknown(network, "Channels are followed through nn.Sequential only.")
    for name, layer in network.named_children():
        if isinstance(layer, nn.Sequential):
            found += [(f"{name}.{inner}", leaf) for inner, leaf in leaf_layers(layer)]
            continue
        if not isinstance(layer, (*Weighted, *Normed, *_ZERO_KEEPING)):
            raise _unknown(layer, "Only layers are known that give zeros for zeros.")
        if isinstance(layer, Weighted) and getattr(layer, "groups", 1) != 1:
            raise _unknown(layer, "Channels are followed through convolutions of one group only.")
        found.append((name, layer))
    return found


def _unknown(layer: nn.Module, rule: str) -> UsageError:
    return UsageError(
        f"channel groups of a network with {type(layer).__name__} were asked for",
        rule=rule,
        remedy="Train it without group regularization.",
    )
