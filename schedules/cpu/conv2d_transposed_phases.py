"""A transposed convolution as dense convolutions: one for each phase of the output.

The output positions of a *phase* are those with equal remainder modulo the stride. Along one axis,
with stride s, padding p, dilation d and kernel extent K, output ``s*q + phase`` collects the taps
k with ``phase + p - k*d`` a multiple of s, each from input ``q + (phase + p - k*d) / s``: a
convolution of stride 1 with few of the kernel's taps, in reverse order. Nothing is multiplied by
the zeros that a stride inserts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from edgewright.schedules.cpu.conv2d_direct_config import Geometry
from edgewright.schedules.workload import Conv2dTransposedWorkload, Conv2dWorkload

__all__ = ["PhaseBlock", "PhaseGeometry", "PhaseRun", "phase_blocks", "phase_runs", "phase_taps"]


@dataclass(frozen=True)
class PhaseRun:
    """Consecutive phases of one axis that need equal code.

    Attributes:
        first: the first phase.
        count: how many there are.
        taps: taps of each; 0 where the stride skips the kernel.
        dilation: input positions from one tap to the next.
        pad: input positions that the first output's first tap lies before the input; negative
            where it lies inside.
        outputs: output positions of each phase.
    """

    first: int
    count: int
    taps: int
    dilation: int
    pad: int
    outputs: int


@dataclass(frozen=True)
class PhaseBlock:
    """Phases of both axes that need equal code, rows times columns."""

    rows: PhaseRun
    columns: PhaseRun

    @property
    def taps(self) -> int:
        """Taps of each phase."""
        return self.rows.taps * self.columns.taps

    @property
    def count(self) -> int:
        """Phases."""
        return self.rows.count * self.columns.count

    def phases(self) -> Iterator[tuple[int, int]]:
        """The phases of rows and columns, in the order of their packed weights."""
        for i in range(self.rows.count):
            for j in range(self.columns.count):
                yield self.rows.first + i, self.columns.first + j

    def convolution(self, w: Conv2dTransposedWorkload) -> Conv2dWorkload:
        """The convolution that each phase is; one of a single tap where there are none."""
        rows, columns = self.rows, self.columns
        reach_h = rows.dilation * (max(1, rows.taps) - 1) + 1
        reach_w = columns.dilation * (max(1, columns.taps) - 1) + 1
        return Conv2dWorkload(
            w.batch,
            w.in_channels,
            w.in_h,
            w.in_w,
            w.out_channels,
            max(1, rows.taps),
            max(1, columns.taps),
            pad_top=rows.pad,
            pad_left=columns.pad,
            pad_bottom=rows.outputs - 1 + reach_h - w.in_h - rows.pad,
            pad_right=columns.outputs - 1 + reach_w - w.in_w - columns.pad,
            dilation_h=rows.dilation,
            dilation_w=columns.dilation,
            groups=w.groups,
            epilogue=w.epilogue,
        )


@dataclass(frozen=True)
class PhaseGeometry(Geometry):
    """A phase as the direct convolution's schedule sees it."""

    @property
    def flat(self) -> bool:
        """Never one row: outputs that are neighbours in a phase are none in memory."""
        return False

    @property
    def packed_elems(self) -> int:
        """Packed weights of one phase."""
        return self.workload.groups * self.weight_elements


def phase_taps(phase: int, *, kernel: int, stride: int, pad: int, dilation: int) -> list[int]:
    """Kernel positions that reach a phase, in the order of the inputs that they read."""
    return [k for k in reversed(range(kernel)) if (phase + pad - k * dilation) % stride == 0]


def phase_runs(
    *, out: int, kernel: int, stride: int, pad: int, dilation: int
) -> tuple[PhaseRun, ...]:
    """Cuts the phases of an axis of ``out`` output positions into runs of equal code."""
    runs: list[PhaseRun] = []
    for phase in range(min(stride, out)):
        taps = phase_taps(phase, kernel=kernel, stride=stride, pad=pad, dilation=dilation)
        reads = [(phase + pad - k * dilation) // stride for k in taps]
        step = reads[1] - reads[0] if len(reads) > 1 else 1
        before = -reads[0] if reads else 0
        run = PhaseRun(phase, 1, len(taps), step, before, math.ceil((out - phase) / stride))
        last = runs[-1] if runs else None
        if last is not None and _code(last) == _code(run):
            runs[-1] = PhaseRun(last.first, last.count + 1, *_code(last))
        else:
            runs.append(run)
    return tuple(runs)


def _code(run: PhaseRun) -> tuple[int, int, int, int]:
    return run.taps, run.dilation, run.pad, run.outputs


def phase_blocks(w: Conv2dTransposedWorkload) -> tuple[PhaseBlock, ...]:
    """All phases, those of equal code together."""
    rows = phase_runs(
        out=w.out_h, kernel=w.kernel_h, stride=w.stride_h, pad=w.pad_top, dilation=w.dilation_h
    )
    columns = phase_runs(
        out=w.out_w, kernel=w.kernel_w, stride=w.stride_w, pad=w.pad_left, dilation=w.dilation_w
    )
    return tuple(PhaseBlock(*pair) for pair in product(rows, columns))
