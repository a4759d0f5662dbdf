"""Find operators that only rearrange channels: nothing needs to move until somebody computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import relax

from edgewright.compiler.read_relax import op_name, shape_of

__all__ = ["ChannelView", "channel_views"]


@dataclass(frozen=True)
class ChannelView:
    """A tensor ``(N, C, H, W)`` whose channels are channels of others.

    Attributes:
        picks: for each channel the variable it comes from, and the channel there.
        inside: variables between the sources and this tensor; nobody else uses them.
    """

    picks: tuple[tuple[Any, int], ...]
    inside: tuple[Any, ...] = ()

    @property
    def sources(self) -> tuple[Any, ...]:
        """The variables picked from, each once."""
        return tuple(dict.fromkeys(source for source, _ in self.picks))


def channel_views(bindings: Sequence[Any], users: Mapping[Any, int]) -> dict[Any, ChannelView]:
    """Recognise channel rearrangements of 4-d tensors.

    Case 1: ``concat`` along channels.
    Case 2: an item of ``split`` along channels.
    Case 3: ``strided_slice`` of channels.
    Case 4: channel shuffle, ``reshape(permute_dims(reshape(x)))`` through ``(N, g, C/g, H, W)``.

    Args:
        bindings: the dataflow block's bindings, in order.
        users: how often each variable is used.

    Returns:
        The views by variable, in terms of the operators' own operands.
    """
    value_of = {binding.var: binding.value for binding in bindings}
    views: dict[Any, ChannelView] = {}
    for variable, value in value_of.items():
        if not isinstance(variable.ty, relax.TensorType) or len(shape_of(variable)) != 4:
            continue
        view = (
            _concat(value)
            or _split_item(value, value_of)
            or _slice(value, shape_of(variable))
            or _shuffle(variable, value_of, users)
        )
        if view is not None and len(view.picks) == shape_of(variable)[1]:
            views[variable] = view
    return views


def _concat(value: Any) -> ChannelView | None:
    """Case 1."""
    if op_name(value) != "relax.concat" or not isinstance(value.args[0], relax.Tuple):
        return None
    parts = list(value.args[0].fields)
    if int(value.attrs.axis) not in (1, -3) or not all(isinstance(p, relax.Var) for p in parts):
        return None
    return ChannelView(tuple((part, c) for part in parts for c in range(shape_of(part)[1])))


def _split_item(value: Any, value_of: Mapping[Any, Any]) -> ChannelView | None:
    """Case 2."""
    if not isinstance(value, relax.TupleGetItem):
        return None
    split: Any = value_of.get(value.tuple_value)
    if op_name(split) != "relax.split" or int(split.attrs.axis) not in (1, -3):
        return None
    source = split.args[0]
    if not isinstance(source, relax.Var) or len(shape_of(source)) != 4:
        return None
    fields = value.tuple_value.ty.fields
    sizes = [int(field.shape[1]) for field in fields]
    first = sum(sizes[: value.index])
    picks = tuple((source, first + c) for c in range(sizes[value.index]))
    return ChannelView(picks, (value.tuple_value,))


def _slice(value: Any, shape: tuple[int, ...]) -> ChannelView | None:
    """Case 3; ONNX's bounds beyond the tensor mean what Python's do."""
    if op_name(value) != "relax.strided_slice" or not isinstance(value.args[0], relax.Var):
        return None
    source = value.args[0]
    axes, begins, ends, *strides = ([int(item) for item in arg.fields] for arg in value.args[1:])
    if axes not in ([1], [-3]) or len(shape_of(source)) != 4:
        return None
    step = strides[0][0] if strides else 1
    channels = range(shape_of(source)[1])[begins[0] : ends[0] : step]
    return ChannelView(tuple((source, c) for c in channels)) if len(channels) == shape[1] else None


def _shuffle(
    variable: Any, value_of: Mapping[Any, Any], users: Mapping[Any, int]
) -> ChannelView | None:
    """Case 4."""
    inside = []
    for expected in ("relax.permute_dims", "relax.reshape"):
        value: Any = value_of.get(variable)
        inner = value.args[0] if op_name(value) in ("relax.reshape", "relax.permute_dims") else None
        if not isinstance(inner, relax.Var) or op_name(value_of.get(inner)) != expected:
            return None
        if users.get(inner) != 1:
            return None
        inside.append(inner)
        variable = inner
    permuted, grouped = inside
    source = value_of[grouped].args[0]
    axes = value_of[permuted].attrs.axes
    if not isinstance(source, relax.Var) or len(shape_of(source)) != 4 or axes is None:
        return None
    batch, channels, height, width = shape_of(source)
    groups = shape_of(grouped)[1] if len(shape_of(grouped)) == 5 else 0
    expected_shape = (batch, groups, channels // max(groups, 1), height, width)
    if [int(axis) for axis in axes] != [0, 2, 1, 3, 4] or shape_of(grouped) != expected_shape:
        return None
    size = channels // groups
    picks = tuple((source, g * size + i) for i in range(size) for g in range(groups))
    return ChannelView(picks, tuple(inside))
