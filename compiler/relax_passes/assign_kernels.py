"""Replace operators by kernels of ours, with activations in the blocked layout between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import ir, relax

from edgewright.compiler.import_model import ImportedModel
from edgewright.compiler.kernel_use import KernelUse
from edgewright.compiler.program import SCRATCH_ATTR
from edgewright.compiler.read_relax import constant_array, op_name, shape_of, use_counts
from edgewright.compiler.relax_passes.channel_views import ChannelView, channel_views
from edgewright.compiler.relax_passes.fuse_epilogues import Fused, fuse_epilogues
from edgewright.compiler.relax_passes.read_workload import (
    conv2d_transposed_workload,
    conv2d_workload,
    dense_workload,
    pool2d_workload,
    resize2d_workload,
)
from edgewright.compiler.relax_passes.track_layout import TrackedTensors
from edgewright.compiler.tunable import Tunable
from edgewright.schedules.cpu.resize2d import table
from edgewright.schedules.kernel import Kernel, Limits, Selection
from edgewright.schedules.records import Records
from edgewright.schedules.select import (
    select_conv2d,
    select_conv2d_transposed,
    select_dense,
    select_pool2d,
    select_resize2d,
)
from edgewright.schedules.workload import Conv2dTransposedWorkload, Conv2dWorkload
from edgewright.spec.target import Target

__all__ = ["Assigned", "assign_kernels"]


@dataclass(frozen=True)
class Assigned:
    """A module whose heavy operators are calls of scheduled kernels.

    Attributes:
        module: operators left over are Relax operators still.
        kernels: names of the functions that are scheduled already.
        uses: by the name of the variable that a kernel's result is bound to.
        nodes: ONNX node of each other variable, by name.
        outputs: names of the returned variables; later passes bind these results to new ones.
        tunables: the convolutions and matrix products whose kernels can be measured.
    """

    module: Any
    kernels: frozenset[str]
    uses: dict[str, KernelUse]
    nodes: dict[str, str]
    outputs: tuple[str, ...]
    tunables: tuple[Tunable, ...] = ()


def assign_kernels(
    imported: ImportedModel, target: Target, limits: Limits, records: Records | None = None
) -> Assigned:
    """Assign a kernel to every operator that some kernel family takes.

    Case 1: a convolution, transposed too, or a matrix product, with what ``fuse_epilogues`` fused
    behind it.
    Case 2: 2-d pooling, global pooling included; resampling.
    Case 3: elementwise operators run in the blocked layout where an operand already has it, and
    channels that are only rearranged (``channel_views``) move when a kernel asks for them.
    Case 4: everything else stays as it is, on the plain layout; a reshape of it is free.
    """
    return _Assignment(imported, target, limits, records).run()


class _Assignment:
    """The rewriting of one function, binding by binding."""

    def __init__(
        self, imported: ImportedModel, target: Target, limits: Limits, records: Records | None
    ) -> None:
        self.imported = imported
        self.target = target
        self.limits = limits
        self.records = records
        self.tunables: list[Tunable] = []
        self.bb = relax.BlockBuilder()
        self.tensors = TrackedTensors(self.bb, target, self.convert_layout)
        self.kernels: dict[str, Any] = {}
        self.values = {b.var: b.value for b in imported.module["main"].body.blocks[0].bindings}
        self.emitted = 0
        self.uses: dict[str, KernelUse] = {}
        self.nodes: dict[str, str] = {}
        self.views: dict[Any, ChannelView] = {}

    def run(self) -> Assigned:
        main = self.imported.module["main"]
        for name, func in self.imported.module.functions.items():
            if name.name_hint != "main":
                self.tensors.functions[name] = self.bb.add_func(func, name.name_hint)
        (block,) = main.body.blocks
        bindings = list(block.bindings)
        result = self.values.get(main.body.body, main.body.body)
        outputs = list(result.fields) if isinstance(result, relax.Tuple) else [main.body.body]
        chains = fuse_epilogues(bindings, outputs, self.imported.activations)
        inside = {member for chain in chains.values() for member in chain.members}
        self.views = channel_views(bindings, use_counts(bindings, outputs))
        within = {inner: view for view in self.views.values() for inner in view.inside}
        params = [relax.Var(param.name, param.ty) for param in main.params]
        with self.bb.function("main", params):
            with self.bb.dataflow():
                for old, new in zip(main.params, params, strict=True):
                    self.tensors.put_plain(old, new)
                for binding in bindings:
                    if binding.var in chains:
                        self.assign_chain(chains[binding.var])
                    elif binding.var in within and self.in_blocks(within[binding.var]):
                        continue  # a value on the way to a view; nobody else needs it
                    elif binding.var not in inside:
                        self.assign_other(binding.var, binding.value)
                # An output may be a constant: it needs a name too.
                plain = [self.tensors.plain(output) for output in outputs]
                returned = [v if isinstance(v, relax.Var) else self.bb.emit(v) for v in plain]
                if isinstance(result, relax.Tuple):
                    final = self.bb.emit_output(relax.Tuple(returned))
                else:
                    final = self.bb.emit_output(returned[0])
            self.bb.emit_func_output(final)
        names = tuple(str(output.name) for output in returned)
        kernels, tunables = frozenset(self.kernels), tuple(self.tunables)
        return Assigned(self.bb.get(), kernels, self.uses, self.nodes, names, tunables)

    def call_kernel(self, kernel: Kernel, args: list[Any], shape: tuple[int, ...]) -> Any:
        """Emit a call of a kernel; equal names share one function."""
        if kernel.name not in self.kernels:
            func = kernel.prim_func.with_attr("global_symbol", kernel.name)
            if kernel.scratch_bytes:
                func = func.with_attr(SCRATCH_ATTR, kernel.scratch_bytes)
            self.kernels[kernel.name] = self.bb.add_func(func, kernel.name)
        if kernel.scratch_bytes:
            # A constant to Relax; read_program turns it into the thread's own memory.
            args = [*args, relax.const(np.zeros(kernel.scratch_bytes // 4, np.float32), "float32")]
        out_type = relax.TensorType(shape, "float32")
        return self.emit(relax.call_tir(self.kernels[kernel.name], args, out_type))

    def convert_layout(
        self, kernel: Kernel, args: list[Any], shape: tuple[int, ...], var: Any
    ) -> Any:
        """Emit a change of layout, or the gathering of a view."""
        result = self.call_kernel(kernel, args, shape)
        view = self.views.get(var) if kernel.algorithm == "gather" else None
        origins = () if view is None else (var, *view.inside)
        nodes = tuple(self.imported.nodes[v] for v in origins if v in self.imported.nodes)
        use = KernelUse(kernel.algorithm, nodes, (), 0, kernel.reason, ())
        self.uses[result.name] = use
        return result

    def record(
        self, result: Any, var: Any, op: str, nodes: list[str], macs: int, chosen: Selection
    ) -> None:
        """Keep what a kernel was chosen for, and why; ``var`` is what its result was."""
        assert chosen.kernel is not None
        self.uses[result.name] = KernelUse(
            op,
            tuple(dict.fromkeys(nodes)),
            self.imported.tensors.get(self.imported.nodes.get(var, ""), ()),
            macs,
            chosen.kernel.reason,
            tuple(str(declined) for declined in chosen.declined),
        )

    # -- convolutions and matrix products -------------------------------------------------------

    def assign_chain(self, chain: Fused) -> None:
        """Call the fused kernel, or leave the operators to the generic rules."""
        assign = {
            "relax.nn.conv2d": self.assign_conv2d,
            "relax.nn.conv2d_transpose": self.assign_transposed,
        }.get(op_name(chain.call), self.assign_dense)
        if assign(chain):
            return
        for member in chain.members:
            self.assign_other(member, self.values[member])

    def assign_conv2d(self, chain: Fused) -> bool:
        """Case 1 for ``relax.nn.conv2d``."""
        workload = conv2d_workload(chain)
        if workload is None:
            return False
        source = chain.call.args[0]
        plain_input = workload.in_channels < self.target.isa.vec_lanes and not (
            self.tensors.has_blocked(source)
        )
        chosen = Selection(None)
        for layout in ("NCHW", "blocked") if plain_input else ("blocked",):
            plain_input = layout == "NCHW"
            chosen = select_conv2d(workload, self.target, self.limits, layout, self.records)
            if chosen.kernel is not None:
                self.tunables.append(Tunable(workload, layout, self.nodes_of(chain)[0]))
                break
        if chosen.kernel is None:
            return False
        data = self.tensors.plain(source) if plain_input else self.tensors.blocked(source)
        self.call_convolution(chain, workload, chosen, data)
        return True

    def assign_transposed(self, chain: Fused) -> bool:
        """Case 1 for ``relax.nn.conv2d_transpose``."""
        workload = conv2d_transposed_workload(chain)
        if workload is None:
            return False
        chosen = select_conv2d_transposed(workload, self.target, self.limits)
        if chosen.kernel is None:
            return False
        self.call_convolution(chain, workload, chosen, self.tensors.blocked(chain.call.args[0]))
        return True

    def call_convolution(
        self,
        chain: Fused,
        workload: Conv2dWorkload | Conv2dTransposedWorkload,
        chosen: Selection,
        data: Any,
    ) -> None:
        """Emit the call of a kernel with blocked output, ``data`` in the layout it reads."""
        kernel, w = chosen.kernel, workload
        assert kernel is not None
        args = [data, *self.packed(kernel, constant_array(chain.call.args[1]), chain)]
        if chain.residual is not None:
            args.append(self.tensors.blocked(chain.residual))
        shape = (w.batch, w.out_channels, w.out_h, w.out_w)
        result = self.call_kernel(kernel, args, self.tensors.blocked_shape(shape))
        self.tensors.put_blocked(chain.output, result, shape)
        op = "conv2d" if isinstance(w, Conv2dWorkload) else "conv2d_transposed"
        self.record(result, chain.output, op, self.nodes_of(chain), w.macs, chosen)

    def assign_dense(self, chain: Fused) -> bool:
        """Case 1 for ``relax.matmul`` by a constant matrix."""
        workload = dense_workload(chain)
        if workload is None:
            return False
        chosen = select_dense(workload, self.target, self.limits, self.records)
        if chosen.kernel is None:
            return False
        self.tunables.append(Tunable(workload, "plain", self.nodes_of(chain)[0]))
        args = [self.tensors.plain(chain.call.args[0])]
        args += self.packed(chosen.kernel, constant_array(chain.call.args[1]).T, chain)
        if chain.residual is not None:
            args.append(self.tensors.plain(chain.residual))
        result = self.call_kernel(chosen.kernel, args, (workload.rows, workload.out_features))
        self.tensors.put_plain(chain.output, result)
        self.record(result, chain.output, "dense", self.nodes_of(chain), workload.macs, chosen)
        return True

    def packed(self, kernel: Kernel, weights: Any, chain: Fused) -> list[Any]:
        """The kernel's constant arguments: packed weights, then the bias where it has one."""
        assert kernel.pack_weights is not None
        constants = [relax.const(kernel.pack_weights(weights), "float32")]
        if chain.bias is not None:
            assert kernel.pack_bias is not None
            constants.append(relax.const(kernel.pack_bias(chain.bias), "float32"))
        return constants

    def nodes_of(self, chain: Fused) -> list[str]:
        """ONNX nodes of a chain; a binding inside a converter's answer has none of its own."""
        names = [self.imported.nodes[m] for m in chain.members if m in self.imported.nodes]
        return names or [chain.output.name]

    # -- everything else ------------------------------------------------------------------------

    def assign_other(self, var: Any, value: Any) -> None:
        """Cases 2 to 4."""
        if isinstance(value, relax.Var):
            self.tensors.alias(var, value)
            return
        if not isinstance(var.ty, relax.TensorType):
            if not isinstance(value, relax.Tuple):  # a tuple is the function's result
                self.keep_plain(var, value)
            return
        if var in self.views and self.in_blocks(self.views[var]):
            self.tensors.put_view(var, self.views[var].picks)
            return
        handler: Callable[[Any, Any], bool] | None = {
            "relax.nn.max_pool2d": self.assign_pool2d,
            "relax.nn.avg_pool2d": self.assign_pool2d,
            "relax.mean": self.assign_pool2d,
            "relax.max": self.assign_pool2d,
            "relax.image.resize2d": self.assign_resize2d,
        }.get(op_name(value))
        if handler is not None and handler(var, value):
            return
        if self.keep_elementwise(var, value):
            return
        self.keep_plain(var, value)

    def assign_pool2d(self, var: Any, call: Any) -> bool:
        """Case 2."""
        source = call.args[0]
        workload = pool2d_workload(call)
        if workload is None or not self.tensors.has_blocked(source):
            return False
        chosen = select_pool2d(workload, self.target)
        if chosen.kernel is None:
            return False
        shape = shape_of(var)
        as_4d = (workload.batch, workload.channels, workload.out_h, workload.out_w)
        blocked = self.tensors.blocked_shape(as_4d)
        result = self.call_kernel(chosen.kernel, [self.tensors.blocked(source)], blocked)
        if shape == as_4d:
            self.tensors.put_blocked(var, result, shape)
        else:  # keepdims=0
            self.tensors.put_reshaped(var, result, as_4d, shape)
        self.record(result, var, "pool2d", [self.node_of(var)], 0, chosen)
        return True

    def assign_resize2d(self, var: Any, call: Any) -> bool:
        """Case 2."""
        workload = resize2d_workload(call)
        if workload is None or not self.tensors.has_blocked(call.args[0]):
            return False
        chosen = select_resize2d(workload, self.target)
        if chosen.kernel is None:
            return False
        args = [self.tensors.blocked(call.args[0]), relax.const(table(workload), "float32")]
        shape = shape_of(var)
        result = self.call_kernel(chosen.kernel, args, self.tensors.blocked_shape(shape))
        self.tensors.put_blocked(var, result, shape)
        self.record(result, var, "resize2d", [self.node_of(var)], 0, chosen)
        return True

    def in_blocks(self, view: ChannelView) -> bool:
        """Whether a view is worth keeping blocked: some of its sources are."""
        return any(self.tensors.has_blocked(source) for source in view.sources)

    def keep_elementwise(self, var: Any, call: Any) -> bool:
        """Case 3: an elementwise operator keeps the layout of its operands."""
        operands = self.tensors.elementwise_operands(op_name(call), call, shape_of(var))
        if operands is None:
            return False
        rebuilt = ir.Call(call.op, operands, call.attrs, list(call.ty_args or []))
        self.tensors.put_blocked(var, self.emit_value(var, rebuilt), shape_of(var))
        return True

    def keep_plain(self, var: Any, value: Any) -> None:
        """Case 4."""
        result = self.emit_value(var, self.tensors.rebuild(value))
        self.tensors.put_plain(var, result)

    def emit_value(self, var: Any, value: Any) -> Any:
        """Bind a value, and remember which node it comes from."""
        result = self.emit(value)
        self.nodes[result.name] = self.node_of(var)
        return result

    def emit(self, value: Any) -> Any:
        """Bind a value to a variable whose name later passes keep."""
        self.emitted += 1
        return self.bb.emit(value, name_hint=f"value_{self.emitted}")

    def node_of(self, var: Any) -> str:
        """The ONNX node of a variable."""
        return self.imported.nodes.get(var, str(var.name))
