"""Which layout each tensor is in while a function is rewritten, and how it gets there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import ir, relax

from edgewright.compiler.read_relax import constant_array, is_constant, shape_of
from edgewright.schedules.cpu.gather_channels import gather_channels
from edgewright.schedules.cpu.layout import from_blocked, pack_channels, to_blocked
from edgewright.schedules.kernel import Kernel
from edgewright.spec.target import Target

__all__ = ["TrackedTensors"]

#: Elementwise operators whose result is finite wherever their operands are: safe on the padding
#: lanes of a blocked tensor, which hold finite values of no meaning.
_FINITE = frozenset(
    "relax." + name
    for name in (
        "add subtract multiply maximum minimum clip sigmoid tanh abs negative nn.relu nn.leakyrelu "
        "nn.silu nn.gelu erf"
    ).split()
)
#: Elementwise operators that may only run where there are no padding lanes.
_ELEMENTWISE = _FINITE | {"relax.divide", "relax.exp", "relax.sqrt", "relax.rsqrt", "relax.log"}

_CallKernel = Callable[[Kernel, list[Any], tuple[int, ...], Any], Any]
_Shape4 = tuple[int, int, int, int]


class TrackedTensors:
    """For each variable of the old function, its value in the new one: plain, blocked or both.

    A conversion is emitted when it is first asked for, and kept. A view, whose channels are
    channels of other tensors, is gathered into a blocked tensor likewise.

    Args:
        bb: the builder of the new function.
        target: decides how many channels a block has.
        call_kernel: emits a call of a kernel with arguments and an output shape, for a variable of
            the old function.
    """

    def __init__(self, bb: Any, target: Target, call_kernel: _CallKernel) -> None:
        self.bb = bb
        self.target = target
        self.lanes = target.isa.vec_lanes
        self._call_kernel = call_kernel
        #: The functions that the importer made, by their old names.
        self.functions: dict[Any, Any] = {}
        self._plain: dict[Any, Any] = {}
        self._blocked: dict[Any, tuple[Any, _Shape4]] = {}
        self._views: dict[Any, tuple[tuple[Any, int], ...]] = {}

    def blocked_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """``(N, C, H, W)`` to ``(N, ceil(C / lanes), H, W, lanes)``."""
        batch, channels, height, width = shape
        return (batch, -(-channels // self.lanes), height, width, self.lanes)

    def put_plain(self, old: Any, new: Any) -> None:
        """Note the plain value of a variable."""
        self._plain[old] = new

    def put_blocked(self, old: Any, new: Any, shape: tuple[int, ...]) -> None:
        """Note the blocked value of a variable of plain shape ``(N, C, H, W)``."""
        self._blocked[old] = (new, _four(shape))

    def put_view(self, old: Any, picks: Sequence[tuple[Any, int]]) -> None:
        """Note that each channel of a variable is one of another's; views of views are resolved."""
        resolved: list[tuple[Any, int]] = []
        for source, channel in picks:
            inner = None if source in self._blocked else self._views.get(source)
            resolved.append((source, channel) if inner is None else inner[channel])
        self._views[old] = tuple(resolved)

    def alias(self, old: Any, source: Any) -> None:
        """Note that two variables are the same tensor."""
        if source in self._views:
            self._views[old] = self._views[source]
        if source in self._plain:
            self._plain[old] = self._plain[source]
        if source in self._blocked:
            self._blocked[old] = self._blocked[source]

    def has_blocked(self, old: Any) -> bool:
        """Whether the blocked layout is the tensor's own, so that no transposition is needed."""
        return isinstance(old, relax.Var) and (old in self._blocked or old in self._views)

    def plain(self, old: Any) -> Any:
        """The tensor in its plain layout."""
        if not isinstance(old, relax.Var):
            return old
        if old not in self._plain:
            value, shape = self.blocked(old), _four(shape_of(old))
            if shape[2:] == (1, 1) and shape[1] % self.lanes == 0:
                self._plain[old] = self.bb.emit(relax.op.reshape(value, shape))
            else:
                kernel = from_blocked(shape, self.target)
                self._plain[old] = self._call_kernel(kernel, [value], shape, old)
        return self._plain[old]

    def blocked(self, old: Any) -> Any:
        """The tensor, of plain shape ``(N, C, H, W)``, in the blocked layout."""
        if old not in self._blocked:
            shape = _four(shape_of(old))
            blocked = self.blocked_shape(shape)
            if old in self._views:
                value = self._gather(old, blocked)
            elif shape[2:] == (1, 1) and shape[1] % self.lanes == 0:
                value = self.bb.emit(relax.op.reshape(self.plain(old), blocked))
            else:
                kernel = to_blocked(shape, self.target)
                value = self._call_kernel(kernel, [self.plain(old)], blocked, old)
            self._blocked[old] = (value, shape)
        return self._blocked[old][0]

    def _gather(self, old: Any, blocked: tuple[int, ...]) -> Any:
        """Emit the one kernel that moves a view's channels together."""
        picks = self._views[old]
        sources = list(dict.fromkeys(source for source, _ in picks))
        kernel = gather_channels(
            [_four(shape_of(source)) for source in sources],
            [(sources.index(source), channel) for source, channel in picks],
            self.target,
        )
        return self._call_kernel(kernel, [self.blocked(s) for s in sources], blocked, old)

    def put_reshaped(
        self, old: Any, value: Any, shape: tuple[int, ...], new_shape: tuple[int, ...]
    ) -> None:
        """Note a blocked value of plain shape ``shape`` that the model sees as ``new_shape``."""
        self._blocked[old] = (value, _four(shape))
        plain = self.plain(old)
        del self._blocked[old]
        self._plain[old] = self.bb.emit(relax.op.reshape(plain, new_shape))

    def rebuild(self, value: Any) -> Any:
        """The same expression on the new function's plain values."""
        if isinstance(value, relax.Var):
            return self.plain(value)
        if isinstance(value, ir.GlobalVar):
            return self.functions[value]
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self.rebuild(field) for field in value.fields])
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self.rebuild(value.tuple_value), value.index)
        if isinstance(value, ir.Call):
            args = [self.rebuild(arg) for arg in value.args]
            return ir.Call(value.op, args, value.attrs, list(value.ty_args or []))
        return value

    def elementwise_operands(
        self, name: str, call: Any, shape: tuple[int, ...]
    ) -> list[Any] | None:
        """Operands of an elementwise operator in the blocked layout.

        Returns:
            None where the operator must run on the plain layout: none of its operands is blocked,
            or one of them cannot be, or padding lanes could become infinite.
        """
        padded = len(shape) == 4 and shape[1] % self.lanes != 0
        if len(shape) != 4 or name not in (_FINITE if padded else _ELEMENTWISE):
            return None
        tensors = [arg for arg in call.args if isinstance(arg, relax.Var)]
        if not any(self.has_blocked(tensor) for tensor in tensors):
            return None
        operands = []
        for arg in call.args:
            if isinstance(arg, relax.Var):
                if len(shape_of(arg)) != 4 or shape_of(arg)[1] != shape[1]:
                    return None
            elif is_constant(arg) and not self._blockable(constant_array(arg), shape):
                return None
        for arg in call.args:
            if isinstance(arg, relax.Var):
                operands.append(self.blocked(arg))
            elif is_constant(arg):
                operands.append(self._block_constant(constant_array(arg), shape))
            else:
                operands.append(arg)
        return operands

    @staticmethod
    def _blockable(array: Any, shape: tuple[int, ...]) -> bool:
        if array.size == 1:
            return True
        aligned = (1,) * (4 - array.ndim) + array.shape
        return (
            bool(array.dtype == np.float32) and array.ndim <= 4 and aligned == (1, shape[1], 1, 1)
        )

    def _block_constant(self, array: Any, shape: tuple[int, ...]) -> Any:
        if array.size == 1:
            return relax.const(array.reshape(()), str(array.dtype))
        packed = pack_channels(array, self.lanes)
        return relax.const(packed.reshape(1, -1, 1, 1, self.lanes), "float32")


def _four(shape: tuple[int, ...]) -> _Shape4:
    batch, channels, height, width = shape
    return batch, channels, height, width
