"""Networks that learned the digits, each trained once a process."""

from __future__ import annotations

import copy
import functools

from torch import nn

from edgewright.models.train.digits import (
    Digits,
    digits_network,
    digits_network_with_norm,
    load_digits,
)
from edgewright.models.train.fit import Training, fit

__all__ = ["GROUP", "NAMES", "digits", "sparse_network", "trained_network"]

_MAKERS = {"plain": digits_network, "norm": digits_network_with_norm}
#: Group strengths that make a third to a half of the channels zero.
GROUP = {"plain": 0.01, "norm": 0.2}
NAMES = tuple(_MAKERS)


@functools.cache
def digits() -> Digits:
    return load_digits()


@functools.cache
def trained_network(name: str) -> nn.Sequential:
    """Six epochs with momentum; not to be changed."""
    network = _MAKERS[name]()
    fit(network, digits().images, digits().labels, Training("momentum", epochs=6))
    return network


@functools.cache
def sparse_network(name: str) -> nn.Sequential:
    """Twelve more with group regularization; not to be changed."""
    network = copy.deepcopy(trained_network(name))
    how = Training("momentum", epochs=12, group=GROUP[name])
    fit(network, digits().images, digits().labels, how)
    return network
