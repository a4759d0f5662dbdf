"""Bodies of ``Loop`` and ``Scan``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.compiler.onnx_passes.small_models import Array, node

KEEP_GOING = node("Identity", ["going"], ["goes_on"])


def body(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[str],
    outputs: Sequence[str],
    weights: Mapping[str, Array] | None = None,
) -> onnx.GraphProto:
    """A graph of float32 values of unknown shape."""
    return helper.make_graph(
        list(nodes),
        "body",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )


def loop_body(
    nodes: Sequence[onnx.NodeProto],
    states: Sequence[str] = ("state",),
    following: Sequence[str] = ("next",),
    weights: Mapping[str, Array] | None = None,
    prefix: str = "",
) -> onnx.GraphProto:
    """A body that also takes ``number`` and ``going``, and also gives ``goes_on``."""
    graph = body(nodes, states, following, weights)
    made = helper.make_graph(
        graph.node,
        "body",
        [
            helper.make_tensor_value_info(f"{prefix}number", TensorProto.INT64, []),
            helper.make_tensor_value_info(f"{prefix}going", TensorProto.BOOL, []),
            *graph.input,
        ],
        [
            helper.make_tensor_value_info(f"{prefix}goes_on", TensorProto.BOOL, []),
            *graph.output,
        ],
        graph.initializer,
    )
    return made
