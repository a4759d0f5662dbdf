"""Find what can be computed on a kernel's register tile before it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from edgewright.compiler.read_relax import (
    constant_array,
    is_constant,
    op_name,
    shape_of,
    use_counts,
    variables_of,
)
from edgewright.compiler.relax_passes.gated_activations import gated_activation
from edgewright.schedules.workload import Activation, Epilogue

__all__ = ["Fused", "fuse_epilogues"]

_ANCHORS = ("relax.nn.conv2d", "relax.nn.conv2d_transpose", "relax.matmul")
#: Activations that are one operator of Relax without parameters, called as ours are.
_SIMPLE = frozenset(
    "relax." + name for name in "sigmoid tanh nn.relu nn.silu nn.gelu nn.gelu_tanh".split()
)


@dataclass
class Fused:
    """A convolution or matrix product with the operators fused behind it.

    Attributes:
        call: the anchor, a call of ``relax.nn.conv2d``, ``relax.nn.conv2d_transpose`` or
            ``relax.matmul``.
        output: the variable that the last fused operator is bound to.
        bias: float32 vector over output channels (or features), or None.
        residual: the tensor added before the activation, or None.
        activation: the last operator, or None.
        members: the variables of all fused bindings, the anchor's first.
    """

    call: Any
    output: Any
    bias: npt.NDArray[np.float32] | None = None
    residual: Any = None
    activation: Activation | None = None
    members: list[Any] = field(default_factory=list)

    @property
    def epilogue(self) -> Epilogue:
        """What the kernel does behind the anchor."""
        return Epilogue(self.bias is not None, self.residual is not None, self.activation)


def fuse_epilogues(
    bindings: Sequence[Any],
    outputs: Sequence[Any],
    activations: Mapping[Any, tuple[Activation, Any]],
) -> dict[Any, Fused]:
    """Chain convolutions and matrix products with what follows them.

    An operator joins the chain when it is the only user of the chain's last value and no other
    chain has taken it. In the order in which they may occur:

    Case 1: ``add(chain, constant)``, one value for each output channel, becomes the bias.
    Case 2: ``add(chain, tensor)`` of the same shape becomes the residual.
    Case 3: an activation ends the chain: one operator, or several that ``gated_activation``
        recognises or the importer made of one.

    Args:
        bindings: the dataflow block's bindings, in order.
        outputs: variables that leave the block; a chain may end at one, not pass it.
        activations: activations that Relax has no operator for, by result.

    Returns:
        The chains by the variable of their last binding.
    """
    value_of = {binding.var: binding.value for binding in bindings}
    users: dict[Any, list[Any]] = {}
    uses = use_counts(bindings, outputs)
    for binding in bindings:
        for used in variables_of(binding.value):
            users.setdefault(used, []).append(binding.var)
    composite = _composites(value_of, activations)
    taken: set[Any] = set()
    chains: dict[Any, Fused] = {}
    for binding in bindings:
        if op_name(binding.value) not in _ANCHORS or not is_constant(binding.value.args[1]):
            continue
        chain = Fused(binding.value, binding.var, members=[binding.var])
        while _extend(chain, value_of, users, uses, composite, taken):
            pass
        taken.update(chain.members)
        chains[chain.output] = chain
    return chains


def _extend(
    chain: Fused,
    value_of: Mapping[Any, Any],
    users: Mapping[Any, list[Any]],
    uses: Mapping[Any, int],
    composite: Mapping[Any, tuple[Activation, Any, list[Any]]],
    taken: set[Any],
) -> bool:
    """Take one more operator into the chain; False when it has ended."""
    last = chain.output
    if chain.activation is not None:
        return False
    for result, (activation, source, members) in composite.items():
        if not source.same_as(last) or taken & set(members):
            continue
        inner = [last, *(member for member in members if not member.same_as(result))]
        if all(_used_within(value, members, users, uses) for value in inner):
            chain.activation, chain.output = activation, result
            chain.members += members
            return True
    if uses[last] != 1 or len(users.get(last, ())) != 1:
        return False
    user = users[last][0]
    call = value_of[user]
    if user in taken:
        return False
    if op_name(call) == "relax.add" and chain.residual is None:
        other = call.args[1] if call.args[0].same_as(last) else call.args[0]
        shift = _channel_vector(other, chain.call)
        if shift is not None:
            chain.bias = shift if chain.bias is None else chain.bias + shift
        elif not is_constant(other) and shape_of(other) == shape_of(last):
            chain.residual = other
        else:
            return False
    else:
        chain.activation = _simple_activation(call)
        if chain.activation is None:
            return False
    chain.members.append(user)
    chain.output = user
    return True


def _used_within(
    value: Any, members: Sequence[Any], users: Mapping[Any, list[Any]], uses: Mapping[Any, int]
) -> bool:
    """Whether only ``members`` use a value; being an output of the block is a use too."""
    return uses[value] == sum(user in members for user in users.get(value, ()))


def _channel_vector(expr: Any, anchor: Any) -> npt.NDArray[np.float32] | None:
    """A constant with one float32 value for each output channel (or one for all), flat."""
    if not is_constant(expr):
        return None
    array = constant_array(expr)
    is_dense = op_name(anchor) == "relax.matmul"
    channels = shape_of(anchor)[-1 if is_dense else 1]
    expected = (channels,) if is_dense else (channels, 1, 1)
    shape = tuple(array.shape)
    while shape and shape[0] == 1 and len(shape) > len(expected):
        shape = shape[1:]
    if array.dtype != np.float32:
        return None
    if array.size == 1:
        return np.full(channels, array.reshape(()), np.float32)
    return array.reshape(-1) if shape == expected else None


def _simple_activation(call: Any) -> Activation | None:
    name = op_name(call)
    if name in _SIMPLE:
        return Activation(name.rsplit(".", 1)[1])
    if name == "relax.clip":
        return Activation("clip", low=float(call.args[1].value), high=float(call.args[2].value))
    if name == "relax.nn.leakyrelu":
        return Activation("leaky_relu", alpha=float(call.attrs.alpha))
    return None


def _composites(
    value_of: Mapping[Any, Any], activations: Mapping[Any, tuple[Activation, Any]]
) -> dict[Any, tuple[Activation, Any, list[Any]]]:
    """Activations made of several operators: result to (activation, source, variables inside)."""
    found: dict[Any, tuple[Activation, Any, list[Any]]] = {}
    for result in value_of:
        match = activations.get(result) or gated_activation(result, value_of, activations)
        if match is not None and isinstance(match[1], relax.Var):
            found[result] = (*match, _between(result, match[1], value_of))
    return found


def _between(result: Any, source: Any, value_of: Mapping[Any, Any]) -> list[Any]:
    """The variables on the ways from ``source`` (left out) to ``result``."""
    inside: list[Any] = []

    def visit(variable: Any) -> None:
        if variable.same_as(source) or variable in inside or variable not in value_of:
            return
        for used in variables_of(value_of[variable]):
            visit(used)
        inside.append(variable)

    visit(result)
    return inside
