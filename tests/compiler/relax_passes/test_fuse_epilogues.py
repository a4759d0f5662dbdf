"""What joins a convolution's chain, and what must not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from tvm import relax

from edgewright.compiler.import_model import import_model
from edgewright.compiler.read_relax import op_name
from edgewright.compiler.relax_passes.fuse_epilogues import Fused, fuse_epilogues
from edgewright.schedules.workload import Activation
from tests.compiler.graphs import Array, model, node, weights

X = {"x": (1, 8, 6, 6)}
Y = (1, 8, 6, 6)


def chains(made: onnx.ModelProto) -> list[Fused]:
    imported = import_model(made)
    main = imported.module["main"]
    bindings = [binding for block in main.body.blocks for binding in block.bindings]
    result = main.body.body
    outputs = list(result.fields) if isinstance(result, relax.Tuple) else [result]
    return list(fuse_epilogues(bindings, outputs, imported.activations).values())


def conv_model(
    nodes: Sequence[onnx.NodeProto], constants: dict[str, Array], outputs: Sequence[str] = ("y",)
) -> onnx.ModelProto:
    return model(nodes, X, dict.fromkeys(outputs, Y), {"w": weights(8, 8, 3, 3), **constants})


CONV = node("Conv", "x w", "c", pads=[1, 1, 1, 1])


def test_case_1_a_constant_for_each_channel_is_the_bias() -> None:
    bias = np.arange(8, dtype=np.float32)
    made = conv_model([CONV, node("Add", "b c", "y")], {"b": bias.reshape(8, 1, 1)})
    (chain,) = chains(made)
    np.testing.assert_array_equal(chain.bias, bias)
    assert chain.epilogue.bias and not chain.epilogue.residual


def test_case_1_two_biases_add_up() -> None:
    bias = np.arange(8, dtype=np.float32)
    conv = node("Conv", "x w b", "c", pads=[1, 1, 1, 1])
    made = conv_model([conv, node("Add", "c s", "y")], {"b": bias, "s": np.float32([[[2.0]]])})
    (chain,) = chains(made)
    np.testing.assert_array_equal(chain.bias, bias + 2)


@pytest.mark.parametrize("shape", [(6,), (1, 1, 6), (1, 8, 6, 6)])
def test_case_1_a_constant_that_varies_in_space_is_no_bias(shape: tuple[int, ...]) -> None:
    made = conv_model([CONV, node("Add", "c s", "y")], {"s": np.ones(shape, np.float32)})
    (chain,) = chains(made)
    assert chain.bias is None and chain.residual is None


def test_case_2_a_tensor_of_the_same_shape_is_the_residual() -> None:
    made = conv_model([CONV, node("Add", "x c", "s"), node("Relu", "s", "y")], {})
    (chain,) = chains(made)
    assert chain.residual is not None and chain.activation == Activation("relu")


def test_case_2_only_one_of_two_convolutions_takes_the_addition() -> None:
    other = node("Conv", "x w2", "d", pads=[1, 1, 1, 1])
    nodes = [CONV, other, node("Add", "c d", "s"), node("Relu", "s", "y")]
    found = chains(conv_model(nodes, {"w2": weights(8, 8, 3, 3, seed=1)}))
    assert sorted(len(chain.members) for chain in found) == [1, 3]


@pytest.mark.parametrize(
    ("operator", "attributes", "expected"),
    [
        ("Relu", {}, Activation("relu")),
        ("Sigmoid", {}, Activation("sigmoid")),
        ("Tanh", {}, Activation("tanh")),
        ("Mish", {}, Activation("mish")),
        ("HardSwish", {}, Activation("hard_swish")),
        ("LeakyRelu", {"alpha": 0.25}, Activation("leaky_relu", alpha=0.25)),
        ("HardSigmoid", {"alpha": 0.5, "beta": 0.25}, Activation("hard_sigmoid", 0, 0, 0.5, 0.25)),
    ],
)
def test_case_3_activations(
    operator: str, attributes: dict[str, float], expected: Activation
) -> None:
    (chain,) = chains(conv_model([CONV, node(operator, "c", "y", **attributes)], {}))
    assert chain.activation == expected


def test_case_3_clip_with_constant_bounds() -> None:
    bounds = {"lo": np.float32(0.0).reshape(()), "hi": np.float32(6.0).reshape(())}
    (chain,) = chains(conv_model([CONV, node("Clip", "c lo hi", "y")], bounds))
    assert chain.activation == Activation("clip", low=0.0, high=6.0)


def test_case_3_a_product_with_its_own_sigmoid_is_silu() -> None:
    nodes = [CONV, node("Sigmoid", "c", "g"), node("Mul", "c g", "y")]
    (chain,) = chains(conv_model(nodes, {}))
    assert chain.activation == Activation("silu") and len(chain.members) == 3


def test_case_3_a_gate_that_is_read_elsewhere_stays() -> None:
    nodes = [CONV, node("Sigmoid", "c", "z"), node("Mul", "c z", "y")]
    (chain,) = chains(conv_model(nodes, {}, outputs=("y", "z")))
    assert chain.activation is None


def test_case_3_nothing_follows_an_activation() -> None:
    nodes = [CONV, node("Relu", "c", "r"), node("Add", "r x", "y")]
    (chain,) = chains(conv_model(nodes, {}))
    assert chain.residual is None and len(chain.members) == 2


def test_a_value_used_twice_ends_the_chain() -> None:
    nodes = [CONV, node("Relu", "c", "y"), node("Sigmoid", "c", "z")]
    (chain,) = chains(conv_model(nodes, {}, outputs=("y", "z")))
    assert len(chain.members) == 1 and op_name(chain.call) == "relax.nn.conv2d"


def test_a_model_output_ends_the_chain() -> None:
    (chain,) = chains(conv_model([CONV, node("Relu", "c", "y")], {}, outputs=("c", "y")))
    assert chain.activation is None


def test_a_convolution_with_computed_weights_has_no_chain() -> None:
    made = model(
        [node("Relu", "v", "w"), CONV, node("Relu", "c", "y")],
        {**X, "v": (8, 8, 3, 3)},
        {"y": Y},
    )
    assert chains(made) == []
