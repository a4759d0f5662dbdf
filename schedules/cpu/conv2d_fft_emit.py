"""Emits the FFT convolution's schedule, which :mod:`.conv2d_fft` describes."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.conv2d_fft_config import FftGeometry
from edgewright.schedules.cpu.conv2d_fft_multiply import Multiplication
from edgewright.schedules.cpu.conv2d_fft_transform import (
    FftBuffers,
    ForwardTransform,
    InverseTransform,
    TilePlace,
    programs,
)
from edgewright.schedules.cpu.conv2d_winograd_program import Constants

__all__ = ["FftEmitter", "transform_constants"]


def transform_constants(geometry: FftGeometry, simd: mk.Simd) -> Constants:
    """The coefficients of a kernel's transforms."""
    return Constants(programs(geometry), simd)


class FftEmitter:
    """Emits the schedule of one kernel.

    Args:
        geometry: the workload and its tile sizes.
        simd: the instruction set's vectors.
    """

    def __init__(self, geometry: FftGeometry, simd: mk.Simd) -> None:
        self.g = geometry
        self.w = geometry.workload
        self.config = geometry.config
        self.lanes = geometry.lanes
        self.constants = transform_constants(geometry, simd)
        self.multiplication = Multiplication(geometry, simd, self.constants.elements)
        self.forward = ForwardTransform(geometry, self.constants)
        self.inverse = InverseTransform(geometry, self.constants, simd)

    def emit(self) -> None:
        """The whole function: x, w, b where biased, r where residual, scratch, y."""
        g = self.g
        buffers = self._declare()
        blocks_across = g.cols.tiles // self.config.block_cols
        with builder.parallel(0, g.tasks) as task:
            self.constants.load(buffers.weights)
            number = builder.Bind(task // g.oc_groups)
            group = task % g.oc_groups
            row = number // blocks_across % (g.rows.tiles // self.config.block_rows)
            place = TilePlace(
                builder.Bind(number // g.tile_blocks),
                builder.Bind(row * self.config.block_rows),
                builder.Bind(number % blocks_across * self.config.block_cols),
            )
            if g.depthwise:
                self._depthwise(buffers, place, builder.Bind(group))
            else:
                self._chunks(buffers, place, group)

    def _declare(self) -> FftBuffers:
        g, w, lanes = self.g, self.w, self.lanes
        x = mk.declare("x", (w.batch, g.in_blocks, w.in_h, w.in_w, lanes))
        ahead = self.config.prefetch_bytes // 4
        weights = mk.declare("w", (self.constants.elements + g.weight_elements + ahead,))
        bias = mk.declare("b", (g.out_blocks * lanes,)) if w.epilogue.bias else None
        out_shape = (w.batch, g.out_blocks, w.out_h, w.out_w, lanes)
        residual = mk.declare("r", out_shape) if w.epilogue.residual else None
        scratch = mk.declare("scratch", (g.scratch_elements,))
        y = mk.declare("y", out_shape)
        inputs = g.product_elements + g.strip_elements
        return FftBuffers(x, weights, bias, residual, scratch, y, 0, g.product_elements, inputs)

    def _depthwise(self, buffers: FftBuffers, place: TilePlace, block: Any) -> None:
        """One task: a block of channels there and back."""
        self.forward.emit(buffers, place, block, 1)
        self.multiplication.emit_depthwise(buffers, block)
        self.inverse.emit(buffers, place, block, 1)

    def _chunks(self, buffers: FftBuffers, place: TilePlace, group: Any) -> None:
        """One task: chunks of output channels, and for each all chunks of input channels.

        Inputs that fit the scratch memory are transformed once, before the first chunk.
        """
        g, c = self.g, self.config
        if g.ic_chunks == 1:
            self.forward.emit(buffers, place, mk.index(0), g.in_blocks)
        chunks: Any = c.group_oc
        if g.oc_chunks % c.group_oc:
            chunks = tirx.min(mk.index(c.group_oc), g.oc_chunks - group * c.group_oc)
        with mk.index_loop(chunks, group * c.group_oc) as chunk:
            chunk = builder.Bind(chunk)
            oc_tiles: Any = min(c.chunk_oc, g.whole_oc_tiles)
            if g.whole_oc_tiles % c.chunk_oc and g.oc_chunks > 1:
                left = g.whole_oc_tiles - chunk * c.chunk_oc
                oc_tiles = builder.Bind(tirx.min(mk.index(c.chunk_oc), left))
            with mk.index_loop(g.ic_chunks) as ic_chunk:
                if g.ic_chunks > 1:
                    first = builder.Bind(ic_chunk * c.chunk_ic)
                    count = tirx.min(mk.index(c.chunk_ic), g.in_blocks - first)
                    self.forward.emit(buffers, place, first, count)
                self.multiplication.emit(buffers, chunk, ic_chunk, oc_tiles)
            blocks = oc_tiles * c.tile_oc + self._tail(chunk)
            first_block = builder.Bind(chunk * (c.chunk_oc * c.tile_oc))
            self.inverse.emit(buffers, place, first_block, blocks)

    def _tail(self, chunk: Any) -> Any:
        """Blocks of the tile of output channels that is not full, in the last chunk."""
        g = self.g
        if not g.tail_blocks or g.oc_chunks == 1:
            return g.tail_blocks
        return tirx.Select(chunk == g.oc_chunks - 1, mk.index(g.tail_blocks), mk.index(0))
