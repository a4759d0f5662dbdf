"""The reference networks by name: what they are, and how to build them.

Listing them imports neither torch nor the networks: this table holds the names of their builders.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewright.spec.errors import ToolError, UsageError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ModelEntry", "build", "find_model", "list_models", "register", "require_torch"]


@dataclass(frozen=True)
class ModelEntry:
    """One reference network.

    Attributes:
        name: what the command line and :func:`build` call it.
        summary: what it is, in a few words.
        paper: authors, year and where to read it.
        input_shape: float32 ``(N, C, H, W)`` with N = 1.
        classes: logits for each input.
        parameters: trained numbers: weights, biases, batch-norm scales and shifts.
        macs: multiply-accumulates of convolutions and linear layers for one input.
        builder: ``module:function`` that returns the untrained network.
    """

    name: str
    summary: str
    paper: str
    input_shape: tuple[int, ...]
    classes: int
    parameters: int
    macs: int
    builder: str


_ENTRIES: dict[str, ModelEntry] = {}


def register(
    name: str,
    *,
    summary: str,
    paper: str,
    input_shape: tuple[int, ...],
    classes: int,
    parameters: int,
    macs: int,
    builder: str,
) -> ModelEntry:
    """Add a network to the table; the arguments are :class:`ModelEntry`'s attributes.

    Raises:
        ValueError: the name is taken, or ``builder`` is not ``module:function``.
    """
    if name in _ENTRIES:
        raise ValueError(f"a model is already registered as '{name}'")
    module, _, function = builder.partition(":")
    if not module or not function.isidentifier():
        raise ValueError(f"the builder '{builder}' of '{name}' is not module:function")
    entry = ModelEntry(name, summary, paper, input_shape, classes, parameters, macs, builder)
    _ENTRIES[name] = entry
    return entry


def list_models() -> tuple[ModelEntry, ...]:
    """Every reference network, by name. Does not import torch."""
    return tuple(_ENTRIES[name] for name in sorted(_ENTRIES))


def find_model(name: str) -> ModelEntry:
    """The network of that name. Does not import torch.

    Raises:
        UsageError: there is none.
    """
    if name in _ENTRIES:
        return _ENTRIES[name]
    near = difflib.get_close_matches(name.lower(), _ENTRIES, n=3, cutoff=0.5)
    raise UsageError(
        f"unknown model '{name}'",
        rule=f"The reference networks are {', '.join(sorted(_ENTRIES))}.",
        remedy=f"Did you mean {' or '.join(near)}?"
        if near
        else "`edgewright models list` describes them.",
    )


def build(name: str, seed: int = 0) -> nn.Module:
    """The network of that name in eval mode, its weights and statistics seeded.

    The same name and seed give the same numbers on every machine; see
    :mod:`edgewright.models.seeding` for how they are drawn. PyTorch's own random state is left as
    it was.

    Args:
        name: a name of :func:`list_models`.
        seed: not negative.

    Returns:
        float32[N, C, H, W] to float32[N, classes], with ``(C, H, W)`` of the entry's input shape.

    Raises:
        UsageError: no such network, or a negative seed.
        ToolError: torch is not installed.
    """
    entry = find_model(name)
    if seed < 0:
        raise UsageError(
            f"the seed is {seed}",
            rule="A seed is an integer of at least 0.",
            remedy="Leave it out for seed 0.",
        )
    require_torch("building a reference network")
    import torch

    from edgewright.models.seeding import seed_weights, unfilled_weights

    module, _, function = entry.builder.partition(":")
    builder: Callable[[], nn.Module] = getattr(importlib.import_module(module), function)
    with torch.random.fork_rng(devices=[]), unfilled_weights():
        network = builder()
    seed_weights(network, entry.input_shape, seed)
    return network


def require_torch(purpose: str) -> None:
    """Check that torch can be imported, before anything is begun that needs it.

    Args:
        purpose: what needs it; begins the message.

    Raises:
        ToolError: it cannot.
    """
    try:
        importlib.import_module("torch")
    except ImportError as error:
        raise ToolError(
            f"{purpose} needs PyTorch, which cannot be imported ({error})",
            rule="PyTorch is only in the extra 'models', because compiling does without it.",
            remedy="Install it with `pip install edgewright[models]`.",
        ) from error


register(
    "lenet5",
    summary="handwritten digits, tanh and average pooling",
    paper="LeCun et al., 1998, Gradient-Based Learning Applied to Document Recognition",
    input_shape=(1, 1, 28, 28),
    classes=10,
    parameters=61_706,
    macs=416_520,
    builder="edgewright.models.zoo.lenet5:build",
)
register(
    "resnet18",
    summary="residual network of 3x3 convolutions",
    paper="He et al., 2015, arXiv:1512.03385",
    input_shape=(1, 3, 224, 224),
    classes=1000,
    parameters=11_689_512,
    macs=1_814_073_344,
    builder="edgewright.models.zoo.resnet18:build",
)
register(
    "mobilenet_v1",
    summary="depthwise separable convolutions",
    paper="Howard et al., 2017, arXiv:1704.04861",
    input_shape=(1, 3, 224, 224),
    classes=1000,
    parameters=4_231_976,
    macs=568_740_352,
    builder="edgewright.models.zoo.mobilenet_v1:build",
)
register(
    "mobilenet_v2",
    summary="inverted residuals with linear bottlenecks",
    paper="Sandler et al., 2018, arXiv:1801.04381",
    input_shape=(1, 3, 224, 224),
    classes=1000,
    parameters=3_504_872,
    macs=300_774_272,
    builder="edgewright.models.zoo.mobilenet_v2:build",
)
register(
    "squeezenet1_1",
    summary="fire modules: squeeze, expand, concatenate",
    paper="Iandola et al., 2016, arXiv:1602.07360",
    input_shape=(1, 3, 224, 224),
    classes=1000,
    parameters=1_235_496,
    macs=349_151_936,
    builder="edgewright.models.zoo.squeezenet1_1:build",
)
register(
    "vgg16",
    summary="plain 3x3 convolutions, 138 million parameters",
    paper="Simonyan and Zisserman, 2014, arXiv:1409.1556, configuration D",
    input_shape=(1, 3, 224, 224),
    classes=1000,
    parameters=138_357_544,
    macs=15_470_264_320,
    builder="edgewright.models.zoo.vgg16:build",
)
register(
    "resnet50",
    summary="residual network of bottlenecks, version 1.5",
    paper="He et al., 2015, arXiv:1512.03385",
    input_shape=(1, 3, 224, 224),
    classes=1000,
    parameters=25_557_032,
    macs=4_089_184_256,
    builder="edgewright.models.zoo.resnet50:build",
)
register(
    "shufflenet_v2",
    summary="channel split, concatenation and shuffle, width 1.0",
    paper="Ma et al., 2018, arXiv:1807.11164",
    input_shape=(1, 3, 224, 224),
    classes=1000,
    parameters=2_278_604,
    macs=144_907_992,
    builder="edgewright.models.zoo.shufflenet_v2:build",
)
register(
    "googlenet",
    summary="inception modules: four branches, concatenate",
    paper="Szegedy et al., 2014, arXiv:1409.4842",
    input_shape=(1, 3, 224, 224),
    classes=1000,
    parameters=7_005_832,
    macs=1_582_671_872,
    builder="edgewright.models.zoo.googlenet:build",
)
