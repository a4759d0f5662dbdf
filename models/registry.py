"""The reference networks and documented layers by name: what they are, and how to build them.

Listing them imports neither torch nor the networks: the tables hold the names of their builders.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgewright.models.documented_layers import LAYERS
from edgewright.models.entry import Entry
from edgewright.models.networks import NETWORKS
from edgewright.spec.errors import ToolError, UsageError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build", "find_model", "list_models", "require_torch"]


_ENTRIES = {entry.name: entry for entry in (*NETWORKS, *LAYERS)}


def list_models(kind: str = "") -> tuple[Entry, ...]:
    """Every entry of a kind (``network``, ``layer``; empty: both), by name, without torch."""
    return tuple(_ENTRIES[name] for name in sorted(_ENTRIES) if kind in ("", _ENTRIES[name].kind))


def find_model(name: str) -> Entry:
    """The network or layer of that name. Does not import torch.

    Raises:
        UsageError: there is none.
    """
    if name in _ENTRIES:
        return _ENTRIES[name]
    near = difflib.get_close_matches(name.lower(), _ENTRIES, n=3, cutoff=0.5)
    raise UsageError(
        f"unknown model '{name}'",
        rule=f"The reference networks and layers are {', '.join(sorted(_ENTRIES))}.",
        remedy=f"Did you mean {' or '.join(near)}?"
        if near
        else "`edgewright models list` describes them.",
    )


def build(name: str, seed: int = 0) -> nn.Module:
    """The network or layer of that name in eval mode, its weights and statistics seeded.

    The same name and seed give the same numbers on every machine; see
    :mod:`edgewright.models.seeding` for how they are drawn. PyTorch's own random state is left as
    it was.

    Args:
        name: a name of :func:`list_models`.
        seed: not negative.

    Returns:
        A module from the entry's inputs, in order, to its outputs.

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
    seed_weights(network, entry.inputs, seed)
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
