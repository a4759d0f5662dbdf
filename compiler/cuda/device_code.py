"""Scheduled functions to CUDA C and the launches that replace them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, tirx

from edgewright.compiler.cuda.passes import (
    DEVICE_OPTIONS,
    device_passes,
    finish_passes,
    split_passes,
)
from edgewright.schedules.cuda.finite_extremes import FINITE_EXTREMES_ATTR, with_infinity_back
from edgewright.schedules.cuda.moves import tvm_target
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.gpu import Gpu

__all__ = ["DeviceFunction", "DeviceLaunch", "emit_cuda", "lower_function"]

_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class DeviceLaunch:
    """One launch of a kernel.

    Attributes:
        kernel: its name in the device code.
        grid: blocks along x, y and z.
        block: threads along x, y and z.
        parameters: for each of its pointers, which parameter of the function it was part of.
    """

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    parameters: tuple[int, ...]

    @property
    def blocks(self) -> int:
        """Blocks of the grid."""
        return math.prod(self.grid)

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return math.prod(self.block)


@dataclass(frozen=True)
class DeviceFunction:
    """A scheduled function as kernels.

    Attributes:
        launches: what replaces a call of it, in order.
        intermediates: buffers that its kernels share, its last parameters.
        kernels: the kernels as TIR, by name.
    """

    launches: tuple[DeviceLaunch, ...]
    intermediates: tuple[Any, ...]
    kernels: dict[str, Any]


def lower_function(name: str, func: Any, gpu: Gpu) -> DeviceFunction:
    """Cut a scheduled function into kernels.

    Args:
        name: what its kernels' names begin with; unique in the model.
        func: keeps the contract of :mod:`edgewright.schedules.cuda`.
        gpu: the architecture.

    Raises:
        UnsupportedModelError: what is left outside the kernels is no plain launch.
    """
    func, intermediates = _with_intermediates_as_parameters(func)
    func = func.with_attr("global_symbol", name).with_attr("tirx.noalias", True)
    target = tvm_target(gpu).with_host(tvm.target.Target("llvm"))
    with tvm.transform.PassContext(opt_level=3, config=DEVICE_OPTIONS):
        module = tirx.transform.BindTarget(target)(tvm.IRModule({name: func}))
        module = tvm.transform.Sequential([*device_passes(), *split_passes()])(module)
    functions = {key.name_hint: value for key, value in module.functions.items()}
    host = functions.pop(name)
    if FINITE_EXTREMES_ATTR in (func.attrs or {}):
        functions = {kernel: with_infinity_back(body) for kernel, body in functions.items()}
    return DeviceFunction(tuple(_launches(host)), intermediates, functions)


def emit_cuda(kernels: Mapping[str, Any], gpu: Gpu) -> str:
    """The kernels as one CUDA C++ source, in the order of their names."""
    target = tvm_target(gpu)
    module = tvm.IRModule({name: kernels[name] for name in sorted(kernels)})
    with tvm.transform.PassContext(opt_level=3, config=DEVICE_OPTIONS):
        module = tvm.transform.Sequential(finish_passes())(module)
    built = tvm_ffi.get_global_func("target.build.cuda")(module, target)
    return str(built.inspect_source())


def _with_intermediates_as_parameters(func: Any) -> tuple[Any, tuple[Any, ...]]:
    root = func.body.block
    shared = tuple(buffer for buffer in root.alloc_buffers if str(buffer.scope()) == "global")
    if not shared:
        return func, ()
    own = [buffer for buffer in root.alloc_buffers if str(buffer.scope()) != "global"]
    block = s_tir.SBlock(
        root.iter_vars,
        root.reads,
        root.writes,
        root.name_hint,
        root.body,
        root.init,
        own,
        root.match_buffers,
        root.annotations,
    )
    body = s_tir.SBlockRealize([], tirx.const(True, "bool"), block)
    return tirx.PrimFunc([*func.params, *shared], body, attrs=func.attrs), shared


def _launches(host: Any) -> list[DeviceLaunch]:
    """Read the host's half: views of the parameters, then one call for each kernel."""
    views: dict[Any, int] = {param: index for index, param in enumerate(host.params)}
    launches = []
    statements = list(host.body.seq) if isinstance(host.body, tirx.SeqStmt) else [host.body]
    for statement in statements:
        if isinstance(statement, tirx.DeclBuffer):
            views[statement.buffer] = views[statement.data.args[0]]
        elif isinstance(statement, tirx.Evaluate) and _is_launch(statement.value):
            launches.append(_launch(statement.value, views))
        else:
            raise UnsupportedModelError(
                f"a function of this model keeps the statement {type(statement).__name__} on the "
                "CPU",
                rule="On a GPU everything between input and output is a launch of a kernel.",
                remedy="Compile the model for a CPU, or report it.",
            )
    return launches


def _is_launch(value: Any) -> bool:
    return getattr(getattr(value, "op", None), "name", "") == "tirx.call_ffi_kernel"


def _launch(call: Any, views: Mapping[Any, int]) -> DeviceLaunch:
    tags = [str(tag) for tag in call.attrs.launch_params]
    name, *rest = call.args
    pointers, sizes = rest[: len(rest) - len(tags)], rest[len(rest) - len(tags) :]
    extent = {tag: int(size) for tag, size in zip(tags, sizes, strict=True)}
    grid, block = (_triple(extent, kind) for kind in ("blockIdx", "threadIdx"))
    if extent:
        raise UnsupportedModelError(
            f"the kernel {name.value} asks for {', '.join(extent)}",
            rule="Kernels have blocks, threads and static shared memory only.",
            remedy="Report the model.",
        )
    parameters = tuple(views[pointer.args[0]] for pointer in pointers)
    return DeviceLaunch(str(name.value), grid, block, parameters)


def _triple(extent: dict[str, int], kind: str) -> tuple[int, int, int]:
    """Take the extents along x, y and z out of a launch's; what it does not name is 1."""
    x, y, z = (extent.pop(f"{kind}.{axis}", 1) for axis in _AXES)
    return x, y, z
