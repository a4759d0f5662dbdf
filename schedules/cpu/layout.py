"""Kernels at the borders of the blocked layout.

``NCHW{c}c`` is ``float32[N, ceil(C/c), H, W, c]``; ``c`` is the target's ``vec_lanes``. Shapes are
given as ``(N, C, H, W)``. Plain tensors may have any address; blocked ones are 64-byte aligned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.blocked import (
    BlockedSpan,
    Shape,
    blocked_span,
    pack_channels,
    shape_stem,
)
from edgewright.schedules.kernel import Kernel
from edgewright.schedules.names import kernel_name
from edgewright.spec.target import Target

__all__ = ["from_blocked", "pack_channels", "to_blocked"]


def transposed(rows: Sequence[Any], simd: mk.Simd) -> list[Any]:
    """Transposes ``n`` vectors of ``n`` lanes, ``n`` a power of two, in ``log2(n)`` interleavings.

    Interleaving vector ``i`` with vector ``i + n/2`` moves the highest bit of the row index into
    the lowest of the column index; after ``log2(n)`` times rows and columns have changed places.
    """
    n = len(rows)
    vectors = list(rows)
    low = [lane + part * n for lane in range(n // 2) for part in (0, 1)]
    high = [lane + part * n for lane in range(n // 2, n) for part in (0, 1)]
    for _ in range(n.bit_length() - 1):
        pairs = [(vectors[i], vectors[i + n // 2]) for i in range(n // 2)]
        mixed = [tirx.Shuffle(list(pair), order) for pair in pairs for order in (low, high)]
        # TVM puts a bound Shuffle in place of its variable: 2^log2(n) copies at the end. A buffer
        # of one vector it leaves alone, and LLVM keeps it in a register.
        tile = mk.RegisterTile(1, n, simd)
        for position, value in enumerate(mixed):
            tile.set(0, position, value)
        vectors = [builder.Bind(tile.get(0, position)) for position in range(n)]
    return vectors


def to_blocked(shape: Shape, target: Target) -> Kernel:
    """``NCHW`` to ``NCHW{c}c``: parameters x, y; padding lanes are written as zeros."""
    return _border(shape, target, "to_blocked")


def from_blocked(shape: Shape, target: Target) -> Kernel:
    """``NCHW{c}c`` to ``NCHW``: parameters x, y; padding lanes are not read."""
    return _border(shape, target, "from_blocked")


@lru_cache(maxsize=1024)
def _border(shape: Shape, target: Target, direction: str) -> Kernel:
    lanes = target.isa.vec_lanes
    pixels = shape[2] * shape[3]
    span = blocked_span(shape, target, units=math.ceil(pixels / lanes), cycles_per_pixel=8.0)
    name = kernel_name(direction, f"r{span.size}", target.isa.name, shape_stem(shape))
    emit = partial(_emit_border, shape, span, mk.simd_of(target), direction == "to_blocked")
    return Kernel(
        name=name,
        algorithm="layout",
        prim_func=mk.kernel_function(name, emit),
        cost=8.0 * span.batch * span.blocks * pixels,
        reason="change between plain and blocked layout",
    )


def _emit_border(shape: Shape, span: BlockedSpan, simd: mk.Simd, forward: bool) -> None:
    """A task transposes tiles of ``lanes`` channels x pixels, then moves single pixels."""
    lanes = simd.lanes
    batch, channels, height, width = shape
    blocked_shape = (batch, span.blocks, height, width, lanes)
    if forward:
        plain = mk.declare("x", shape, align=mk.ANY_ALIGNMENT)
        blocked = mk.declare("y", blocked_shape)
    else:
        blocked = mk.declare("x", blocked_shape)
        plain = mk.declare("y", shape, align=mk.ANY_ALIGNMENT)
    move = _to_tile if forward else _from_tile
    zero = mk.index(0)

    def block_tiles(image: Any, block: Any, chunk: Any, valid: int) -> None:
        tiles, rest = span.pixels // lanes, span.pixels % lanes
        if tiles:
            first = chunk * span.size
            extent = span.size
            if span.chunks * span.size != tiles:
                extent = tirx.max(zero, tirx.min(mk.index(span.size), tiles - first))
            with mk.index_loop(extent, first) as tile:
                move(plain, blocked, (image, block, tile * lanes), valid, simd)
        if rest:
            with _on_last(chunk, span.chunks), mk.index_loop(rest, tiles * lanes) as pixel:
                _move_pixel(plain, blocked, (image, block, pixel), valid, lanes, forward)

    with builder.parallel(0, span.tasks) as task:
        image, block, chunk = span.decode(task)
        rest_channels = channels % lanes
        if not rest_channels or span.blocks == 1:
            block_tiles(image, block, chunk, rest_channels or lanes)
        else:
            with builder.If(block < span.blocks - 1):
                with builder.Then():
                    block_tiles(image, block, chunk, lanes)
                with builder.Else():
                    block_tiles(image, mk.index(span.blocks - 1), chunk, rest_channels)


@contextmanager
def _on_last(chunk: Any, chunks: int) -> Iterator[None]:
    """Runs in the last of ``chunks`` tasks only."""
    if chunks == 1:
        yield
    else:
        with builder.If(chunk == chunks - 1), builder.Then():
            yield


def _plain_indices(place: Sequence[Any], channel: int, lanes: int) -> tuple[Any, ...]:
    """Indices of a pixel in the plain tensor; its two-dimensional image is taken as one row."""
    image, block, pixel = place
    return (image, block * lanes + channel, mk.index(0), pixel)


def _to_tile(plain: Any, blocked: Any, place: Sequence[Any], valid: int, simd: mk.Simd) -> None:
    lanes = simd.lanes
    image, block, pixel = place
    channels = [
        mk.load(plain, _plain_indices(place, channel, lanes), lanes)
        if channel < valid
        else mk.constant(0.0, lanes)
        for channel in range(lanes)
    ]
    for offset, vector in enumerate(transposed(channels, simd)):
        indices = (image, block, mk.index(0), pixel + offset, mk.index(0))
        mk.store(blocked, indices, vector, lanes)


def _from_tile(plain: Any, blocked: Any, place: Sequence[Any], valid: int, simd: mk.Simd) -> None:
    lanes = simd.lanes
    image, block, pixel = place
    pixels = [
        mk.load(blocked, (image, block, mk.index(0), pixel + offset, mk.index(0)), lanes)
        for offset in range(lanes)
    ]
    for channel, vector in enumerate(transposed(pixels, simd)[:valid]):
        mk.store(plain, _plain_indices(place, channel, lanes), vector, lanes)


def _move_pixel(
    plain: Any, blocked: Any, place: Sequence[Any], valid: int, lanes: int, forward: bool
) -> None:
    image, block, pixel = place
    for channel in range(lanes):
        plain_at = _plain_indices(place, channel, lanes)
        blocked_at = (image, block, mk.index(0), pixel, mk.index(channel))
        if forward and channel < valid:
            mk.store(blocked, blocked_at, mk.load(plain, plain_at, 1), 1)
        elif forward:
            mk.store(blocked, blocked_at, tirx.FloatImm("float32", 0.0), 1)
        elif channel < valid:
            mk.store(plain, plain_at, mk.load(blocked, blocked_at, 1), 1)
