"""Operators with odd shapes: how Relax computes each, and how torch does in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from tvm import relax
from tvm.relax import op

from tests.schedules.rules.legalized import Tensor


@dataclass(frozen=True)
class Operator:
    """``build`` takes Relax variables, ``reference`` float64 (or integer) torch tensors."""

    build: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: tuple[Tensor, ...]
    rule: str


def _case(build: Any, reference: Any, *inputs: Any, rule: str) -> Operator:
    tensors = tuple(t if isinstance(t, Tensor) else Tensor(t) for t in inputs)
    return Operator(build, reference, tensors, rule)


def _map(build: Any, reference: Any, *inputs: Any) -> Operator:
    return _case(build, reference, *inputs, rule="elementwise")


def _reduce(build: Any, reference: Any, *inputs: Any) -> Operator:
    return _case(build, reference, *inputs, rule="reduction")


def _contract(build: Any, reference: Any, *inputs: Any) -> Operator:
    return _case(build, reference, *inputs, rule="contraction")


def _const(value: float) -> Any:
    return relax.const(value, "float32")


def _indices(*shape: int, below: int) -> Tensor:
    return Tensor(shape, "int64", below)


OPERATORS: dict[str, Operator] = {
    # Elementwise and broadcast: prime, one, multiples of the lanes, scalars.
    "add": _map(op.add, torch.add, (1, 3, 7, 13), (1, 3, 7, 13)),
    "add_scalar": _map(op.add, torch.add, (), ()),
    "add_one": _map(op.add, torch.add, (1,), (1,)),
    "add_channel": _map(op.add, torch.add, (1, 5, 8, 16), (5, 1, 1)),
    "add_row": _map(op.add, torch.add, (3, 5, 17), (17,)),
    "add_column": _map(op.add, torch.add, (31, 1), (1, 29)),
    "add_large": _map(op.add, torch.add, (1, 9001), (1, 9001)),
    "int64": _map(op.multiply, torch.multiply, _indices(3, 17, below=9), _indices(17, below=9)),
    "int32": _map(op.add, torch.add, Tensor((37,), "int32"), Tensor((37,), "int32")),
    "uint8": _map(op.maximum, torch.maximum, Tensor((5, 33), "uint8"), Tensor((5, 33), "uint8")),
    "bool": _map(op.logical_and, torch.logical_and, Tensor((5, 21), "bool"), Tensor((21,), "bool")),
    "less": _map(op.less, torch.lt, (5, 37), (37,)),
    "cast_int": _map(lambda x: op.astype(x, "int64"), lambda x: x.long(), (3, 19)),
    "float16": _map(op.add, torch.add, Tensor((3, 19), "float16"), Tensor((3, 19), "float16")),
    "where": _map(op.where, torch.where, Tensor((4, 17), "bool"), (4, 17), (17,)),
    "clip": _map(lambda x: op.clip(x, -0.5, 0.5), lambda x: x.clamp(-0.5, 0.5), (7, 11)),
    "gelu": _map(op.nn.gelu, F.gelu, (3, 37)),
    "silu": _map(op.nn.silu, F.silu, (2, 3, 5, 7)),
    "tanh": _map(op.tanh, torch.tanh, (113,)),
    "log": _map(lambda x: op.log(op.exp(x)), lambda x: x, (3, 37)),
    "chain": _map(
        lambda x, y: op.nn.relu(op.add(op.multiply(x, y), x)),
        lambda x, y: F.relu(x * y + x),
        (1, 6, 5, 5),
        (6, 1, 1),
    ),
    # Movement.
    "transpose": _map(
        lambda x: op.permute_dims(x, [0, 2, 3, 1]), lambda x: x.permute(0, 2, 3, 1), (2, 19, 5, 7)
    ),
    "transpose_2d": _map(lambda x: op.permute_dims(x, [1, 0]), lambda x: x.T, (37, 50)),
    "transpose_inner": _map(
        lambda x: op.permute_dims(x, [0, 2, 1, 3]), lambda x: x.permute(0, 2, 1, 3), (1, 9, 4, 16)
    ),
    "reshape": _map(
        lambda x: op.nn.relu(op.reshape(x, (21, 5))), lambda x: F.relu(x.reshape(21, 5)), (3, 5, 7)
    ),
    "concat_channels": _map(
        lambda x, y, z: op.concat([x, y, z], 1),
        lambda x, y, z: torch.cat([x, y, z], 1),
        (2, 3, 5, 7),
        (2, 1, 5, 7),
        (2, 4, 5, 7),
    ),
    "concat_last": _map(
        lambda x, y: op.concat([x, y], -1), lambda x, y: torch.cat([x, y], -1), (5, 13), (5, 29)
    ),
    "pad": _map(
        lambda x: op.nn.pad(x, [0, 0, 1, 2, 3, 1], pad_value=1.5),
        lambda x: F.pad(x, (3, 1, 1, 2), value=1.5),
        (2, 5, 37),
    ),
    "pad_reflect": _map(
        lambda x: op.nn.pad(x, [0, 0, 0, 0, 2, 3], pad_mode="reflect"),
        lambda x: F.pad(x, (2, 3), mode="reflect"),
        (2, 3, 19),
    ),
    "strided_slice": _map(
        lambda x: op.strided_slice(x, [1, 2], [1, 0], [6, 33], [2, 3]),
        lambda x: x[:, 1:6:2, 0:33:3],
        (2, 7, 33),
    ),
    "split": _map(
        lambda x: op.nn.relu(op.split(x, 3, 1)[1]), lambda x: F.relu(x.chunk(3, 1)[1]), (4, 18)
    ),
    "flip": _map(lambda x: op.flip(x, 1), lambda x: x.flip(1), (4, 17)),
    "tile": _map(lambda x: op.tile(x, (2, 3)), lambda x: x.tile(2, 3), (4, 5)),
    "take": _map(lambda x, i: op.take(x, i, 0), lambda x, i: x[i], (10, 19), _indices(7, below=10)),
    "take_last": _map(
        lambda x, i: op.take(x, i, 1), lambda x, i: x[:, i], (3, 10), _indices(21, below=10)
    ),
    "gather_elements": _map(
        lambda x, i: op.gather_elements(x, i, 1),
        lambda x, i: x.gather(1, i),
        (5, 6),
        _indices(5, 19, below=6),
    ),
    "resize_linear": _map(
        lambda x: op.image.resize2d(x, (13, 22), layout="NCHW", method="linear"),
        lambda x: F.interpolate(x, (13, 22), mode="bilinear"),
        (1, 3, 7, 11),
    ),
    "resize_nearest": _map(
        lambda x: op.image.resize2d(
            x,
            (14, 22),
            layout="NCHW",
            method="nearest_neighbor",
            coordinate_transformation_mode="asymmetric",
            rounding_method="floor",
        ),
        lambda x: F.interpolate(x, (14, 22), mode="nearest"),
        (1, 3, 7, 11),
    ),
    "resize_many": _map(
        lambda x: op.image.resize2d(x, (15, 23), layout="NCHW", method="linear"),
        lambda x: F.interpolate(x, (15, 23), mode="bilinear"),
        (1, 17, 7, 11),
    ),
    # Reductions.
    "sum_all": _reduce(lambda x: op.sum(x), torch.sum, (3, 37)),
    "sum_last": _reduce(lambda x: op.sum(x, 1), lambda x: x.sum(1), (3, 1000)),
    "sum_first": _reduce(lambda x: op.sum(x, 0), lambda x: x.sum(0), (7, 37)),
    "sum_middle": _reduce(
        lambda x: op.sum(x, [1], keepdims=True), lambda x: x.sum(1, keepdim=True), (2, 5, 7, 3)
    ),
    "max_last": _reduce(lambda x: op.max(x, -1), lambda x: x.amax(-1), (5, 53)),
    "min_int": _reduce(lambda x: op.min(x, -1), lambda x: x.amin(-1), _indices(5, 53, below=99)),
    "prod": _reduce(lambda x: op.prod(x, 1), lambda x: x.prod(1), (4, 9)),
    "mean_plane": _reduce(lambda x: op.mean(x, [2, 3]), lambda x: x.mean((2, 3)), (1, 19, 7, 7)),
    "variance": _reduce(lambda x: op.variance(x, [1]), lambda x: x.var(1, unbiased=False), (4, 33)),
    "argmax_last": _reduce(lambda x: op.argmax(x, 1), lambda x: x.argmax(1), (3, 47)),
    "argmax_channel": _reduce(lambda x: op.argmax(x, 1), lambda x: x.argmax(1), (2, 5, 7, 11)),
    "softmax": _reduce(lambda x: op.nn.softmax(x, -1), lambda x: x.softmax(-1), (3, 101)),
    "softmax_channel": _reduce(
        lambda x: op.nn.softmax(x, 1), lambda x: x.softmax(1), (2, 5, 9, 13)
    ),
    "softmax_one": _reduce(lambda x: op.nn.softmax(x, -1), lambda x: x.softmax(-1), (4, 1)),
    "log_softmax": _reduce(
        lambda x: op.nn.log_softmax(x, -1), lambda x: x.log_softmax(-1), (3, 17)
    ),
    "layer_norm": _reduce(
        lambda x, g, b: op.nn.layer_norm(x, g, b, [-1]),
        lambda x, g, b: F.layer_norm(x, (67,), g, b),
        (9, 67),
        (67,),
        (67,),
    ),
    "instance_norm": _reduce(
        lambda x, g, b: op.nn.instance_norm(x, g, b, 1, [2, 3]),
        lambda x, g, b: F.instance_norm(x, weight=g, bias=b),
        (2, 5, 7, 9),
        (5,),
        (5,),
    ),
    "group_norm": _reduce(
        lambda x, g, b: op.nn.group_norm(x, g, b, 4, 1, [2, 3]),
        lambda x, g, b: F.group_norm(x, 4, g, b),
        (2, 8, 5, 5),
        (8,),
        (8,),
    ),
    "max_pool": _reduce(
        lambda x: op.nn.max_pool2d(x, (3, 3), (2, 2), (1, 1)),
        lambda x: F.max_pool2d(x, 3, 2, 1),
        (1, 9, 19, 23),
    ),
    "max_pool_1": _reduce(
        lambda x: op.nn.max_pool1d(x, 2, 2), lambda x: F.max_pool1d(x, 2, 2), (1, 3, 37)
    ),
    "avg_pool": _reduce(
        lambda x: op.nn.avg_pool2d(x, (3, 3), (1, 1), (1, 1)),
        lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
        (1, 5, 13, 11),
    ),
    "avg_pool_many": _reduce(
        lambda x: op.nn.avg_pool2d(x, (3, 3), (1, 1), (1, 1)),
        lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
        (1, 33, 13, 11),
    ),
    "depthwise": _reduce(
        lambda x, w: op.nn.conv2d(x, w, padding=(1, 1), groups=6),
        lambda x, w: F.conv2d(x, w, padding=1, groups=6),
        (1, 6, 13, 17),
        (6, 1, 3, 3),
    ),
    # Contractions.
    "matmul": _contract(op.matmul, torch.matmul, (37, 29), (29, 43)),
    "matmul_batch": _contract(op.matmul, torch.matmul, (3, 17, 8), (3, 8, 32)),
    "matmul_row": _contract(op.matmul, torch.matmul, (2, 7, 19), (19, 5)),
    "matmul_bias_relu": _contract(
        lambda x, w, b: op.nn.relu(op.add(op.matmul(x, w), b)),
        lambda x, w, b: F.relu(x @ w + b),
        (13, 21),
        (21, 33),
        (33,),
    ),
    "einsum": _contract(
        lambda x, y: op.einsum((x, y), "bij,bkj->bik"),
        lambda x, y: torch.einsum("bij,bkj->bik", x, y),
        (2, 9, 17),
        (2, 5, 17),
    ),
    "conv1d": _contract(
        lambda x, w: op.nn.relu(op.nn.conv1d(x, w, padding=1)),
        lambda x, w: F.relu(F.conv1d(x, w, padding=1)),
        (1, 7, 53),
        (9, 7, 3),
    ),
    "conv2d_dilated": _contract(
        lambda x, w: op.nn.conv2d(x, w, strides=(2, 1), padding=(2, 2), dilation=(2, 2)),
        lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=2, dilation=2),
        (2, 3, 17, 19),
        (5, 3, 3, 3),
    ),
    "conv2d_grouped": _contract(
        lambda x, w: op.nn.conv2d(x, w, padding=(1, 1), groups=2),
        lambda x, w: F.conv2d(x, w, padding=1, groups=2),
        (1, 6, 11, 13),
        (10, 3, 3, 3),
    ),
    "conv3d": _contract(
        lambda x, w: op.nn.conv3d(x, w, padding=(1, 1, 1)),
        lambda x, w: F.conv3d(x, w, padding=1),
        (1, 3, 5, 7, 9),
        (4, 3, 3, 3, 3),
    ),
    # No plain stages.
    "cumsum": _case(lambda x: op.cumsum(x, 1), lambda x: x.cumsum(1), (2, 10, 5), rule="opaque"),
    "scatter_elements": _case(
        lambda x, i, u: op.scatter_elements(x, i, u, 0),
        lambda x, i, u: x.scatter(0, i, u),
        (10, 16),
        _indices(1, 16, below=10),
        (1, 16),
        rule="opaque",
    ),
    "adaptive_pool": _case(
        lambda x: op.nn.adaptive_avg_pool2d(x, (3, 2)),
        lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
        (1, 11, 8, 7),
        rule="opaque",
    ),
}
