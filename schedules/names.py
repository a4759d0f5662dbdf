"""Kernel names: ``<dtype>_<op>_<algorithm>_<tile>__<isa>_<shape>_<epilogue>``, valid C identifiers.

The name holds everything that the code depends on, so that equal names mean equal code.
"""

from __future__ import annotations

from dataclasses import replace

from edgewright.schedules.workload import (
    Activation,
    Conv2dTransposedWorkload,
    Conv2dWorkload,
    DenseWorkload,
    Epilogue,
)

__all__ = [
    "activation_stem",
    "conv2d_key",
    "conv2d_stem",
    "convolution_name",
    "dense_key",
    "dense_stem",
    "epilogue_stem",
    "kernel_name",
    "number_stem",
]


def kernel_name(op: str, tile: str, isa: str, *rest: str) -> str:
    """Joins the parts of a name; empty parts of ``rest`` leave no trace.

    >>> kernel_name("conv2d_direct", "oc2ow14", "avx512", "n1c64h56w56", "", "b_relu")
    'f32_conv2d_direct_oc2ow14__avx512_n1c64h56w56_b_relu'
    """
    return "_".join(["f32", op, *([tile] if tile else []), "", isa, *filter(None, rest)])


def number_stem(value: float) -> str:
    """A float32 parameter as letters and digits: 6.0 is ``6``, -0.1 is ``m0p1``."""
    text = repr(float(value)).removesuffix(".0")
    return text.replace("-", "m").replace("+", "").replace(".", "p")


def activation_stem(activation: Activation | None) -> str:
    """``relu``, ``clip0to6``, ``leaky0p1``, ``hsigmoid0p2b0p5``, ``gelut2`` (times 2), …."""
    if activation is None:
        return ""
    if activation.scale != 1.0:
        whole = replace(activation, scale=1.0)
        return f"{activation_stem(whole)}t{number_stem(activation.scale)}"
    if activation.kind == "clip":
        return f"clip{number_stem(activation.low)}to{number_stem(activation.high)}"
    if activation.kind == "leaky_relu":
        return f"leaky{number_stem(activation.alpha)}"
    if activation.kind == "hard_sigmoid":
        return f"hsigmoid{number_stem(activation.alpha)}b{number_stem(activation.beta)}"
    if activation.kind == "swish":
        return f"swish{number_stem(activation.alpha)}"
    return activation.kind.replace("_", "")


def epilogue_stem(epilogue: Epilogue) -> str:
    """``b`` for bias, ``res`` for residual, then the activation: ``b_res_relu``."""
    parts = ["b" if epilogue.bias else "", "res" if epilogue.residual else ""]
    return "_".join(filter(None, [*parts, activation_stem(epilogue.activation)]))


def convolution_name(
    algorithm: str, tile: str, isa: str, workload: Conv2dWorkload | Conv2dTransposedWorkload
) -> str:
    """The name of a convolution's kernel."""
    shape = conv2d_stem(workload)
    return kernel_name(f"conv2d_{algorithm}", tile, isa, shape, epilogue_stem(workload.epilogue))


def conv2d_stem(workload: Conv2dWorkload | Conv2dTransposedWorkload) -> str:
    """Shape of a convolution: ``n1c64h56w56_o64k3x3s1p1``, with what differs from the usual.

    Unequal strides, paddings and dilations are written in full: ``s2x1``, ``p0x1x0x1`` (top, left,
    bottom, right), ``d2``; groups as ``g4``; output padding as ``e1x0``.
    """
    w = workload
    pads = (w.pad_top, w.pad_left, w.pad_bottom, w.pad_right)
    pad = str(pads[0]) if len(set(pads)) == 1 else "x".join(map(str, pads))
    stride = str(w.stride_h) if w.stride_h == w.stride_w else f"{w.stride_h}x{w.stride_w}"
    dilation = "" if (w.dilation_h, w.dilation_w) == (1, 1) else f"d{w.dilation_h}x{w.dilation_w}"
    groups = f"g{w.groups}" if w.groups > 1 else ""
    if isinstance(w, Conv2dTransposedWorkload) and (w.out_pad_h or w.out_pad_w):
        groups += f"e{w.out_pad_h}x{w.out_pad_w}"
    return (
        f"n{w.batch}c{w.in_channels}h{w.in_h}w{w.in_w}"
        f"_o{w.out_channels}k{w.kernel_h}x{w.kernel_w}s{stride}p{pad}{dilation}{groups}"
    )


def dense_stem(workload: DenseWorkload) -> str:
    """Shape of a fully connected layer: ``r1i512_o1000``."""
    return f"r{workload.rows}i{workload.in_features}_o{workload.out_features}"


def conv2d_key(workload: Conv2dWorkload, input_layout: str) -> str:
    """A convolution's name in tuning records: ``conv2d_n1c64h56w56_o64k3x3s1p1_b_relu``.

    >>> conv2d_key(Conv2dWorkload(1, 3, 8, 8, 16, 1, 1), "NCHW")
    'conv2d_nchw_n1c3h8w8_o16k1x1s1p0'
    """
    op = "conv2d_nchw" if input_layout == "NCHW" else "conv2d"
    parts = (op, conv2d_stem(workload), epilogue_stem(workload.epilogue))
    return "_".join(filter(None, parts))


def dense_key(workload: DenseWorkload) -> str:
    """A fully connected layer's name in tuning records: ``dense_r1i512_o1000_b``."""
    parts = ("dense", dense_stem(workload), epilogue_stem(workload.epilogue))
    return "_".join(filter(None, parts))
