"""Kernels at the borders of the blocked layout, and elementwise work inside it.

``NCHW{c}c`` is ``float32[N, ceil(C/c), H, W, c]``; ``c`` is the target's ``vec_lanes``. Shapes are
given as ``(N, C, H, W)``. Plain tensors may have any address; blocked ones are 64-byte aligned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cost import split_tasks
from edgewright.schedules.kernel import Declined, Kernel
from edgewright.schedules.names import activation_stem, kernel_name
from edgewright.schedules.workload import FUSED_ACTIVATIONS, Activation
from edgewright.spec.target import Target

__all__ = [
    "BINARY_KINDS",
    "activation_blocked",
    "binary_blocked",
    "concat_blocked",
    "from_blocked",
    "pack_channels",
    "scale_shift_blocked",
    "to_blocked",
]

Shape = tuple[int, int, int, int]

#: Elementwise operators of :func:`binary_blocked`. Division is not among them: padding lanes hold
#: 0/0 then.
BINARY_KINDS = ("add", "mul", "sub", "max", "min")


@dataclass(frozen=True)
class BlockedSpan:
    """A blocked tensor cut into tasks: each takes ``size`` pixels (or tiles) of one channel block.

    Attributes:
        batch, blocks, pixels: extents of the tensor.
        size: pixels (or tiles) of one task.
        chunks: tasks of one channel block.
    """

    batch: int
    blocks: int
    pixels: int
    size: int
    chunks: int

    @property
    def tasks(self) -> int:
        """Extent of the parallel loop."""
        return self.batch * self.blocks * self.chunks

    def decode(self, task: Any) -> tuple[Any, Any, Any]:
        """Image, channel block and chunk of a task."""
        block = task // self.chunks % self.blocks
        return task // (self.chunks * self.blocks), block, task % self.chunks


def blocked_span(
    shape: Shape, target: Target, *, units: int, cycles_per_pixel: float
) -> BlockedSpan:
    """Cuts a blocked tensor of ``shape``, each of whose blocks has ``units`` units, into tasks."""
    batch, channels, height, width = shape
    blocks, pixels = math.ceil(channels / target.isa.vec_lanes), height * width
    split = split_tasks(
        target,
        units=units,
        outer=batch * blocks,
        cycles=batch * blocks * pixels * cycles_per_pixel,
    )
    return BlockedSpan(batch, blocks, pixels, split.size, split.chunks)


def shape_stem(shape: Shape) -> str:
    """``n1c64h56w56``."""
    return "n{}c{}h{}w{}".format(*shape)


def pack_channels(
    vector: npt.NDArray[np.float32], lanes: int, fill: float = 0.0
) -> npt.NDArray[np.float32]:
    """Pads a vector over channels to whole blocks of ``lanes``."""
    packed = np.full(math.ceil(vector.size / lanes) * lanes, fill, np.float32)
    packed[: vector.size] = vector.reshape(-1)
    return packed


def transposed(rows: Sequence[Any]) -> list[Any]:
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
        vectors = [
            builder.Bind(tirx.Shuffle(list(pair), order)) for pair in pairs for order in (low, high)
        ]
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
    emit = partial(_emit_border, shape, span, lanes, direction == "to_blocked")
    return Kernel(
        name=name,
        algorithm="layout",
        prim_func=mk.kernel_function(name, emit),
        cost=8.0 * span.batch * span.blocks * pixels,
        reason="change between plain and blocked layout",
    )


def _emit_border(shape: Shape, span: BlockedSpan, lanes: int, forward: bool) -> None:
    """A task transposes tiles of ``lanes`` channels x ``lanes`` pixels; single pixels at the end."""
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
                move(plain, blocked, (image, block, tile * lanes), valid, lanes)
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


def _to_tile(plain: Any, blocked: Any, place: Sequence[Any], valid: int, lanes: int) -> None:
    image, block, pixel = place
    channels = [
        mk.load(plain, _plain_indices(place, channel, lanes), lanes)
        if channel < valid
        else mk.constant(0.0, lanes)
        for channel in range(lanes)
    ]
    for offset, vector in enumerate(transposed(channels)):
        indices = (image, block, mk.index(0), pixel + offset, mk.index(0))
        mk.store(blocked, indices, vector, lanes)


def _from_tile(plain: Any, blocked: Any, place: Sequence[Any], valid: int, lanes: int) -> None:
    image, block, pixel = place
    pixels = [
        mk.load(blocked, (image, block, mk.index(0), pixel + offset, mk.index(0)), lanes)
        for offset in range(lanes)
    ]
    for channel, vector in enumerate(transposed(pixels)[:valid]):
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


def concat_blocked(shapes: Sequence[Shape], target: Target) -> Kernel | Declined:
    """Concatenation along channels: parameters x0, x1, …, y.

    Args:
        shapes: the parts' shapes, equal but for the channels.
        target: the core.

    Returns:
        Declined where a part other than the last has channels that are no multiple of the block.
    """
    lanes = target.isa.vec_lanes
    odd = [shape[1] for shape in shapes[:-1] if shape[1] % lanes]
    if odd:
        return Declined("concat", f"{odd[0]} channels are no multiple of {lanes}")
    return _concat(tuple(shapes), target)


@lru_cache(maxsize=1024)
def _concat(shapes: tuple[Shape, ...], target: Target) -> Kernel:
    lanes = target.isa.vec_lanes
    batch, _, height, width = shapes[0]
    pixels = height * width
    spans = [blocked_span(shape, target, units=pixels, cycles_per_pixel=2.0) for shape in shapes]
    blocks = sum(span.blocks for span in spans)

    def emit() -> None:
        parts = [
            mk.declare(f"x{number}", (batch, span.blocks, height, width, lanes))
            for number, span in enumerate(spans)
        ]
        y = mk.declare("y", (batch, blocks, height, width, lanes))
        before = 0
        for part, span in zip(parts, spans, strict=True):
            with _pixels(span) as (image, block, pixel):
                value = mk.load(part, (image, block, mk.index(0), pixel, mk.index(0)), lanes)
                mk.store(y, (image, block + before, mk.index(0), pixel, mk.index(0)), value, lanes)
            before += span.blocks

    channels = "x".join(str(shape[1]) for shape in shapes)
    sizes = "x".join(str(span.size) for span in spans)
    shape_part = f"n{batch}c{channels}h{height}w{width}"
    name = kernel_name("concat_blocked", f"r{sizes}", target.isa.name, shape_part)
    return Kernel(
        name=name,
        algorithm="concat",
        prim_func=mk.kernel_function(name, emit),
        cost=2.0 * batch * blocks * pixels,
        reason="concatenation of whole channel blocks",
    )


@contextmanager
def _pixels(span: BlockedSpan) -> Iterator[tuple[Any, Any, Any]]:
    """A parallel loop over a blocked tensor's vectors: image, block, pixel."""
    with builder.parallel(0, span.tasks) as task:
        image, block, chunk = span.decode(task)
        first = chunk * span.size
        extent: Any = span.size
        if span.chunks * span.size != span.pixels:
            extent = tirx.min(mk.index(span.size), span.pixels - first)
        with mk.index_loop(extent, first) as pixel:
            yield image, block, pixel


def binary_blocked(
    kind: str,
    shape: Shape,
    target: Target,
    *,
    activation: Activation | None = None,
    per_channel: bool = False,
) -> Kernel | Declined:
    """``activation(x kind z)`` of blocked tensors: parameters x, z, y.

    Args:
        kind: one of :data:`BINARY_KINDS`.
        shape: of x and y.
        target: the core.
        activation: applied last.
        per_channel: z is ``(N, C, 1, 1)``, the gate of a squeeze-and-excitation block.
    """
    if kind not in BINARY_KINDS:
        return Declined("binary", f"'{kind}' is none of {', '.join(BINARY_KINDS)}")
    if activation is not None and activation.kind not in FUSED_ACTIVATIONS:
        return Declined("binary", f"activation '{activation.kind}' is not fused")
    operand = "channel" if per_channel else "tensor"
    return _elementwise(kind, shape, target, activation, operand)


def scale_shift_blocked(
    shape: Shape, target: Target, *, activation: Activation | None = None
) -> Kernel | Declined:
    """``activation(x * scale + shift)`` per channel: parameters x, scale, shift, y.

    ``pack_weights`` packs the scale and ``pack_bias`` the shift, vectors over channels.
    """
    if activation is not None and activation.kind not in FUSED_ACTIVATIONS:
        return Declined("scale_shift", f"activation '{activation.kind}' is not fused")
    return _elementwise("scale_shift", shape, target, activation, "vectors")


def activation_blocked(activation: Activation, shape: Shape, target: Target) -> Kernel | Declined:
    """``activation(x)`` of a blocked tensor: parameters x, y."""
    if activation.kind not in FUSED_ACTIVATIONS:
        return Declined("activation", f"'{activation.kind}' is not generated")
    return _elementwise("unary", shape, target, activation, "none")


@lru_cache(maxsize=1024)
def _elementwise(
    kind: str, shape: Shape, target: Target, activation: Activation | None, operand: str
) -> Kernel:
    """``operand`` is ``tensor``, ``channel`` (N, C, 1, 1), ``vectors`` (scale, shift) or ``none``."""
    lanes = target.isa.vec_lanes
    pixels = shape[2] * shape[3]
    span = blocked_span(shape, target, units=pixels, cycles_per_pixel=3.0)
    name = kernel_name(
        f"{kind}_blocked" + ("_channel" if operand == "channel" else ""),
        f"r{span.size}",
        target.isa.name,
        shape_stem(shape),
        activation_stem(activation),
    )
    emit = partial(_emit_elementwise, kind, shape, span, mk.simd_of(target), activation, operand)
    packs = partial(pack_channels, lanes=lanes) if operand == "vectors" else None
    return Kernel(
        name=name,
        algorithm="elementwise",
        prim_func=mk.kernel_function(name, emit),
        pack_weights=packs,
        pack_bias=packs,
        cost=3.0 * span.batch * span.blocks * pixels,
        reason="elementwise on whole channel blocks",
    )


def _emit_elementwise(
    kind: str,
    shape: Shape,
    span: BlockedSpan,
    simd: mk.Simd,
    activation: Activation | None,
    operand: str,
) -> None:
    lanes = simd.lanes
    blocked_shape = (shape[0], span.blocks, shape[2], shape[3], lanes)
    x = mk.declare("x", blocked_shape)
    others = []
    if operand == "tensor":
        others = [mk.declare("z", blocked_shape)]
    elif operand == "channel":
        others = [mk.declare("z", (shape[0], span.blocks, 1, 1, lanes))]
    elif operand == "vectors":
        others = [mk.declare(name, (span.blocks * lanes,)) for name in ("scale", "shift")]
    y = mk.declare("y", blocked_shape)
    with _pixels(span) as (image, block, pixel):
        place = (image, block, mk.index(0), pixel, mk.index(0))
        here = {
            "tensor": place,
            "channel": (image, block, mk.index(0), mk.index(0), mk.index(0)),
            "vectors": (block * lanes,),
            "none": (),
        }[operand]
        value = mk.load(x, place, lanes)
        value = _combine(kind, value, [mk.load(other, here, lanes) for other in others], simd)
        mk.store(y, place, mk.activate(value, activation, simd), lanes)


def _combine(kind: str, value: Any, others: list[Any], simd: mk.Simd) -> Any:
    if kind == "unary":
        return value
    if kind == "scale_shift":
        return value * others[0] + others[1]
    operators: dict[str, Callable[[Any, Any], Any]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "max": partial(mk.maximum, simd=simd),
        "min": partial(mk.minimum, simd=simd),
    }
    return operators[kind](value, others[0])
