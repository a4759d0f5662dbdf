"""Fully connected layer: plain row-major ``y[rows, out] = x[rows, in] @ w.T``.

Schedule (register tile of ``tile_out`` vectors of outputs x ``tile_rows`` rows)::

    before                          after
    for row, out:                   parallel task: (tile of outputs, rows)
      for i:                          for row tile: tile = bias
        y += x * w                      for i: tile += x[row, i] * w[i]     weights in one stream
                                        y = activation(tile + residual)

A single row is bound by the weights' way from memory: its tile holds several partial sums, so that
the latency of a multiply-add hides behind the stream. The tail of the outputs is stored lane by
lane; nothing is read or written beyond the tensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import TILE_CYCLES, core_rates, split_tasks, step_cycles, tile_fits
from edgewright.schedules.kernel import Declined, Kernel, Offer
from edgewright.schedules.names import dense_stem, epilogue_stem, kernel_name
from edgewright.schedules.streams import (
    AlternatingStreams,
    VectorStream,
    imported_loads,
    load_bytes,
    multiply_steps,
    stream_tile_fits,
)
from edgewright.schedules.workload import DenseWorkload
from edgewright.spec.target import Target

__all__ = ["DenseConfig", "get_configs", "offer"]

FAMILY = "dense"
#: Input features in one turn of the innermost loop.
UNROLL_IN = 4
#: Vectors of input features in one turn of the innermost loop of a single row, through streams.
UNROLL_VECTORS = 4
#: Most vectors of outputs in a register tile; more make too few tasks.
MAX_TILE_OUT = 8


@dataclass(frozen=True)
class DenseConfig:
    """Tile sizes.

    Attributes:
        tile_out: vectors of outputs in the register tile.
        tile_rows: rows in the register tile.
        parts: partial sums of each output; input features take turns.
        chunk_rows: rows of one task, a multiple of ``tile_rows`` or all of them.
    """

    tile_out: int
    tile_rows: int
    parts: int = 1
    chunk_rows: int = 1

    def stem(self) -> str:
        """The tile in a kernel's name."""
        return f"o{self.tile_out}r{self.tile_rows}p{self.parts}c{self.chunk_rows}"


@cache
def get_configs(target: Target) -> tuple[DenseConfig, ...]:
    """Register tiles that the instruction set holds without spilling."""
    rates, streams = core_rates(target.isa), mk.simd_of(target).streams

    def fits(tile_out: int, tile_rows: int) -> bool:
        if not streams:
            return tile_fits(target.isa, tile_out, tile_rows)
        inputs = UNROLL_VECTORS if tile_rows == 1 else tile_rows
        return stream_tile_fits(target.isa, tile_out, tile_rows, inputs)

    configs = []
    for tile_out in range(1, MAX_TILE_OUT + 1):
        for tile_rows in range(1, rates.max_accumulators + 1):
            if fits(tile_out, tile_rows):
                accumulators = tile_out * tile_rows
                room = rates.max_accumulators // accumulators
                wanted = math.ceil(rates.fma * rates.latency / accumulators)
                parts = max(1, min(room, UNROLL_IN, wanted))
                configs.append(DenseConfig(tile_out, tile_rows, 1 << (parts.bit_length() - 1)))
    return tuple(configs)


def offer(workload: DenseWorkload, target: Target) -> Offer | Declined:
    """The best kernel of a fully connected layer, or why there is none."""
    if workload.epilogue.refusal:
        return Declined(FAMILY, workload.epilogue.refusal)
    if min(workload.rows, workload.in_features, workload.out_features) < 1:
        return Declined(FAMILY, "a dimension is empty")
    best, *others = _ranked(workload, target)
    make = partial(_offer, workload, target)
    return replace(make(*best), others=lambda: [make(*other) for other in others])


def _offer(workload: DenseWorkload, target: Target, cost: float, config: DenseConfig) -> Offer:
    name = kernel_name(
        "dense",
        config.stem(),
        target.isa.name,
        dense_stem(workload),
        epilogue_stem(workload.epilogue),
    )
    build = partial(build_kernel, workload, config, target, name, cost)
    return Offer(algorithm=FAMILY, name=name, cost=cost, build=build, config=config.stem())


@lru_cache(maxsize=4096)
def _ranked(workload: DenseWorkload, target: Target) -> tuple[tuple[float, DenseConfig], ...]:
    """Configurations by estimated cycles, with their task splits."""
    w, lanes = workload, target.isa.vec_lanes
    blocks = math.ceil(w.out_features / lanes)
    ranked = [
        (_cycles(w, config, target), -config.tile_out, config.tile_rows, config)
        for config in get_configs(target)
        if config.tile_out <= blocks and config.tile_rows <= w.rows
    ]
    ranked.sort(key=lambda entry: entry[:3])
    found = []
    for cycles, _, _, config in ranked:
        row_tiles = math.ceil(w.rows / config.tile_rows)
        out_tiles = math.ceil(blocks / config.tile_out)
        split = split_tasks(target, units=row_tiles, outer=out_tiles, cycles=cycles)
        rows = w.rows if split.chunks == 1 else split.size * config.tile_rows
        found.append((cycles, replace(config, chunk_rows=rows)))
    return tuple(found)


def _cycles(workload: DenseWorkload, config: DenseConfig, target: Target) -> float:
    """Estimated cycles; every row tile streams the weights once, from memory if they are many."""
    w, lanes, rates = workload, target.isa.vec_lanes, core_rates(target.isa)
    blocks = math.ceil(w.out_features / lanes)
    resident = w.in_features * config.tile_out * lanes * 4
    total = 0.0
    for size, count in (
        (config.tile_rows, w.rows // config.tile_rows),
        (w.rows % config.tile_rows, 1),
    ):
        if not size or not count:
            continue
        step = step_cycles(target, config.tile_out, size, weight_bytes_resident=resident)
        waits = rates.latency / config.parts if step == rates.latency else step
        stream = config.tile_out * lanes * 4 / rates.far_bytes
        step = max(stream, waits, config.tile_out * size / rates.fma)
        ends = 2.0 * config.tile_out * size * config.parts + TILE_CYCLES
        total += count * math.ceil(blocks / config.tile_out) * (w.in_features * step + ends)
    return total


def pack_weights(
    weights: npt.NDArray[np.float32], tile_out: int, lanes: int
) -> npt.NDArray[np.float32]:
    """Packs ``(out, in)`` weights tile by tile as ``(in, outputs of the tile)``, padded with 0."""
    out_features, in_features = weights.shape
    blocks = math.ceil(out_features / lanes)
    padded = np.zeros((blocks * lanes, in_features), np.float32)
    padded[:out_features] = weights
    step = tile_out * lanes
    tiles = [padded[first : first + step].T.ravel() for first in range(0, len(padded), step)]
    return np.ascontiguousarray(np.concatenate(tiles))


def pack_bias(bias: npt.NDArray[np.float32], lanes: int) -> npt.NDArray[np.float32]:
    """Pads a vector over outputs with zeros to whole vectors."""
    packed = np.zeros(math.ceil(bias.size / lanes) * lanes, np.float32)
    packed[: bias.size] = bias.reshape(-1)
    return packed


@lru_cache(maxsize=1024)
def build_kernel(
    workload: DenseWorkload, config: DenseConfig, target: Target, name: str, cost: float
) -> Kernel:
    """Generates the kernel; its parameters are x, w, b where biased, r where residual, y."""
    lanes = target.isa.vec_lanes
    emitter = _Emitter(workload, config, mk.simd_of(target))
    return Kernel(
        name=name,
        algorithm=FAMILY,
        prim_func=mk.kernel_function(name, emitter.emit),
        pack_weights=partial(pack_weights, tile_out=config.tile_out, lanes=lanes),
        pack_bias=partial(pack_bias, lanes=lanes) if workload.epilogue.bias else None,
        cost=cost,
        reason=f"packed weights, tile of {config.tile_out} vectors x {config.tile_rows} rows",
    )


class _Emitter:
    """Emits the schedule of one kernel."""

    def __init__(self, workload: DenseWorkload, config: DenseConfig, simd: mk.Simd) -> None:
        self.w = workload
        self.config = config
        self.simd = simd
        self.lanes = simd.lanes
        self.blocks = math.ceil(workload.out_features / simd.lanes)

    def emit(self) -> None:
        """The whole function."""
        w, config, any_address = self.w, self.config, mk.ANY_ALIGNMENT
        self.x = mk.declare("x", (w.rows, w.in_features), align=any_address)
        self.weights = mk.declare("w", (self.blocks * self.lanes * w.in_features,))
        self.bias = mk.declare("b", (self.blocks * self.lanes,)) if w.epilogue.bias else None
        out_shape = (w.rows, w.out_features)
        residual = w.epilogue.residual
        self.residual = mk.declare("r", out_shape, align=any_address) if residual else None
        self.y = mk.declare("y", out_shape, align=any_address)
        row_tasks = math.ceil(w.rows / config.chunk_rows)
        out_tiles = math.ceil(self.blocks / config.tile_out)
        with builder.parallel(0, out_tiles * row_tasks) as task, imported_loads(self.simd):
            if self.simd.streams:
                self.one_row, self.rows = (
                    AlternatingStreams(self.weights),
                    VectorStream(self.weights),
                )
                self.input_stream = VectorStream(self.x)
            self._outputs(task // row_tasks, task % row_tasks, row_tasks)

    def _outputs(self, out_tile: Any, row_task: Any, row_tasks: int) -> None:
        """One tile of outputs: whole vectors, and a variant for what is left at the end."""
        tile, lanes = self.config.tile_out, self.lanes
        whole = self.w.out_features // (tile * lanes)
        rest = self.w.out_features - whole * tile * lanes
        if not rest:
            self._row_tiles(out_tile * tile, tile * lanes, row_task, row_tasks)
        elif not whole:
            self._row_tiles(mk.index(0), rest, row_task, row_tasks)
        else:
            with builder.If(out_tile < whole):
                with builder.Then():
                    self._row_tiles(out_tile * tile, tile * lanes, row_task, row_tasks)
                with builder.Else():
                    self._row_tiles(mk.index(whole * tile), rest, row_task, row_tasks)

    def _row_tiles(self, block: Any, outputs: int, row_task: Any, row_tasks: int) -> None:
        """All rows of a task for ``outputs`` outputs from channel block ``block``."""
        size, tile, rows = self.config.chunk_rows, self.config.tile_rows, self.w.rows
        if row_tasks == 1:
            with mk.index_loop(rows // tile) as number:
                self._tile(block, outputs, number * tile, tile)
            if rows % tile:
                self._tile(block, outputs, mk.index(rows - rows % tile), rows % tile)
            return
        first = row_task * (size // tile)
        whole = tirx.max(mk.index(0), tirx.min(mk.index(size // tile), rows // tile - first))
        with mk.index_loop(whole, first) as number:
            self._tile(block, outputs, number * tile, tile)
        if rows % tile:
            with builder.If(row_task == row_tasks - 1), builder.Then():
                self._tile(block, outputs, mk.index(rows - rows % tile), rows % tile)

    def _tile(self, block: Any, outputs: int, row: Any, rows: int) -> None:
        vectors, parts = math.ceil(outputs / self.lanes), self.config.parts
        tile = mk.RegisterTile(vectors, rows * parts, self.simd)
        zero = mk.constant(0.0, self.lanes)
        for t in range(vectors):
            start = zero
            if self.bias is not None:
                start = mk.load(self.bias, ((block + t) * self.lanes,), self.lanes)
            for column in range(rows * parts):
                tile.set(t, column, start if column < rows else zero)
        unroll = min(UNROLL_IN, self.w.in_features)
        if self.simd.streams and unroll == self.lanes:
            self._stream_features(tile, block, row, rows)
        else:
            with mk.index_loop(self.w.in_features // unroll) as turn:
                self._features(tile, block, row, rows, turn * unroll, unroll)
        rest = self.w.in_features % unroll
        if rest:
            first = mk.index(self.w.in_features - rest)
            self._features(tile, block, row, rows, first, rest)
        self._finish(tile, block, outputs, row, rows)

    def _features(
        self, tile: mk.RegisterTile, block: Any, row: Any, rows: int, first: Any, count: int
    ) -> None:
        """``count`` input features from ``first``; partial sums take turns."""
        whole = self.simd.by_lane and count == self.lanes
        sources: list[Any] = []
        if whole:
            sources = [mk.load(self.x, (row + i, first), count) for i in range(rows)]
        base = block * (self.lanes * self.w.in_features) + first * (tile.rows * self.lanes)
        for u in range(count):
            weights = [
                mk.load(self.weights, (base + (u * tile.rows + t) * self.lanes,), self.lanes)
                for t in range(tile.rows)
            ]
            for i in range(rows):
                scalar = (
                    mk.extract_lane(sources[i], u)
                    if whole
                    else mk.load(self.x, (row + i, first + u), 1)
                )
                spread = mk.broadcast(scalar, self.lanes)
                column = u % self.config.parts * rows + i
                for t, weight in enumerate(weights):
                    tile.multiply_add(t, column, spread, weight)

    def _stream_features(self, tile: mk.RegisterTile, block: Any, row: Any, rows: int) -> None:
        """All whole vectors of input features, through streams."""
        w, lanes = self.w, self.lanes
        weights = self.one_row if rows == 1 else self.rows
        weights.start((block * (lanes * w.in_features),))
        self.input_stream.start((row, mk.index(0)))
        vectors = w.in_features // lanes
        unroll = min(vectors, 1 if rows > 1 else UNROLL_VECTORS)
        with mk.index_loop(vectors // unroll):
            self._stream_vectors(tile, weights, rows, unroll)
        if vectors % unroll:
            self._stream_vectors(tile, weights, rows, vectors % unroll)

    def _stream_vectors(
        self,
        tile: mk.RegisterTile,
        weights: VectorStream | AlternatingStreams,
        rows: int,
        vectors: int,
    ) -> None:
        """The next ``vectors`` of input features of ``rows`` rows; several are of one row."""
        inputs = self.input_stream
        if rows == 1:
            sources = [[vector] for vector in inputs.read(vectors)]
        else:
            sources = [[inputs.peek(i * self.w.in_features) for i in range(rows)]]
        steps = []
        for of_rows in sources:
            for u in range(self.lanes):
                first = u % self.config.parts * rows
                steps.append(
                    [(first + i, mk.extract_lane(vector, u)) for i, vector in enumerate(of_rows)]
                )
        # A row's vectors are at most those of one load.
        multiply_steps(tile, steps, weights, inputs, load_bytes(vectors))

    def _finish(self, tile: mk.RegisterTile, block: Any, outputs: int, row: Any, rows: int) -> None:
        for t in range(tile.rows):
            for i in range(rows):
                value = tile.get(t, i)
                for part in range(1, self.config.parts):
                    value = value + tile.get(t, part * rows + i)
                valid = min(self.lanes, outputs - t * self.lanes)
                self._store(value, (row + i, (block + t) * self.lanes), valid)

    def _store(self, value: Any, place: tuple[Any, Any], valid: int) -> None:
        """Applies the epilogue and writes ``valid`` lanes of ``value``."""
        activation = self.w.epilogue.activation
        if valid == self.lanes:
            if self.residual is not None:
                value = value + mk.load(self.residual, place, self.lanes)
            mk.store(self.y, place, mk.activate(value, activation, self.simd), self.lanes)
            return
        value = builder.Bind(value)
        for lane in range(valid):
            at = (place[0], place[1] + lane)
            single = mk.extract_lane(value, lane)
            if self.residual is not None:
                single = single + mk.load(self.residual, at, 1)
            mk.store(self.y, at, mk.activate(single, activation, self.simd.scalar()), 1)
