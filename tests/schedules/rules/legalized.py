"""Small Relax modules: legalized and fused as the compiler does, scheduled by the rules, run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax, tirx

from edgewright.schedules.rules import Scheduled, legalize_map, schedule_prim_func
from edgewright.spec.target import Target

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """Shape and dtype of an input; integers are drawn from [0, below)."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    below: int = 5

    def draw(self, generator: np.random.Generator) -> Array:
        if self.dtype == "bool":
            return generator.integers(0, 2, self.shape).astype(bool)
        if self.dtype.startswith("float"):
            return generator.standard_normal(self.shape).astype(self.dtype)
        return generator.integers(0, self.below, self.shape).astype(self.dtype)


def relax_module(build: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
    """A module whose ``main`` is ``build(*inputs)``."""
    builder = relax.BlockBuilder()
    params = [relax.Var(f"x{i}", relax.TensorType(t.shape, t.dtype)) for i, t in enumerate(inputs)]
    with builder.function("main", params):
        with builder.dataflow():
            result = builder.emit_output(build(*params))
        builder.emit_func_output(result)
    return builder.get()


def legalized(module: Any, target: Target) -> Any:
    """The module with operators as unscheduled, fused PrimFuncs."""
    with tvm.target.Target(target.tvm_dict()):
        return tvm.transform.Sequential(
            [
                relax.backend.DispatchSortScan(),
                relax.transform.LegalizeOps(legalize_map()),
                relax.transform.AnnotateTIROpPattern(),
                relax.transform.FoldConstant(),
                relax.transform.FuseOps(),
                relax.transform.FuseTIR(),
            ]
        )(module)


def prim_funcs(module: Any) -> dict[str, Any]:
    """The module's PrimFuncs by name."""
    return {
        name.name_hint: func
        for name, func in module.functions.items()
        if isinstance(func, tirx.PrimFunc)
    }


def scheduled(module: Any, target: Target) -> tuple[Any, dict[str, Scheduled]]:
    """The legalized module with every PrimFunc scheduled, and what the rules said."""
    answers = {name: schedule_prim_func(func, target) for name, func in prim_funcs(module).items()}
    functions = {
        name: answers[name.name_hint].func if name.name_hint in answers else func
        for name, func in module.functions.items()
    }
    return tvm.IRModule(functions), answers


def run(module: Any, target: Target, arrays: Sequence[Array]) -> list[Array]:
    """Outputs of the module's ``main`` on this machine."""
    executable = tvm.compile(module, tvm.target.Target(target.tvm_dict()))
    machine = relax.VirtualMachine(executable, tvm.cpu())
    result = machine["main"](*[tvm.runtime.tensor(array) for array in arrays])
    return [result.numpy()] if hasattr(result, "numpy") else [part.numpy() for part in result]
