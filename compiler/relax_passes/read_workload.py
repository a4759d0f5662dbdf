"""Read a kernel's workload off a Relax call."""

from __future__ import annotations

from typing import Any

from edgewright.compiler.read_relax import op_name, shape_of
from edgewright.compiler.relax_passes.fuse_epilogues import Fused
from edgewright.schedules.workload import (
    Conv2dTransposedWorkload,
    Conv2dWorkload,
    DenseWorkload,
    Pool2dWorkload,
    Resize2dWorkload,
)

__all__ = [
    "conv2d_transposed_workload",
    "conv2d_workload",
    "dense_workload",
    "pool2d_workload",
    "resize2d_workload",
]


def conv2d_workload(chain: Fused) -> Conv2dWorkload | None:
    """The workload of a float32 convolution in ``NCHW`` with constant weights, or None."""
    call, attrs = chain.call, chain.call.attrs
    if str(call.args[0].ty.dtype) != "float32" or str(attrs.data_layout) != "NCHW":
        return None
    batch, in_channels, in_h, in_w = shape_of(call.args[0])
    out_channels, _, kernel_h, kernel_w = shape_of(call.args[1])
    return Conv2dWorkload(
        batch=batch,
        in_channels=in_channels,
        in_h=in_h,
        in_w=in_w,
        out_channels=out_channels,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        **_window(attrs),
        groups=int(attrs.groups),
        epilogue=chain.epilogue,
    )


def conv2d_transposed_workload(chain: Fused) -> Conv2dTransposedWorkload | None:
    """The workload of a float32 transposed convolution, ``NCHW`` by constant ``IOHW``, or None."""
    call, attrs = chain.call, chain.call.attrs
    layouts = (str(attrs.data_layout), str(attrs.kernel_layout), str(attrs.out_layout))
    if str(call.args[0].ty.dtype) != "float32" or layouts != ("NCHW", "IOHW", "NCHW"):
        return None
    batch, in_channels, in_h, in_w = shape_of(call.args[0])
    _, group_out, kernel_h, kernel_w = shape_of(call.args[1])
    groups = int(attrs.groups)
    return Conv2dTransposedWorkload(
        batch=batch,
        in_channels=in_channels,
        in_h=in_h,
        in_w=in_w,
        out_channels=group_out * groups,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        **_window(attrs),
        out_pad_h=int(attrs.output_padding[0]),
        out_pad_w=int(attrs.output_padding[1]),
        groups=groups,
        epilogue=chain.epilogue,
    )


def dense_workload(chain: Fused) -> DenseWorkload | None:
    """The workload of ``x[rows, in] @ constant[in, out]`` in float32, or None."""
    data, weight = chain.call.args
    if len(shape_of(data)) != 2 or len(shape_of(weight)) != 2:
        return None
    if str(data.ty.dtype) != "float32":
        return None
    rows, in_features = shape_of(data)
    return DenseWorkload(rows, in_features, shape_of(weight)[1], chain.epilogue)


def pool2d_workload(call: Any) -> Pool2dWorkload | None:
    """The workload of a float32 pooling window, or of a mean or maximum over height and width."""
    source = call.args[0]
    shape = shape_of(source)
    if len(shape) != 4 or str(source.ty.dtype) != "float32":
        return None
    batch, channels, in_h, in_w = shape
    name = op_name(call)
    if name in ("relax.mean", "relax.max"):
        axes = sorted(int(axis) % 4 for axis in (call.attrs.axis or ()))
        if axes != [2, 3]:
            return None
        kind = "average" if name == "relax.mean" else "max"
        return Pool2dWorkload(kind, batch, channels, in_h, in_w, 1, 1, in_h, in_w)
    attrs = call.attrs
    if str(attrs.layout) != "NCHW":
        return None
    _, _, out_h, out_w = shape_of(call)
    return Pool2dWorkload(
        kind="max" if name == "relax.nn.max_pool2d" else "average",
        batch=batch,
        channels=channels,
        in_h=in_h,
        in_w=in_w,
        out_h=out_h,
        out_w=out_w,
        kernel_h=int(attrs.pool_size[0]),
        kernel_w=int(attrs.pool_size[1]),
        **_window(attrs),
        count_include_pad=bool(attrs.count_include_pad),
    )


def resize2d_workload(call: Any) -> Resize2dWorkload | None:
    """The workload of a float32 resampling by nearest neighbours or bilinear, or None."""
    source, attrs = call.args[0], call.attrs
    method = {"nearest_neighbor": "nearest", "linear": "linear"}.get(str(attrs.method))
    if str(source.ty.dtype) != "float32" or str(attrs.layout) != "NCHW" or method is None:
        return None
    batch, channels, in_h, in_w = shape_of(source)
    _, _, out_h, out_w = shape_of(call)
    return Resize2dWorkload(
        batch,
        channels,
        in_h,
        in_w,
        out_h,
        out_w,
        method,
        str(attrs.coordinate_transformation_mode),
        str(attrs.rounding_method),
    )


def _window(attrs: Any) -> dict[str, int]:
    """Strides, padding and dilation of a convolution or pooling."""
    top, left, bottom, right = (int(extent) for extent in attrs.padding)
    return {
        "stride_h": int(attrs.strides[0]),
        "stride_w": int(attrs.strides[1]),
        "pad_top": top,
        "pad_left": left,
        "pad_bottom": bottom,
        "pad_right": right,
        "dilation_h": int(attrs.dilation[0]),
        "dilation_w": int(attrs.dilation[1]),
    }
