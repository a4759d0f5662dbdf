"""One-node models of ``LSTM``, ``GRU`` and ``RNN``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from edgewright.compiler.onnx_passes import prepare
from tests.compiler.onnx_passes.small_models import Array, check, node, random_feeds, run

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 4, 6

#: Names of the operators' inputs, in order.
_INPUTS = ("x", "w", "r", "b", "lengths", "first_h", "first_c", "p")


def recurrent(
    op_type: str,
    *,
    steps: int = STEPS,
    bias: bool = True,
    first: bool = False,
    peepholes: bool = False,
    lengths: Array | None = None,
    computed: tuple[str, ...] = (),
    outputs: str = "",
    opset: int = 18,
    largest: float = 0.8,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one recurrent operator.

    Args:
        op_type: the operator.
        steps: length of the sequence.
        bias: whether it has biases.
        first: whether it has initial states, which are constants.
        peepholes: whether it has peepholes.
        lengths: of each sequence, a constant.
        computed: inputs that are inputs of the model instead of constants.
        outputs: names of the outputs in order, "_" for an absent one; by default all.
        opset: of the model.
        largest: of the weights; activations without a bound need small ones.
        attributes: of the node; ``direction`` and ``layout`` decide shapes.
    """
    gates = GATES[op_type]
    count = 2 if attributes.get("direction") == "bidirectional" else 1
    batch_first = attributes.get("layout", 0) == 1
    random = np.random.default_rng(3)

    def numbers(*shape: int) -> Array:
        return random.uniform(-largest, largest, shape).astype(np.float32)

    state = (BATCH, count, HIDDEN) if batch_first else (count, BATCH, HIDDEN)
    sequence = (BATCH, steps, INPUTS) if batch_first else (steps, BATCH, INPUTS)
    values: dict[str, Array] = {
        "x": numbers(*sequence),
        "w": numbers(count, gates * HIDDEN, INPUTS),
        "r": numbers(count, gates * HIDDEN, HIDDEN),
    }
    if bias:
        values["b"] = numbers(count, 2 * gates * HIDDEN)
    if lengths is not None or "lengths" in computed:
        values["lengths"] = np.zeros(BATCH, np.int32) if lengths is None else lengths
    if first:
        values["first_h"] = numbers(*state)
        if op_type == "LSTM":
            values["first_c"] = numbers(*state)
    if peepholes:
        values["p"] = numbers(count, 3 * HIDDEN)
    return _model(op_type, values, ("x", *computed), outputs, opset, attributes)


def _model(
    op_type: str,
    values: Mapping[str, Array],
    given: tuple[str, ...],
    outputs: str,
    opset: int,
    attributes: dict[str, Any],
) -> onnx.ModelProto:
    names = [name if name in values else "" for name in _INPUTS]
    while not names[-1]:
        names.pop()
    outs = (outputs or ("y y_h y_c" if op_type == "LSTM" else "y y_h")).split()
    made = node(
        op_type,
        names,
        ["" if name == "_" else name for name in outs],
        hidden_size=HIDDEN,
        name="cell",
        **attributes,
    )
    graph = helper.make_graph(
        [made],
        "recurrent",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(values[name].dtype), values[name].shape
            )
            for name in given
        ],
        [onnx.ValueInfoProto(name=name) for name in outs if name != "_"],
        [
            numpy_helper.from_array(array, name)
            for name, array in values.items()
            if name not in given
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=min(10, onnx.IR_VERSION)
    )
    return onnx.shape_inference.infer_shapes(model)


def check_lengths(op_type: str, **attributes: Any) -> None:
    """Lengths known at run time only, some of them zero, against onnxruntime."""
    model = recurrent(op_type, computed=("lengths",), **attributes)
    prepared = ir.to_proto(prepare(ir.from_proto(model)))
    for lengths in ([STEPS, 3, 1], [1, 2, 3], [0, 1, STEPS - 1], [0, 0, 0]):
        feeds = random_feeds(model)
        feeds["lengths"] = np.array(lengths, np.int32)
        for want, got in zip(run(model, feeds), run(prepared, feeds), strict=True):
            assert want.shape == got.shape
            assert np.abs(want - got).max() <= 1e-5, lengths


def check_batch_first(op_type: str, **attributes: Any) -> None:
    """Layout 1, which onnxruntime lacks, against layout 0 with its axes exchanged."""
    model = recurrent(op_type, layout=1, **attributes)
    prepared = ir.to_proto(prepare(ir.from_proto(model)))
    feeds = random_feeds(model)
    plain = recurrent(op_type, **attributes)
    for tensor in plain.graph.initializer:
        other = next(item for item in model.graph.initializer if item.name == tensor.name)
        values = numpy_helper.to_array(other)
        if tensor.name.startswith("first"):
            values = np.ascontiguousarray(values.transpose(1, 0, 2))
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    whole, *states = run(plain, {"x": np.ascontiguousarray(feeds["x"].transpose(1, 0, 2))})
    wanted = [whole.transpose(2, 0, 1, 3), *(state.transpose(1, 0, 2) for state in states)]
    for want, got in zip(wanted, run(prepared, feeds), strict=True):
        assert want.shape == got.shape
        assert np.abs(want - got).max() <= 1e-5


def check_activations(op_type: str, count: int) -> None:
    """Every activation of ONNX's list in one model or another, numbers given and left out.

    Args:
        op_type: the operator.
        count: how many activations one direction has.
    """
    for name in ("Relu", "Softsign", "Softplus", "Elu", "LeakyRelu", "HardSigmoid", "Tanh"):
        check(recurrent(op_type, largest=0.2, activations=[name] * count))
    alpha = [float(number) for number in np.linspace(0.2, 0.7, 2 * count)]
    beta = [float(number) for number in np.linspace(0.1, 0.4, 2 * count)]
    for name in ("Elu", "LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Affine", "ScaledTanh"):
        model = recurrent(
            op_type,
            largest=0.2,
            direction="bidirectional",
            activations=[name] * (2 * count),
            activation_alpha=alpha,
            activation_beta=beta,
        )
        check(model)
