"""Builds small models and holds what the passes make of them against onnxruntime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import onnxruntime
from onnx import helper, numpy_helper

from edgewright.compiler.onnx_passes import PASSES, prepare

Array = npt.NDArray[Any]


def node(op_type: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(op_type, list(inputs), list(outputs), **attributes)


def build(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str],
    weights: Mapping[str, Array] | None = None,
    *,
    opset: int = 18,
    dtype: int = onnx.TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model whose inputs are of one type and whose outputs' types are inferred."""
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=min(10, onnx.IR_VERSION)
    )
    return onnx.shape_inference.infer_shapes(model)


def run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    """What onnxruntime computes, none of its own rewrites applied."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    results: list[Array] = session.run(None, dict(feeds))
    return results


def random_feeds(model: onnx.ModelProto, seed: int = 0) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    constants = {item.name for item in model.graph.initializer}
    for value in model.graph.input:
        if value.name in constants:
            continue
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        feeds[value.name] = (generator.standard_normal(shape) * 2).astype(dtype)
    return feeds


def operators(model: ir.Model) -> Counter[str]:
    return Counter(item.op_type for item in model.graph)


def listing(model: ir.Model) -> list[str]:
    """The graph as text, weights as numbers, to tell whether a pass changed anything."""
    lines = [
        f"{item.op_type} {item.name} {[v.name if v else None for v in item.inputs]} "
        f"{[v.name for v in item.outputs]} {sorted(map(str, item.attributes.values()))}"
        for item in model.graph
    ]
    for name, value in sorted(model.graph.initializers.items()):
        assert value.const_value is not None
        lines.append(f"{name} {value.const_value.numpy().tobytes()!r}")
    return lines


def assert_idempotent(prepared: ir.Model) -> None:
    """Every pass leaves a prepared model as it is, and says so."""
    before = listing(prepared)
    model = prepared.clone()
    for phase in PASSES:
        for item in phase():
            result = item(model)
            assert not result.modified, type(item).__name__
            model = result.model
            assert listing(model) == before, type(item).__name__


def assert_agree(
    original: onnx.ModelProto, prepared: onnx.ModelProto, *, seed: int = 0, tolerance: float = 1e-4
) -> None:
    """Both compute the same, within a share of the largest output."""
    feeds = random_feeds(original, seed)
    names = [value.name for value in original.graph.output]
    assert [value.name for value in prepared.graph.output] == names
    for name, want, got in zip(names, run(original, feeds), run(prepared, feeds), strict=True):
        assert want.shape == got.shape and want.dtype == got.dtype, name
        if want.size == 0:
            continue
        largest = float(np.abs(want.astype(np.float64)).max()) or 1.0
        error = float(np.abs(want.astype(np.float64) - got.astype(np.float64)).max())
        assert error <= tolerance * largest, f"{name}: {error} of {largest}"


def check(model: onnx.ModelProto, *, seed: int = 0) -> Counter[str]:
    """Prepare the model, hold it against the original, and count the operators that are left."""
    prepared = prepare(ir.from_proto(model))
    proto = ir.to_proto(prepared)
    onnx.checker.check_model(proto, full_check=True)
    assert_agree(model, proto, seed=seed)
    assert_idempotent(prepared)
    counts = operators(prepared)
    assert "BatchNormalization" not in counts
    return counts


def i64(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def floats(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def apply(pass_: ir.passes.InPlacePass, model: onnx.ModelProto) -> ir.Model:
    """Run one pass twice: the second time must change nothing."""
    changed = ir.from_proto(model)
    pass_(changed)
    assert not pass_(changed).modified
    assert_agree(model, ir.to_proto(changed))
    return changed


def branch(op_type: str, name: str) -> onnx.GraphProto:
    """A branch with a weight of its own that reads ``x`` from outside."""
    return helper.make_graph(
        [node(op_type, ["x", "k"], ["t"]), node("Neg", ["t"], [name])],
        name,
        [],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.array([2.0], np.float32), "k")],
    )
