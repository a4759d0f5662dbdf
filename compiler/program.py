"""The straight-line program, launches of kernels on tensors, read off the lowered Relax."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tvm import ir, relax

from edgewright.compiler.read_relax import constant_array, is_constant, op_name
from edgewright.compiler.tir_passes.split_phases import split_phases
from edgewright.schedules.cpu.gather_channels import BLOCK_RUNS_ATTR
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.tensor import ITEM_BYTES

__all__ = [
    "ALIGNMENT_BYTES",
    "SCRATCH_ATTR",
    "CutKernel",
    "Launch",
    "Program",
    "Tensor",
    "read_program",
]

#: Attribute of a PrimFunc whose last parameter before the output is a thread's scratch memory:
#: its size in bytes. Relax sees a constant there.
SCRATCH_ATTR = "edgewright.scratch_bytes"

#: Alignment of every tensor in the arena and the weights; EW_ALIGNMENT_BYTES of the runtime.
ALIGNMENT_BYTES = 64


@dataclass
class Tensor:
    """Memory that kernels read or write.

    Attributes:
        kind: ``input``, ``output``, ``weight``, ``arena`` or ``scratch``, a thread's own.
        index: which input or output; byte offset of a weight.
        size_bytes: its size.
        whole: the tensor of which this one is a part and shares the memory, or None.
        offset_bytes: where in ``whole`` it begins.
    """

    kind: str
    index: int
    size_bytes: int
    whole: Tensor | None = None
    offset_bytes: int = 0

    def root(self) -> tuple[Tensor, int]:
        """The tensor that is part of no other, and the offset of this one in it."""
        tensor, offset = self, 0
        while tensor.whole is not None:
            tensor, offset = tensor.whole, offset + tensor.offset_bytes
        return tensor, offset


@dataclass(frozen=True)
class Launch:
    """One kernel on its tensors.

    Attributes:
        result: name of the Relax variable its first output was bound to.
        kernel: the PrimFunc's name in the module; empty for a copy.
        symbols: one C symbol for each of the kernel's phases.
        tasks: number of tasks of each phase.
        reads: tensors read, in the order of the kernel's parameters.
        writes: tensors written, after them.
        intermediates: tensors that live inside this launch only, last of the parameters.
        scratch_bytes: scratch memory of one thread.
    """

    result: str
    kernel: str
    symbols: tuple[str, ...]
    tasks: tuple[int, ...]
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    intermediates: tuple[Tensor, ...] = ()
    scratch_bytes: int = 0


@dataclass
class Program:
    """Launches in order, with what they need.

    Attributes:
        launches: to be run one after the other.
        kernels: the phases' PrimFuncs, by C symbol.
        weights: all constants, each aligned to :data:`ALIGNMENT_BYTES`.
    """

    launches: list[Launch] = field(default_factory=list)
    kernels: dict[str, Any] = field(default_factory=dict)
    weights: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class CutKernel:
    """A kernel's phases, which run one after the other.

    Attributes:
        functions: what computes each phase, by symbol, in order.
        tasks: number of tasks of each.
        intermediates: buffers that the phases share, their last parameters.
    """

    functions: Mapping[str, Any]
    tasks: tuple[int, ...]
    intermediates: tuple[Any, ...]


def read_program(
    module: Any,
    name: str,
    schedule: Callable[[str, Any], Any],
    cut: Callable[[str, Any], CutKernel] | None = None,
) -> Program:
    """Read the launches off a lowered module.

    Args:
        module: ``main`` is one dataflow block of ``call_tir`` and ``relax.reshape``.
        name: the model's name; prefix of the kernels' C symbols.
        schedule: gives the scheduled form of a PrimFunc, called once for each kernel.
        cut: cuts the scheduled form into phases; None for those of a CPU's threads.

    Raises:
        UnsupportedModelError: an operator could not be lowered to a kernel.
    """
    return _Reader(module, schedule, cut or _phases_of_model(name)).read()


def _phases_of_model(name: str) -> Callable[[str, Any], CutKernel]:
    def cut(kernel: str, func: Any) -> CutKernel:
        phases = split_phases(func)
        count = len(phases.prim_funcs)
        base = f"{name}_k_{kernel}"
        symbols = (base,) if count == 1 else tuple(f"{base}_p{i}" for i in range(count))
        tasks = tuple(int(phase.body.block.body.extent) for phase in phases.prim_funcs)
        functions = dict(zip(symbols, phases.prim_funcs, strict=True))
        return CutKernel(functions, tasks, phases.intermediates)

    return cut


class _Reader:
    def __init__(
        self,
        module: Any,
        schedule: Callable[[str, Any], Any],
        cut: Callable[[str, Any], CutKernel],
    ) -> None:
        self.module = module
        self.schedule = schedule
        self.cut = cut
        self.program = Program()
        self.tensors: dict[Any, Any] = {}
        self.constants: dict[bytes, Tensor] = {}
        self.kernels: dict[str, CutKernel] = {}
        self.shared: set[int] = set()

    def read(self) -> Program:
        main = self.module["main"]
        for index, param in enumerate(main.params):
            self.tensors[param] = Tensor("input", index, _size_bytes(param.ty))
        for block in main.body.blocks:
            for binding in block.bindings:
                self.tensors[binding.var] = self.bind(binding.var, binding.value)
        self.return_outputs(self.value(main.body.body))
        return self.program

    def bind(self, var: Any, value: Any) -> Any:
        """The tensor (or tuple of tensors) a binding stands for; emits a launch if it needs one."""
        if op_name(value) == "relax.call_tir":
            return self.launch(var, value)
        if op_name(value) == "relax.reshape":
            return self.value(value.args[0])
        if isinstance(value, ir.Call):
            raise UnsupportedModelError(
                f"the operator {op_name(value) or value.op} (as {var.name}) has no kernel",
                rule="Edgewright lowers operators with static shapes to compiled kernels only.",
                remedy="Replace it in the model, or fix the shapes it depends on.",
            )
        return self.value(value)

    def value(self, expr: Any) -> Any:
        if isinstance(expr, relax.Tuple):
            return tuple(self.value(item) for item in expr.fields)
        if isinstance(expr, relax.TupleGetItem):
            return self.value(expr.tuple_value)[expr.index]
        if is_constant(expr):
            return self.constant(expr)
        return self.tensors[expr]

    def constant(self, expr: Any) -> Tensor:
        """Equal constants share their bytes."""
        array = constant_array(expr)
        content = array.reshape(-1).view(np.uint8).data
        key = hashlib.sha256(content).digest()
        if key not in self.constants:
            weights = self.program.weights
            weights.extend(bytes(-len(weights) % ALIGNMENT_BYTES))
            self.constants[key] = Tensor("weight", len(weights), array.nbytes)
            weights.extend(content)
        return self.constants[key]

    def launch(self, var: Any, call: Any) -> Any:
        kernel = call.args[0].name_hint
        joined = self.share_memory(self.module[kernel], call)
        if joined is not None:
            return joined
        made = self.cut_kernel(kernel)
        scratch = int((self.module[kernel].attrs or {}).get(SCRATCH_ATTR, 0))
        args = list(call.args[1].fields)
        if scratch:
            args.pop()
        reads = tuple(self.value(arg) for arg in args)
        if scratch:
            reads += (Tensor("scratch", 0, scratch),)
        is_tuple = isinstance(call.ty_args[0], relax.TupleType)
        types = list(call.ty_args[0].fields) if is_tuple else [call.ty_args[0]]
        writes = tuple(Tensor("arena", -1, _size_bytes(ty)) for ty in types)
        intermediates = tuple(
            Tensor("arena", -1, math.prod(map(int, buffer.shape)) * ITEM_BYTES[str(buffer.dtype)])
            for buffer in made.intermediates
        )
        self.program.launches.append(
            Launch(
                var.name,
                kernel,
                tuple(made.functions),
                made.tasks,
                reads,
                writes,
                intermediates,
                scratch,
            )
        )
        return writes if is_tuple else writes[0]

    def share_memory(self, func: Any, call: Any) -> Tensor | None:
        """The result of a kernel that copies whole blocks, where nothing has to be copied.

        Case 1: the result is a part of one tensor: it lies inside that one.
        Case 2: the result is several whole tensors, one after the other: they lie inside the
        result, and their kernels write there. Each can be part of one tensor only.
        """
        flat = [int(number) for number in (func.attrs or {}).get(BLOCK_RUNS_ATTR, ())]
        if not flat:
            return None
        runs = [(flat[i], flat[i + 1], flat[i + 2]) for i in range(0, len(flat), 3)]
        sources = [self.value(arg) for arg in call.args[1].fields]
        result = Tensor("arena", -1, _size_bytes(call.ty_args[0]))
        block_bytes = result.size_bytes // sum(blocks for _, _, blocks in runs)
        if len(runs) == 1:
            source, first, _ = runs[0]
            result.whole, result.offset_bytes = sources[source], first * block_bytes
            if result.root()[1] % ALIGNMENT_BYTES or sources[source].kind != "arena":
                return None
            self.shared.add(id(result.root()[0]))
            return result
        parts = [sources[source] for source, _, _ in runs]
        places = [sum(b for _, _, b in runs[:i]) * block_bytes for i in range(len(runs))]
        whole = all(
            part.size_bytes == blocks * block_bytes and part.kind == "arena" and part.whole is None
            for part, (_, _, blocks) in zip(parts, runs, strict=True)
        )
        if not whole or len({id(part) for part in parts}) < len(parts):
            return None
        if any(place % ALIGNMENT_BYTES for place in places):
            return None
        for part, place in zip(parts, places, strict=True):
            part.whole, part.offset_bytes = result, place
        self.shared.add(id(result))
        return result

    def cut_kernel(self, kernel: str) -> CutKernel:
        if kernel not in self.kernels:
            made = self.cut(kernel, self.schedule(kernel, self.module[kernel]))
            self.program.kernels.update(made.functions)
            self.kernels[kernel] = made
        return self.kernels[kernel]

    def return_outputs(self, returned: Any) -> None:
        """Let the last kernel write each output in place, and copy what is no kernel's to write."""
        outputs: Sequence[Any] = returned if isinstance(returned, tuple) else (returned,)
        for index, tensor in enumerate(outputs):
            if tensor.kind == "arena" and tensor.whole is None and id(tensor) not in self.shared:
                tensor.kind, tensor.index = "output", index
            else:
                copy = Tensor("output", index, tensor.size_bytes)
                self.program.launches.append(
                    Launch(f"output{index}", "", ("",), (1,), (tensor,), (copy,))
                )


def _size_bytes(ty: Any) -> int:
    return math.prod(map(int, ty.shape)) * ITEM_BYTES[str(ty.dtype)]
