"""Instructions that a bundle executes for one inference on an emulated core.

Emulation says nothing about time, but which instructions are executed is a property of the program:
the counts are those of the real core, and the same in every run. They are never called latency.

The bundle's own ``selftest --count N`` runs 2 N inferences of the golden inputs on one thread;
those after the first N count, so whatever happens once (loading, the first touch of memory) does
not. With layers it runs N more with a mark after each step. A mark costs a layer about a hundred
scalar instructions, so the layers' sum is a little above the total, which comes from unmarked
inferences.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

from edgewright.deploy.bundle import BundleFolder
from edgewright.deploy.counting.counts import Counts, Mark
from edgewright.deploy.counting.emulator import CountingEmulator
from edgewright.deploy.cuda.device_report import refuse_gpu
from edgewright.deploy.manifest import LayerEntry
from edgewright.deploy.transport.transport import Completed
from edgewright.spec.errors import BundleError, ToolError, UsageError
from edgewright.spec.progress import Progress, silent
from edgewright.spec.target import CORES, Target

__all__ = ["SCHEMA_VERSION", "Cost", "LayerCost", "count_bundle"]

#: Raised by one whenever a reader of the previous version would misread the new one.
SCHEMA_VERSION = 1

#: Points that ``selftest`` marks besides its steps; as in deploy/runtime/selftest.c.
_BEGIN, _END = 0xFFFF, 0xFFFE
_MAX_INFERENCES = 1000


@dataclass(frozen=True)
class LayerCost:
    """Instructions of one layer, for one inference.

    Attributes:
        name: the first ONNX node it computes.
        op: its operator.
        kernel: the kernel's name.
        macs: multiply-accumulates that the operator is defined with; the kernel may do fewer.
        counts: executed instructions.
    """

    name: str
    op: str
    kernel: str
    macs: int
    counts: Counts


@dataclass(frozen=True)
class Cost:
    """Instructions of one inference. As JSON, a field is a key and a tuple is a list.

    Attributes:
        name: the model's name.
        cpu: the emulated core.
        emulator: the emulator and its version.
        threads: threads that shared the work: always 1.
        inferences: inferences that the counts are the mean of.
        macs: multiply-accumulates that the model's operators are defined with.
        counts: executed instructions.
        layers: those of each layer in the order they run, or empty if they were not asked for.
        outside_layers: what the runtime executes after the last layer; 0 without layers.
    """

    name: str
    cpu: str
    emulator: str
    threads: int
    inferences: int
    macs: int
    counts: Counts
    layers: tuple[LayerCost, ...] = ()
    outside_layers: Counts = field(default_factory=Counts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: every ``Counts`` with its total, and the version of this schema."""
        row = dataclasses.asdict(self)
        row["schema_version"] = SCHEMA_VERSION
        row["counts"] = self.counts.to_dict()
        row["outside_layers"] = self.outside_layers.to_dict()
        for layer, cost in zip(row["layers"], self.layers, strict=True):
            layer["counts"] = cost.counts.to_dict()
        return row


def count_bundle(
    bundle: BundleFolder,
    *,
    cpu: str | None = None,
    layers: bool = False,
    inferences: int = 1,
    progress: Progress = silent,
) -> Cost:
    """Count the instructions of one inference on the golden inputs, on one thread.

    Args:
        bundle: what to run; for AArch64 or 32-bit ARM.
        cpu: the core to emulate, a key of :data:`edgewright.spec.target.CORES`; None for the one
            that the bundle is for.
        layers: count each layer too.
        inferences: inferences that the counts are the mean of; they hardly ever differ.
        progress: told ``count`` and the fraction that is done.

    Raises:
        UsageError: an argument is out of range, or the bundle is for x86-64 or a GPU.
        BundleError: the bundle's selftest cannot count.
        ToolError: QEMU is absent, takes no plugins, or does not know the core; or the program
            failed.
    """
    if not 1 <= inferences <= _MAX_INFERENCES:
        raise UsageError(
            f"{inferences} inferences were asked for",
            rule=f"It is a number from 1 to {_MAX_INFERENCES}.",
        )
    refuse_gpu(bundle, "its work is not done by instructions of a CPU")
    target, steps = bundle.manifest.target, bundle.manifest.layers
    cpu_name = _core(target, cpu)
    emulator = CountingEmulator(target.arch, cpu_name)
    expected = inferences * (4 + (len(steps) + 2 if layers else 0))
    done, marks = emulator.run(
        bundle.selftest,
        ["--bundle", str(bundle.path), "--count-steps" if layers else "--count", str(inferences)],
        passed=lambda number: progress("count", number / expected),
    )
    _check(bundle, cpu_name, done, len(marks), expected)
    progress("count", 1.0)
    plain, marked = marks[2 * inferences : 4 * inferences], marks[4 * inferences :]
    pairs = zip(plain[::2], plain[1::2], strict=True)
    total = reduce(add, (_between(begin, end) for begin, end in pairs))
    parts = _split(marked, len(steps), inferences) if layers else []
    return Cost(
        name=bundle.manifest.name,
        cpu=cpu_name,
        emulator=emulator.version(),
        threads=1,
        inferences=inferences,
        macs=sum(step.macs for step in steps),
        counts=total.per(inferences),
        layers=tuple(map(_layer, steps, parts)),
        outside_layers=parts[-1] if parts else Counts(),
    )


def _core(target: Target, cpu: str | None) -> str:
    """QEMU's name of the core to emulate."""
    fitting = sorted(core.name for core in CORES.values() if core.arch == target.arch)
    if not fitting:
        raise UsageError(
            f"the bundle is for {target.name} ({target.arch})",
            rule="Instructions are counted for AArch64 and 32-bit ARM.",
            remedy="Compile the model for such a core, for instance --target cortex-a72.",
        )
    if cpu is None:
        return target.qemu_cpu or "max"
    if cpu not in fitting:
        raise UsageError(
            f"the core '{cpu}' was asked for, and the bundle is for {target.name} ({target.arch})",
            rule=f"Cores of that architecture are {', '.join(fitting)}.",
        )
    return CORES[cpu].qemu_cpu


def _check(bundle: BundleFolder, cpu: str, done: Completed, passed: int, expected: int) -> None:
    if "unknown argument '--count" in done.stderr:
        raise BundleError(
            f"the selftest of '{bundle.path}' cannot count",
            rule="It is older than `edgewright cost`.",
            remedy="Compile the model again.",
        )
    if done.status != 0:
        raise ToolError(
            f"the bundle's selftest failed on an emulated {cpu} ({done.why})",
            remedy="If an instruction was illegal, name the core that the bundle is for with "
            "--cpu. Else compile the model again.",
        )
    if passed != expected:
        raise ToolError(
            f"the bundle's selftest passed {passed} marks, not {expected}",
            remedy="Compile the model again.",
        )


def _between(begin: Mark, end: Mark) -> Counts:
    if (begin.point, end.point) != (_BEGIN, _END):
        raise _disordered()
    return end.counts - begin.counts


def _split(marks: Sequence[Mark], num_steps: int, inferences: int) -> list[Counts]:
    """Counts of each step, and last of what follows them: means over the inferences."""
    points = [_BEGIN, *range(num_steps), _END]
    sums = [Counts()] * (len(points) - 1)
    for first in range(0, len(marks), len(points)):
        run = marks[first : first + len(points)]
        if [mark.point for mark in run] != points:
            raise _disordered()
        parts = [after.counts - before.counts for before, after in itertools.pairwise(run)]
        sums = [a + b for a, b in zip(sums, parts, strict=True)]
    return [counts.per(inferences) for counts in sums]


def _layer(step: LayerEntry, counts: Counts) -> LayerCost:
    return LayerCost(step.name, step.op, step.kernel, step.macs, counts)


def _disordered() -> ToolError:
    return ToolError(
        "the bundle's selftest passed its marks in another order than the manifest's layers",
        remedy="Compile the model again.",
    )
