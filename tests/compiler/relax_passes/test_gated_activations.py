"""A tensor times its gate, as exporters spell it, and what only looks like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest

from edgewright.compiler.import_model import import_model
from edgewright.compiler.relax_passes.gated_activations import gated_activation
from edgewright.schedules.workload import Activation
from tests.compiler.graphs import Array, model, node

SHAPE = (1, 4, 3, 3)
CONSTANTS: dict[str, Array] = {
    name: np.asarray(value, np.float32)
    for name, value in {
        "zero": 0,
        "sixth": 1 / 6,
        "half": 0.5,
        "root_half": np.sqrt(0.5),
        "one": 1,
        "root_two": np.sqrt(2),
        "factor": 1.702,
        "two": 2,
        "three": 3,
        "six": 6,
    }.items()
}
ERF = [node("Div", "x root_two", "a"), node("Erf", "a", "b"), node("Add", "b one", "c")]
CLIP = [node("Add", "three x", "a"), node("Clip", "a zero six", "c")]
SPELLINGS: dict[str, tuple[Sequence[onnx.NodeProto], Activation]] = {
    "case 1": ([node("Sigmoid", "x", "a"), node("Mul", "x a", "y")], Activation("silu")),
    "case 1, swapped": ([node("Sigmoid", "x", "a"), node("Mul", "a x", "y")], Activation("silu")),
    "case 1, scaled": (
        [node("Sigmoid", "x", "a"), node("Mul", "a x", "b"), node("Mul", "two b", "y")],
        Activation("silu", scale=2.0),
    ),
    "case 2": (
        [node("Mul", "factor x", "a"), node("Sigmoid", "a", "b"), node("Mul", "x b", "y")],
        Activation("swish", alpha=float(np.float32(1.702))),
    ),
    "case 3, divided": (
        [*CLIP, node("Mul", "x c", "d"), node("Div", "d six", "y")],
        Activation("hard_swish"),
    ),
    "case 3, gate divided": (
        [*CLIP, node("Div", "c six", "d"), node("Mul", "x d", "y")],
        Activation("hard_swish"),
    ),
    "case 3, times a sixth": (
        [*CLIP, node("Mul", "x c", "d"), node("Mul", "sixth d", "y")],
        Activation("hard_swish"),
    ),
    "case 3, the operator": ([node("HardSwish", "x", "y")], Activation("hard_swish")),
    "case 3, by its gate": (
        [node("HardSigmoid", "x", "a", alpha=1 / 6, beta=0.5), node("Mul", "x a", "y")],
        Activation("hard_swish"),
    ),
    "case 3, the factor moved": (
        [*CLIP, node("Mul", "x c", "y")],
        Activation("hard_swish", scale=6),
    ),
    "case 4, half last": (
        [*ERF, node("Mul", "x c", "d"), node("Mul", "d half", "y")],
        Activation("gelu"),
    ),
    "case 4, half first": (
        [*ERF, node("Mul", "half x", "d"), node("Mul", "d c", "y")],
        Activation("gelu"),
    ),
    "case 4, half of the gate": (
        [*ERF, node("Mul", "c half", "d"), node("Mul", "x d", "y")],
        Activation("gelu"),
    ),
    "case 4, the factor moved": ([*ERF, node("Mul", "x c", "y")], Activation("gelu", scale=2.0)),
}
OTHERS: dict[str, Sequence[onnx.NodeProto]] = {
    "gate of another": [node("Sigmoid", "z", "a"), node("Mul", "x a", "y")],
    "a square": [node("Mul", "x x", "y")],
    "a sum": [node("Sigmoid", "x", "a"), node("Add", "x a", "y")],
    "quotient": [node("Sigmoid", "x", "a"), node("Div", "x a", "y")],
    "shift of two": [
        node("Add", "x two", "a"),
        node("Clip", "a zero six", "c"),
        node("Mul", "x c", "y"),
    ],
    "bounds of zero and three": [
        node("Add", "x three", "a"),
        node("Clip", "a zero three", "c"),
        node("Mul", "x c", "y"),
    ],
    "another slope": [
        node("HardSigmoid", "x", "a", alpha=0.2, beta=0.5),
        node("Mul", "x a", "y"),
    ],
    "erf of half": [
        node("Mul", "x half", "a"),
        node("Erf", "a", "b"),
        node("Add", "b one", "c"),
        node("Mul", "x c", "y"),
    ],
    "erf without one": [
        node("Mul", "x root_half", "a"),
        node("Erf", "a", "b"),
        node("Mul", "x b", "y"),
    ],
}


def found_in(nodes: Sequence[onnx.NodeProto]) -> tuple[Activation, str] | None:
    """What the model's output is, and the name of the tensor that it is of."""
    read = {name for each in nodes for name in each.input}
    constants = {name: array for name, array in CONSTANTS.items() if name in read}
    inputs = {name: SHAPE for name in ("x", "z") if name in read}
    imported = import_model(model(nodes, inputs, {"y": SHAPE}, constants))
    main = imported.module["main"]
    value_of = {binding.var: binding.value for binding in main.body.blocks[0].bindings}
    result = value_of.get(main.body.body, main.body.body)
    found = gated_activation(result, value_of, imported.activations)
    return None if found is None else (found[0], found[1].name)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_activations_are_recognised(spelling: str) -> None:
    nodes, expected = SPELLINGS[spelling]
    found = found_in(nodes)
    assert found is not None
    activation, source = found
    assert source == "x"
    assert activation == Activation(
        expected.kind, alpha=expected.alpha, scale=pytest.approx(expected.scale, rel=1e-6)
    )


@pytest.mark.parametrize("other", OTHERS)
def test_what_looks_like_one_is_left(other: str) -> None:
    assert found_in(OTHERS[other]) is None
