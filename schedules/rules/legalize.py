"""Operators whose TVM legalization does needless work, legalized so that the rules do well on them.

Transposed convolution. TVM spreads the input with ``stride - 1`` zeros between elements and
convolves that, so that of the products of a stride of 2 in two dimensions three in four are with
zero. Here each residue of the output index modulo the stride (a *phase*) is a dense convolution
with the taps of the kernel that reach it. With stride s, padding p and kernel extent K, along one
dimension::

    out[s * q + phase] = sum over t of x[q + a - t] * w[r + s * t]
    a, r = divmod(phase + p, s);  t < taps = ceil(K / s);  w is 0 beyond K

computed as three stages: taps packed by phase, phases convolved, phases interleaved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import te, tirx

from edgewright.schedules.rules.legalize_softmax import legalize_softmax

__all__ = ["legalize_map"]

_LAYOUTS = {
    "relax.nn.conv1d_transpose": ("NCW", "IOW"),
    "relax.nn.conv2d_transpose": ("NCHW", "IOHW"),
    "relax.nn.conv3d_transpose": ("NCDHW", "IODHW"),
}


def legalize_map() -> dict[str, Callable[[Any, Any], Any]]:
    """The mapping that ``relax.transform.LegalizeOps`` takes."""
    transposed = dict.fromkeys(_LAYOUTS, _legalize_conv_transpose)
    return {**transposed, "relax.nn.softmax": legalize_softmax}


@dataclass(frozen=True)
class _Dimension:
    """One spatial dimension of a transposed convolution, in elements."""

    extent: int
    out_extent: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    @property
    def reach(self) -> int:
        """Extent of the kernel with its dilation."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def taps(self) -> int:
        """Taps of the kernel that reach one phase."""
        return -(-self.reach // self.stride)

    @property
    def per_phase(self) -> int:
        """Output elements of one phase."""
        return -(-self.out_extent // self.stride)

    @property
    def padded(self) -> int:
        """Input elements that some phase reads, with the zeros on both sides."""
        return self.per_phase + (self.stride - 1 + self.padding) // self.stride + self.taps - 1


def _legalize_conv_transpose(bb: Any, call: Any) -> Any:
    attrs = call.attrs
    layouts = (str(attrs.data_layout), str(attrs.kernel_layout))
    if layouts != _LAYOUTS[call.op.name] or str(attrs.out_layout) != layouts[0]:
        return call
    data, kernel = call.args
    spatial = [int(extent) for extent in data.ty.shape.values][2:]
    taps = [int(extent) for extent in kernel.ty.shape.values][2:]
    out = [int(extent) for extent in call.ty.shape.values]
    dimensions = [
        _Dimension(spatial[d], out[2 + d], taps[d], *(int(v[d]) for v in values))
        for d, values in (
            (d, (attrs.strides, attrs.padding, attrs.dilation)) for d in range(len(spatial))
        )
    ]
    groups, dtype = int(attrs.groups), str(call.ty.dtype)

    def transposed(x: Any, w: Any) -> Any:
        return _conv_transpose(x, w, out[:2], groups, dimensions, dtype)

    return bb.call_te(transposed, data, kernel, primfunc_name_hint="conv_transpose")


def _all(conditions: Sequence[Any]) -> Any:
    return tirx.all(*conditions)


def _conv_transpose(
    x: Any, w: Any, batch_channels: list[int], groups: int, dims: list[_Dimension], dtype: str
) -> Any:
    batch, out_channels = batch_channels
    group_in = int(x.shape[1]) // groups
    group_out = out_channels // groups
    single = groups == 1
    rank = len(dims)
    zero = tirx.const(0, dtype)

    def pad(n: Any, c: Any, *at: Any) -> Any:
        index = [i - (d.taps - 1) for i, d in zip(at, dims, strict=True)]
        inside = [tirx.all(i >= 0, i < d.extent) for i, d in zip(index, dims, strict=True)]
        source = (n, c, *index)
        return tirx.if_then_else(_all(inside), x[source].astype(dtype), zero)

    def pack(*index: Any) -> Any:
        phases, (o, i), steps = index[:rank], index[rank : rank + 2], index[rank + 2 :]
        taps, inside = [], []
        for phase, step, d in zip(phases, steps, dims, strict=True):
            # Steps run backwards, so that the input is read forwards.
            tap = (phase + d.padding) % d.stride + d.stride * (d.taps - 1 - step)
            inside.append(tirx.all(tap < d.reach, tap % d.dilation == 0))
            taps.append(tap // d.dilation)
        source = (i, o, *taps) if single else (o // group_out * group_in + i, o % group_out, *taps)
        return tirx.if_then_else(_all(inside), w[source].astype(dtype), zero)

    padded = te.compute((batch, x.shape[1], *(d.padded for d in dims)), pad, name="padded")
    packed = te.compute(
        (*(d.stride for d in dims), out_channels, group_in, *(d.taps for d in dims)),
        pack,
        name="packed",
    )
    channel = te.reduce_axis((0, group_in), "channel")
    step = [te.reduce_axis((0, d.taps), f"step{k}") for k, d in enumerate(dims)]

    def convolve(n: Any, *index: Any) -> Any:
        phases, o, at = index[:rank], index[rank], index[rank + 1 :]
        read = [
            q + (phase + d.padding) // d.stride + t
            for q, phase, t, d in zip(at, phases, step, dims, strict=True)
        ]
        at_channel = channel if single else o // group_out * group_in + channel
        source = (n, at_channel, *read)
        taps = (*phases, o, channel, *step)
        return te.sum(padded[source] * packed[taps], axis=[channel, *step])

    phases = te.compute(
        (batch, *(d.stride for d in dims), out_channels, *(d.per_phase for d in dims)),
        convolve,
        name="phases",
    )

    def interleave(n: Any, o: Any, *at: Any) -> Any:
        residues = [i % d.stride for i, d in zip(at, dims, strict=True)]
        source = (n, *residues, o, *(i // d.stride for i, d in zip(at, dims, strict=True)))
        return phases[source]

    shape = (batch, out_channels, *(d.out_extent for d in dims))
    return te.compute(shape, interleave, name="conv_transpose")
