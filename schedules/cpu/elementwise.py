"""Elementwise kernels on blocked activations; padding lanes stay finite."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from edgewright.schedules import microkernel as mk
from edgewright.schedules.cpu.blocked import (
    BlockedSpan,
    Shape,
    blocked_span,
    pack_channels,
    pixel_loop,
    shape_stem,
)
from edgewright.schedules.kernel import Declined, Kernel
from edgewright.schedules.names import activation_stem, kernel_name
from edgewright.schedules.workload import FUSED_ACTIVATIONS, Activation
from edgewright.spec.target import Target

__all__ = ["BINARY_KINDS", "activation_blocked", "binary_blocked", "scale_shift_blocked"]

#: Elementwise operators of :func:`binary_blocked`. Division is not among them: padding lanes hold
#: 0/0 then.
BINARY_KINDS = ("add", "mul", "sub", "max", "min")


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
    """Operands: a ``tensor``, one vector a ``channel``, ``vectors`` (scale, shift) or ``none``."""
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
    with pixel_loop(span) as (image, block, pixel):
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
