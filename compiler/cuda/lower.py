"""A prepared model to CUDA C, a memory plan, C tables and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.compiler.lower import Compiled, Step, tensor_specs
from edgewright.compiler.options import Options
from edgewright.spec.errors import UsageError
from edgewright.spec.gpu import Gpu
from edgewright.spec.progress import Progress, StageClock, silent
from edgewright.spec.target import Target

if TYPE_CHECKING:
    import onnx

    from edgewright.compiler.cuda.device_code import DeviceLaunch
    from edgewright.compiler.cuda.device_program import DeviceProgram
    from edgewright.compiler.program import Launch, Program
    from edgewright.schedules.rules import Scheduled

__all__ = ["lower_for_gpu"]


@dataclass(frozen=True)
class _Lowered:
    """The launches, and what is known of each function by its name.

    Attributes:
        program: launches on tensors.
        launches: grid, block and parameters, by kernel.
        scheduled: the rule that claimed each function.
        macs: multiply-accumulates of each function.
        nodes: ONNX nodes of each function that is called once.
        results: ONNX node of each Relax variable.
    """

    program: Program
    launches: dict[str, DeviceLaunch]
    scheduled: dict[str, Scheduled]
    macs: dict[str, int]
    nodes: dict[str, tuple[str, ...]]
    results: dict[str, str]


def lower_for_gpu(
    model: onnx.ModelProto,
    host: Target,
    *,
    gpu: Gpu,
    name: str,
    options: Options | None = None,
    progress: Progress = silent,
) -> Compiled:
    """Lower a prepared model for a GPU: import, fuse, schedule, plan, emit.

    Args:
        model: static shapes; see ``edgewright.compiler.onnx_passes.prepare``.
        host: the CPU beside the GPU.
        gpu: the architecture.
        name: the model's name, a C identifier.
        options: what the user asks for; of algorithms only ``auto`` is there.
        progress: told of each stage.

    Raises:
        UsageError: an option has no meaning on a GPU.
        UnsupportedModelError: an operator cannot be lowered.
    """
    from edgewright.compiler.cuda.emit_model import emit_device_model
    from edgewright.compiler.emit_c import emit_header
    from edgewright.compiler.memory_plan import plan_memory
    from edgewright.compiler.step_names import original_names

    options = options or Options()
    _check_options(options)
    clock = StageClock(progress)
    with clock.stage("lower"):
        lowered = _lowered(model, gpu)
        program = lowered.program
    with clock.stage("plan"):
        plan = plan_memory(program.launches)
        steps = _steps(lowered, original_names(model))
    with clock.stage("build"):
        device = _device_program(lowered, gpu)
    with clock.stage("emit"):
        inputs, outputs = tensor_specs(model.graph.input), tensor_specs(model.graph.output)
        embed = options.embed_weights
        tables = emit_device_model(
            *(name, program, plan, lowered.launches, device, steps, inputs, outputs),
            embed_weights=embed,
        )
        sources = {f"{name}.h": emit_header(name, inputs, outputs, plan), "model.c": tables}
    return Compiled(
        name=name,
        target=host,
        inputs=inputs,
        outputs=outputs,
        objects={},
        sources=sources,
        weights=program.weights,
        steps=tuple(steps),
        arena_bytes=plan.arena_bytes,
        scratch_bytes=0,
        peak_live_bytes=plan.peak_live_bytes,
        stage_seconds=clock.seconds,
        device=device,
    )


def _check_options(options: Options) -> None:
    """Refuse by name what is not there for GPUs yet."""
    given = {
        "--conv-algorithm": options.conv_algorithm != "auto",
        "--max-error": options.max_error is not None,
        "--max-workspace": options.max_workspace_bytes is not None,
        "--records": options.records is not None,
    }
    for option, is_given in given.items():
        if is_given:
            raise UsageError(
                f"{option} was given for a GPU",
                rule="There each operator has one kernel, which takes no working memory.",
                remedy="Leave it out, or compile for a CPU.",
            )


def _lowered(model: onnx.ModelProto, gpu: Gpu) -> _Lowered:
    import tvm

    from edgewright.compiler.cuda.device_code import lower_function
    from edgewright.compiler.import_model import import_model
    from edgewright.compiler.pipeline import legalize_passes
    from edgewright.compiler.program import CutKernel, read_program
    from edgewright.compiler.step_names import fused_nodes
    from edgewright.schedules.cuda import schedule_for_gpu
    from edgewright.schedules.cuda.macs import count_macs

    imported = import_model(model)
    results = {str(var.name): node for var, node in imported.nodes.items()}
    module, nodes = imported.module, {}
    # For a CPU: TOPI's own code for GPUs binds threads, and would leave nothing to the rules.
    with tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-unknown-linux-gnu"}):
        for tvm_pass in legalize_passes():
            module = tvm_pass(module)
            if tvm_pass.info.name == "FuseOps":
                nodes = fused_nodes(module, results)
    launches: dict[str, DeviceLaunch] = {}
    scheduled: dict[str, Scheduled] = {}
    macs: dict[str, int] = {}

    def schedule(kernel: str, func: Any) -> Any:
        macs[kernel] = count_macs(func)
        scheduled[kernel] = schedule_for_gpu(func, gpu)
        return scheduled[kernel].func

    def cut(kernel: str, func: Any) -> CutKernel:
        made = lower_function(kernel, func, gpu)
        launches.update({launch.kernel: launch for launch in made.launches})
        functions = {launch.kernel: made.kernels[launch.kernel] for launch in made.launches}
        blocks = tuple(launch.blocks for launch in made.launches)
        return CutKernel(functions, blocks, made.intermediates)

    program = read_program(module, "", schedule, cut)
    return _Lowered(program, launches, scheduled, macs, nodes, results)


def _device_program(lowered: _Lowered, gpu: Gpu) -> DeviceProgram:
    from edgewright.compiler.cuda.device_code import emit_cuda
    from edgewright.compiler.cuda.device_program import DeviceProgram, StepLaunch

    copy = StepLaunch("", (0, 0, 0), (0, 0, 0))
    symbols = [symbol for launch in lowered.program.launches for symbol in launch.symbols]
    made = [lowered.launches[symbol] if symbol else None for symbol in symbols]
    launches = tuple(StepLaunch(m.kernel, m.grid, m.block) if m else copy for m in made)
    return DeviceProgram(gpu, emit_cuda(lowered.program.kernels, gpu), launches)


def _steps(lowered: _Lowered, originals: Mapping[str, tuple[str, ...]]) -> list[Step]:
    """One step for each launch of a kernel; the last of a function's has its products.

    Of a fused group the last node is not named: FuseOps renames what a function returns.
    """
    steps: list[Step] = []
    for launch in lowered.program.launches:
        nodes = _nodes_of(launch, lowered)
        computed = tuple(
            dict.fromkeys(name for node in nodes for name in originals.get(node, (node,)))
        )
        rule = lowered.scheduled.get(launch.kernel)
        for phase, (symbol, blocks) in enumerate(zip(launch.symbols, launch.tasks, strict=True), 1):
            last = phase == len(launch.symbols)
            steps.append(
                Step(
                    index=len(steps),
                    name=computed[0] if computed else launch.kernel or launch.result,
                    op=launch.kernel or "copy",
                    kernel=symbol or "copy",
                    tasks=blocks,
                    macs=lowered.macs.get(launch.kernel, 0) if last else 0,
                    nodes=computed,
                    outputs=(),
                    reason=f"scheduled by the rule {rule.rule}" if rule else "a copy",
                    declined=rule.declined if rule else (),
                )
            )
    return steps


def _nodes_of(launch: Launch, lowered: _Lowered) -> tuple[str, ...]:
    if launch.result in lowered.results and not launch.kernel.startswith("fused_"):
        return (lowered.results[launch.result],)
    return lowered.nodes.get(launch.kernel, ())
