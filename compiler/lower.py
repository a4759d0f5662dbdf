"""A prepared model to machine code, a memory plan, C and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.compiler.kernel_use import KernelUse
from edgewright.compiler.options import Options
from edgewright.spec.errors import UsageError
from edgewright.spec.progress import Progress, StageClock, silent
from edgewright.spec.target import Target
from edgewright.spec.tensor import TensorSpec

if TYPE_CHECKING:
    import onnx

    from edgewright.compiler.cuda.device_program import DeviceProgram
    from edgewright.compiler.program import Program
    from edgewright.compiler.relax_passes.assign_kernels import Assigned

__all__ = ["Compiled", "Step", "lower", "tensor_specs"]


@dataclass(frozen=True)
class Step:
    """One launch of one kernel.

    Attributes:
        index: position in the program.
        name: the first ONNX node that it computes.
        op: the operator, in Relax's words.
        kernel: the kernel's name.
        tasks: how many pieces the runtime may share among threads.
        macs: multiply-accumulates of the direct algorithm; 0 where it is no convolution or product,
            and in all phases of one but the last, which multiplies.
        nodes: all ONNX nodes that it computes.
        outputs: ONNX tensors that its outputs hold; empty for tensors inside a fused operator.
        reason: why this kernel.
        declined: which kernel families declined, and why.
    """

    index: int
    name: str
    op: str
    kernel: str
    tasks: int
    macs: int
    nodes: tuple[str, ...]
    outputs: tuple[str, ...]
    reason: str
    declined: tuple[str, ...]


@dataclass(frozen=True)
class Compiled:
    """What the compiler makes of a model; ``edgewright.deploy.bundle`` links it.

    Attributes:
        name: a C identifier.
        inputs: what the model takes, in order.
        outputs: what it gives, in order.
        objects: relocatable ELF objects by file name.
        sources: C sources and headers by file name.
        weights: the bytes of ``weights.bin``.
        steps: kernel launches, in order.
        arena_bytes: memory of all intermediate tensors.
        scratch_bytes: scratch memory of one thread.
        peak_live_bytes: the largest sum of intermediate tensors alive at once.
        stage_seconds: wall time of each stage.
        device: what runs on a GPU; None where the objects are all the code.
    """

    name: str
    target: Target
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    objects: dict[str, bytes]
    sources: dict[str, str]
    weights: bytes | bytearray
    steps: tuple[Step, ...]
    arena_bytes: int
    scratch_bytes: int
    peak_live_bytes: int
    stage_seconds: dict[str, float]
    device: DeviceProgram | None = None


def lower(
    model: onnx.ModelProto,
    target: Target,
    *,
    name: str,
    options: Options | None = None,
    progress: Progress = silent,
) -> Compiled:
    """Lower a prepared model: import, choose, lower, plan, emit.

    Args:
        model: static shapes; see ``edgewright.compiler.onnx_passes.prepare``.
        target: the core to compile for.
        name: the model's name, a C identifier.
        options: what the user asks for.
        progress: told of each stage.

    Raises:
        TargetError: LLVM does not know the CPU or a feature.
        UsageError: no kernel uses the algorithm that the options force.
        UnsupportedModelError: an operator cannot be lowered.
    """
    from edgewright.compiler.build import build_objects, check_target
    from edgewright.compiler.emit_c import emit_header, emit_model
    from edgewright.compiler.import_model import import_model
    from edgewright.compiler.memory_plan import plan_memory
    from edgewright.compiler.relax_passes.assign_kernels import assign_kernels
    from edgewright.compiler.step_names import original_names

    options = options or Options()
    clock = StageClock(progress)
    with clock.stage("import"):
        check_target(target)
        imported = import_model(model)
    with clock.stage("choose"):
        assigned = assign_kernels(imported, target, _limits(options), options.records)
    with clock.stage("lower"):
        lowered = _lowered(assigned, target, name)
        program = lowered.program
    with clock.stage("plan"):
        plan = plan_memory(program.launches)
        steps = _steps(assigned, lowered, original_names(model))
    with clock.stage("build"):
        objects = build_objects(program.kernels, target)
    with clock.stage("emit"):
        inputs, outputs = tensor_specs(model.graph.input), tensor_specs(model.graph.output)
        sources = {
            f"{name}.h": emit_header(name, inputs, outputs, plan),
            "model.c": emit_model(
                name, program, plan, steps, inputs, outputs, embed_weights=options.embed_weights
            ),
        }
    return Compiled(
        name=name,
        target=target,
        inputs=inputs,
        outputs=outputs,
        objects=objects,
        sources=sources,
        weights=program.weights,
        steps=tuple(steps),
        arena_bytes=plan.arena_bytes,
        scratch_bytes=plan.scratch_bytes,
        peak_live_bytes=plan.peak_live_bytes,
        stage_seconds=clock.seconds,
    )


def _limits(options: Options) -> Any:
    from edgewright.schedules.kernel import Limits
    from edgewright.schedules.select import CONV_ALGORITHMS

    if options.conv_algorithm != "auto" and options.conv_algorithm not in CONV_ALGORITHMS:
        raise UsageError(
            f"no kernel computes a convolution by '{options.conv_algorithm}'",
            rule=f"This version has {', '.join(CONV_ALGORITHMS)}.",
            remedy="Leave --conv-algorithm at auto, or name one of these.",
        )
    return Limits(options.conv_algorithm, options.max_error, options.max_workspace_bytes)


@dataclass(frozen=True)
class _Lowered:
    """The launches; the rule and the ONNX nodes of each kernel that is not ours."""

    program: Program
    rules: dict[str, str]
    nodes: dict[str, tuple[str, ...]]


def _lowered(assigned: Assigned, target: Target, name: str) -> _Lowered:
    import tvm

    from edgewright.compiler.pipeline import legalize_passes
    from edgewright.compiler.program import read_program
    from edgewright.compiler.step_names import fused_nodes
    from edgewright.schedules.rules import schedule_prim_func

    module = assigned.module
    nodes: dict[str, tuple[str, ...]] = {}
    with tvm.target.Target(target.tvm_dict()):
        for tvm_pass in legalize_passes():
            module = tvm_pass(module)
            if tvm_pass.info.name == "FuseOps":
                nodes = fused_nodes(module, assigned.nodes)
    rules: dict[str, str] = {}

    def schedule(kernel: str, func: Any) -> Any:
        if kernel in assigned.kernels:
            return func
        scheduled = schedule_prim_func(func, target)
        rules[kernel] = scheduled.rule
        return scheduled.func

    return _Lowered(read_program(module, name, schedule), rules, nodes)


def _steps(
    assigned: Assigned, lowered: _Lowered, originals: Mapping[str, tuple[str, ...]]
) -> list[Step]:
    steps: list[Step] = []
    for launch in lowered.program.launches:
        result, written = launch.result, launch.writes[0]
        known = result in assigned.uses or result in assigned.nodes
        if written.kind == "output" and not known:
            result = assigned.outputs[written.index]
        nodes = lowered.nodes.get(launch.kernel, ())
        if result in assigned.nodes:
            nodes = (assigned.nodes[result],)
        rule = lowered.rules.get(launch.kernel)
        use = assigned.uses.get(result) or KernelUse(
            op=launch.kernel or "copy",
            nodes=nodes,
            outputs=(),
            macs=0,
            reason=f"scheduled by the rule {rule}" if rule else "a copy",
            declined=(),
        )
        names = [name for node in use.nodes for name in originals.get(node, (node,))]
        computed = tuple(dict.fromkeys(names))
        for phase, tasks in enumerate(launch.tasks, 1):
            steps.append(
                Step(
                    index=len(steps),
                    name=computed[0] if computed else launch.kernel or launch.result,
                    op=use.op,
                    kernel=launch.kernel or "copy",
                    tasks=tasks,
                    macs=use.macs if phase == len(launch.tasks) else 0,
                    nodes=computed,
                    outputs=use.outputs,
                    reason=use.reason,
                    declined=use.declined,
                )
            )
    return steps


def tensor_specs(values: Any) -> tuple[TensorSpec, ...]:
    """A graph's inputs or outputs, of static shapes."""
    import onnx

    return tuple(
        TensorSpec(
            value.name,
            tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim),
            str(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)),
        )
        for value in values
    )
