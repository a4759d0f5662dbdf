"""A program whose steps are kernels of one workload: what measuring runs in place of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from edgewright.compiler.build import build_objects
from edgewright.compiler.emit_c import emit_header, emit_model
from edgewright.compiler.memory_plan import plan_memory
from edgewright.compiler.program import Launch, Program, Tensor
from edgewright.compiler.tir_passes.split_phases import split_phases
from edgewright.schedules.kernel import Kernel
from edgewright.schedules.workload import Conv2dWorkload, DenseWorkload
from edgewright.spec.target import Target
from edgewright.spec.tensor import TensorSpec

__all__ = ["Candidate", "CandidateProgram", "build_candidate", "emit_candidates"]


@dataclass(frozen=True)
class Candidate:
    """One compiled kernel.

    Attributes:
        kernel: the kernel.
        stem: start of its C symbols, a C identifier.
        symbols: one for each of its phases.
        tasks: number of tasks of each phase.
        objects: relocatable ELF objects by file name.
        intermediate_bytes: sizes of the tensors that its phases share.
    """

    kernel: Kernel
    stem: str
    symbols: tuple[str, ...]
    tasks: tuple[int, ...]
    objects: dict[str, bytes] = field(repr=False)
    intermediate_bytes: tuple[int, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the kernel's parameters."""
        params = self.kernel.prim_func.params
        return tuple(tuple(int(extent) for extent in param.shape) for param in params)


@dataclass(frozen=True)
class CandidateProgram:
    """C and tensors of a program that launches each candidate once.

    Attributes:
        name: a C identifier.
        sources: C sources and headers by file name.
        inputs: the shared input, the shared residual (where there is one), then the packed weights
            and bias of each candidate.
        outputs: the one that every candidate writes: as in an arena, it is in the caches when a
            candidate begins.
        owners: for each step the number of its candidate.
    """

    name: str
    sources: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    owners: tuple[int, ...]


@dataclass(frozen=True)
class _Step:
    name: str
    kernel: str


def build_candidate(kernel: Kernel, target: Target, stem: str) -> Candidate:
    """Compile a kernel to machine code.

    Args:
        kernel: the kernel.
        target: the core to compile for.
        stem: start of the C symbols, different from those of the other candidates.
    """
    phases = split_phases(kernel.prim_func)
    symbols = tuple(f"{stem}_p{number}" for number in range(len(phases.prim_funcs)))
    functions = dict(zip(symbols, phases.prim_funcs, strict=True))
    return Candidate(
        kernel=kernel,
        stem=stem,
        symbols=symbols,
        tasks=tuple(int(func.body.block.body.extent) for func in phases.prim_funcs),
        objects={f"{stem}_{n}": code for n, code in build_objects(functions, target).items()},
        intermediate_bytes=tuple(math.prod(map(int, b.shape)) * 4 for b in phases.intermediates),
    )


def emit_candidates(
    name: str,
    candidates: Sequence[Candidate],
    workload: Conv2dWorkload | DenseWorkload,
    order: Sequence[int],
) -> CandidateProgram:
    """Emit the program.

    Args:
        name: the program's name, a C identifier.
        candidates: kernels of the workload that read one layout.
        workload: says whether there are a bias and a residual.
        order: numbers of the candidates in the order of their launches.
    """
    shapes = [candidate.shapes for candidate in candidates]
    inputs = [TensorSpec("x", shapes[0][0])]
    constants = 2 if workload.epilogue.bias else 1
    if workload.epilogue.residual:
        inputs.append(TensorSpec("r", shapes[0][1 + constants]))
    shared = len(inputs)
    for number, shape in enumerate(shapes):
        inputs += [TensorSpec(f"c{number}_{i}", shape[1 + i]) for i in range(constants)]
    outputs = [TensorSpec("y", shapes[0][-1])]

    program = Program()
    for number in order:
        own = range(shared + number * constants, shared + (number + 1) * constants)
        reads = [Tensor("input", index, 0) for index in (0, *own, *range(1, shared))]
        program.launches.append(_launch(candidates[number], reads, Tensor("output", 0, 0)))
    plan = plan_memory(program.launches)
    owners = tuple(number for number in order for _ in candidates[number].symbols)
    steps = [_Step(candidates[n].stem, candidates[n].kernel.name) for n in owners]
    sources = {
        f"{name}.h": emit_header(name, inputs, outputs, plan),
        f"{name}.c": emit_model(name, program, plan, steps, inputs, outputs, embed_weights=False),
    }
    return CandidateProgram(name, sources, tuple(inputs), tuple(outputs), owners)


def _launch(candidate: Candidate, reads: Sequence[Tensor], output: Tensor) -> Launch:
    """A launch whose intermediates are its own, to be placed by the memory plan."""
    scratch = candidate.kernel.scratch_bytes
    return Launch(
        result=candidate.stem,
        kernel=candidate.kernel.name,
        symbols=candidate.symbols,
        tasks=candidate.tasks,
        reads=(*reads, *([Tensor("scratch", 0, scratch)] if scratch else [])),
        writes=(output,),
        intermediates=tuple(Tensor("arena", -1, size) for size in candidate.intermediate_bytes),
        scratch_bytes=scratch,
    )
