"""Models of one ONNX node, imported as the compiler does, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tvm.relax.frontend.onnx import from_onnx

from edgewright.schedules.rules.contract import violations
from edgewright.spec.target import Target
from tests.schedules.rules.legalized import legalized, run, scheduled

_ROI = ""


def _ints(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def _floats(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


#: Operator, shapes of its inputs, its attributes, its constant inputs (None: a graph input).
CASES: dict[str, tuple[str, list[tuple[int, ...]], dict[str, Any], list[Any]]] = {
    "lrn": ("LRN", [(1, 7, 5, 9)], {"size": 5, "alpha": 1e-3, "beta": 0.75}, [None]),
    "global_average_pool": ("GlobalAveragePool", [(1, 13, 7, 7)], {}, [None]),
    "average_pool": (
        "AveragePool",
        [(1, 3, 9, 11)],
        {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [1, 1, 0, 1]},
        [None],
    ),
    "max_pool": (
        "MaxPool",
        [(1, 3, 15, 13)],
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
        [None],
    ),
    "gemm": ("Gemm", [(3, 17)], {"transB": 1}, [None, _floats(11, 17), _floats(11)]),
    "matmul": ("MatMul", [(2, 3, 9, 17), (2, 3, 17, 5)], {}, [None, None]),
    "layer_norm": ("LayerNormalization", [(5, 37)], {}, [None, _floats(37), _floats(37)]),
    "instance_norm": (
        "InstanceNormalization",
        [(2, 3, 5, 7)],
        {},
        [None, _floats(3), _floats(3)],
    ),
    "batch_norm": (
        "BatchNormalization",
        [(2, 3, 5, 7)],
        {},
        [None, _floats(3), _floats(3), _floats(3), np.abs(_floats(3)) + 0.5],
    ),
    "conv1d": ("Conv", [(1, 4, 31)], {"pads": [2, 2]}, [None, _floats(6, 4, 5), _floats(6)]),
    "conv_transpose": (
        "ConvTranspose",
        [(1, 4, 7, 9)],
        {"strides": [2, 2], "pads": [1, 1, 1, 1]},
        [None, _floats(4, 5, 4, 4), _floats(5)],
    ),
    "prelu": ("PRelu", [(1, 3, 5, 7)], {}, [None, _floats(3, 1, 1)]),
    "hard_swish": ("HardSwish", [(1, 3, 5, 7)], {}, [None]),
    "elu": ("Elu", [(3, 37)], {}, [None]),
    "softplus": ("Softplus", [(3, 37)], {}, [None]),
    "erf": ("Erf", [(3, 37)], {}, [None]),
    "pow": ("Pow", [(3, 37)], {}, [None, np.float32(2.0)]),
    "reduce_l2": ("ReduceL2", [(3, 5, 7)], {"keepdims": 0}, [None, _ints(1)]),
    "reduce_log_sum_exp": ("ReduceLogSumExp", [(3, 5, 7)], {}, [None, _ints(2)]),
    "arg_max": ("ArgMax", [(3, 5, 7)], {"axis": 1}, [None]),
    "depth_to_space": ("DepthToSpace", [(1, 8, 3, 5)], {"blocksize": 2}, [None]),
    "space_to_depth": ("SpaceToDepth", [(1, 2, 6, 4)], {"blocksize": 2}, [None]),
    "expand": ("Expand", [(3, 1, 7)], {}, [None, _ints(2, 3, 5, 7)]),
    "gather": ("Gather", [(9, 17)], {"axis": 1}, [None, _ints(0, 16, 3, 3)]),
    "slice_backwards": (
        "Slice",
        [(5, 19)],
        {},
        [None, _ints(17), _ints(2), _ints(1), _ints(-2)],
    ),
    "resize_cubic": (
        "Resize",
        [(1, 2, 5, 7)],
        {"mode": "cubic"},
        [None, _ROI, _ROI, _ints(1, 2, 11, 13)],
    ),
    "resize_linear": (
        "Resize",
        [(1, 3, 6, 5)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        [None, _ROI, _ROI, _ints(1, 3, 13, 17)],
    ),
    "pad_edge": ("Pad", [(2, 3, 17)], {"mode": "edge"}, [None, _ints(0, 0, 2, 0, 0, 3)]),
}


def _model(name: str) -> onnx.ModelProto:
    operator, shapes, attributes, operands = CASES[name]
    names: list[str] = []
    initializers, inputs = [], []
    for position, operand in enumerate(operands):
        label = f"i{position}"
        if isinstance(operand, str):
            label = ""
        elif operand is None:
            shape = shapes[len(inputs)]
            inputs.append(helper.make_tensor_value_info(label, TensorProto.FLOAT, shape))
        else:
            initializers.append(numpy_helper.from_array(np.asarray(operand), label))
        names.append(label)
    node = helper.make_node(operator, names, ["y"], **attributes)
    dtype = TensorProto.INT64 if operator == "ArgMax" else TensorProto.FLOAT
    output = helper.make_tensor_value_info("y", dtype, None)
    graph = helper.make_graph([node], name, inputs, [output], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


@pytest.mark.parametrize("name", CASES)
def test_node_agrees_with_onnxruntime(name: str, host: Target) -> None:
    model = _model(name)
    module = legalized(from_onnx(model, keep_params_in_input=False), host)
    module, answers = scheduled(module, host)
    assert answers, "the node was folded away"
    for kernel, answer in answers.items():
        assert violations(answer.func) == (), kernel

    generator = np.random.default_rng(2)
    feeds = {
        value.name: generator.standard_normal(
            [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for value in model.graph.input
    }
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, feeds)
    (found,) = run(module, host, list(feeds.values()))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
