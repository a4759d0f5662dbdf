"""Products of a direct convolution on blocked activations, read through streams.

::

    for block of input channels: for column i: v[i] = x[block, column i]      one instruction for 4
      for channel u of the block: for t, i: tile[t, i] += w[u, t] * v[i][u]   w: one for 4
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgewright.schedules import microkernel as mk
from edgewright.schedules.streams import (
    LANES,
    StepRegisters,
    VectorStream,
    lane_steps,
    load_sizes,
    multiply_steps,
)
from edgewright.schedules.workload import Conv2dWorkload

__all__ = ["BlockedStreams"]


class BlockedStreams:
    """Emits the products of kernel taps through streams.

    Args:
        workload: the convolution.
        x: the input.
        weights: the packed weights.
        runs: all runs of column tiles.
    """

    def __init__(
        self, workload: Conv2dWorkload, x: Any, weights: Any, runs: Sequence[mk.ColumnTiles]
    ) -> None:
        self.w = workload
        self.inputs, self.weights = VectorStream(x), VectorStream(weights)
        taps = [tap for run in runs for tap in mk.tap_runs(run, workload.kernel_w)]
        self.steps = StepRegisters({self._last_step(len(columns)) for _, _, columns in taps})

    def _last_step(self, columns: int) -> int:
        """Elements from the inputs of a block's last load to those of the next block's first."""
        plane = self.w.in_h * self.w.in_w * LANES
        if self.w.stride_w > 1:
            return plane
        return plane - (columns - load_sizes(columns)[-1]) * LANES

    def start(self, first_input: tuple[Any, ...], first_weight: Any) -> None:
        """Points to a tap's first products: indices of the input and of the packed weights."""
        self.weights.start((first_weight,))
        self.inputs.start(first_input)

    def emit(
        self, tile: mk.RegisterTile, columns: Sequence[int], channels: int, unroll: int
    ) -> None:
        """All products of one kernel tap.

        Args:
            tile: the sums.
            columns: output columns that the tap touches, neighbours.
            channels: input channels.
            unroll: input channels in one turn of the innermost loop.
        """
        blocks, rest = divmod(channels, LANES)
        turn = max(1, min(blocks, unroll // LANES))
        if blocks:
            with mk.index_loop(blocks // turn):
                for _ in range(turn):
                    self._block(tile, columns, LANES)
        for _ in range(blocks % turn):
            self._block(tile, columns, LANES)
        if rest:
            self._block(tile, columns, rest)

    def _block(self, tile: mk.RegisterTile, columns: Sequence[int], channels: int) -> None:
        """One block of input channels, of which ``channels`` exist."""
        stride = self.w.stride_w
        last_step = self.steps.get(self._last_step(len(columns)))
        if stride == 1:
            sources = self.inputs.read(len(columns))
        else:
            sources = [self.inputs.peek((i - columns[0]) * stride * LANES) for i in columns]
        steps = lane_steps(list(zip(columns, sources, strict=True)), channels)
        multiply_steps(tile, steps, self.weights, self.inputs, last_step)
