"""Operators written as ONNX defines them compute what onnxruntime computes with the operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.graph_edits import NODES_KEY
from edgewright.compiler.onnx_passes.supported_operators import SUPPORTED
from tests.compiler.onnx_passes.small_models import Array, build, node, random_feeds, run


def model_of(
    op: str,
    inputs: Mapping[str, Sequence[int]],
    outputs: Sequence[str] = ("y",),
    weights: Mapping[str, Array] | None = None,
    opset: int = 23,
    **attributes: Any,
) -> onnx.ModelProto:
    names = [*inputs, *(weights or {})]
    nodes = [node(op, names, list(outputs), name="n", **attributes)]
    return build(nodes, inputs, [name for name in outputs if name], weights, opset=opset)


HEADS = {"q": (1, 3, 4, 8), "k": (1, 3, 6, 8), "v": (1, 3, 6, 8)}
MASK = {"mask": np.triu(np.full((4, 6), -np.inf, np.float32), 2)}
ANGLES = {
    "cos": np.cos(np.arange(24.0)).reshape(6, 4),
    "sin": np.sin(np.arange(24.0)).reshape(6, 4),
}
CLASSES = {"target": np.array([[1, 0, 2], [2, 2, 1]])}
SCALES = {"scale": np.arange(1, 6, dtype=np.float32), "bias": np.zeros(5, np.float32)}
IMAGE = {"x": (2, 4, 5)}

MODELS = {
    "attention": model_of("Attention", HEADS),
    "attention, masked": model_of("Attention", HEADS, weights=MASK, scale=0.5),
    "attention, causal": model_of("Attention", HEADS, is_causal=1, softcap=2.0),
    "attention of joined heads": model_of(
        "Attention",
        {"q": (2, 4, 24), "k": (2, 6, 24), "v": (2, 6, 24)},
        q_num_heads=3,
        kv_num_heads=3,
    ),
    "attention, weights read": model_of("Attention", HEADS, ("y", "", "", "w")),
    "rotary embedding": model_of(
        "RotaryEmbedding",
        {"x": (1, 3, 6, 8)},
        weights={key: value[None].astype(np.float32) for key, value in ANGLES.items()},
    ),
    "loss": model_of(
        "NegativeLogLikelihoodLoss", {"x": (2, 3, 3)}, weights=CLASSES, opset=18, reduction="sum"
    ),
    "loss of softmax": model_of(
        "SoftmaxCrossEntropyLoss", {"x": (2, 3, 3)}, ("y", "log"), CLASSES, opset=18
    ),
    "layer norm, mean read": model_of(
        "LayerNormalization", IMAGE, ("y", "mean", "inverse"), SCALES, opset=18
    ),
    "rms norm of two axes": model_of(
        "RMSNormalization", IMAGE, weights={"scale": np.ones((4, 5), np.float32)}, axis=1
    ),
    "crop and pad": model_of(
        "CenterCropPad", IMAGE, weights={"shape": np.array([7, 3])}, opset=18, axes=[1, 2]
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_definition_computes_the_same(name: str) -> None:
    model = MODELS[name]
    prepared = prepare(ir.from_proto(model))
    assert all(each.op_type in SUPPORTED and each.domain == "" for each in prepared.graph)
    feeds = random_feeds(model)
    for want, got in zip(run(model, feeds), run(ir.to_proto(prepared), feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_new_nodes_name_the_operator_they_compute() -> None:
    prepared = prepare(ir.from_proto(MODELS["attention"]))
    named = {each.metadata_props.get(NODES_KEY) for each in prepared.graph}
    assert named == {"n"}


def test_a_hann_window_is_a_constant() -> None:
    weights = {"size": np.array(8, np.int64)}
    nodes = [node("HannWindow", ["size"], ["w"]), node("Mul", ["x", "w"], ["y"])]
    model = build(nodes, {"x": (3, 8)}, ["y"], weights)
    prepared = prepare(ir.from_proto(model))
    assert [each.op_type for each in prepared.graph] == ["Mul"]
    feeds = random_feeds(model)
    np.testing.assert_allclose(run(ir.to_proto(prepared), feeds)[0], run(model, feeds)[0], 1e-6)
