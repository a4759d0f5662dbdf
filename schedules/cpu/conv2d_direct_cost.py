"""Estimated cycles of the direct convolution's configurations."""

from __future__ import annotations

from collections.abc import Iterator

from edgewright.schedules.cost import TILE_CYCLES, step_cycles, tiles_of
from edgewright.schedules.cpu.conv2d_direct_config import Conv2dDirectConfig, Geometry
from edgewright.schedules.streams import LOOP_INSTRUCTIONS, load_sizes, stream_cycles
from edgewright.spec.target import Target

__all__ = ["estimate"]


def estimate(geometry: Geometry, config: Conv2dDirectConfig, target: Target) -> float:
    """Estimated cycles of the whole convolution."""
    w = geometry.workload
    steps = geometry.group_in * geometry.taps
    chunks = geometry.group_in // config.chunk_ic
    total = 0.0
    for blocks, share, oc_tiles in _oc_tiles(geometry, config.tile_oc):
        resident = config.chunk_ic * geometry.taps * blocks * geometry.lanes * 4
        for width, ow_tiles in tiles_of(geometry.columns, config.tile_ow):
            step = step_cycles(
                target, blocks, width, weight_bytes_resident=resident, shared_steps=share
            )
            if geometry.streams:
                step += _stream_cycles(geometry, config, blocks, width)
            # Start and end of a tile touch every accumulator; each chunk more writes and reads it.
            moves = blocks * width * (2 + (1 if w.epilogue.residual else 0) + 2 * (chunks - 1))
            total += oc_tiles * ow_tiles * (steps * step + moves + TILE_CYCLES * chunks)
    return total * w.batch * w.groups * geometry.rows


def _stream_cycles(
    geometry: Geometry, config: Conv2dDirectConfig, blocks: int, width: int
) -> float:
    """Cycles of a step beside its multiply-adds."""
    w, lanes = geometry.workload, geometry.lanes
    if geometry.nchw:
        whole, rest = divmod(geometry.row_span(width), lanes)
        inputs = (len(load_sizes(whole)) + (rest > 0) + LOOP_INSTRUCTIONS) / w.kernel_w
    else:
        inputs = (width if w.stride_w > 1 else len(load_sizes(width))) / lanes
        inputs += LOOP_INSTRUCTIONS / config.unroll_ic
    return stream_cycles(blocks, width, inputs)


def _oc_tiles(geometry: Geometry, tile_oc: int) -> Iterator[tuple[int, int, int]]:
    """Tiles of output channels as (blocks, input channels that share the last one's, count)."""
    shared = geometry.shared_ic
    full = (geometry.group_blocks - (shared > 1)) // tile_oc
    if full:
        yield tile_oc, 1, full
    if geometry.group_blocks - full * tile_oc:
        yield geometry.group_blocks - full * tile_oc, shared, 1
