"""The compiler's answer: steps, memory, C and weights."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest

from edgewright.compiler.lower import Compiled, lower
from edgewright.compiler.options import Options
from edgewright.spec.errors import TargetError, UsageError
from edgewright.spec.target import CORES, host_target, parse_target
from tests.compiler.graphs import model, node, weights
from tests.compiler.load_object import undefined_symbols

#: What a kernel may ask of the board: functions of the C library and of the compiler's runtime.
BOARD_SYMBOLS = re.compile(
    r"^(mem(cpy|set|move)|(exp|log|pow|tanh|sqrt|sin|cos|erf|floor|ceil|round|trunc|fmod|nearbyint"
    r"|rint|fma|fmin|fmax|fabs|roundeven)[a-z0-9]*f?|__[a-z0-9_]+|_GLOBAL_OFFSET_TABLE_)$"
)


def network() -> onnx.ModelProto:
    """A convolution with everything fused, a pooling, a softmax that no kernel of ours takes."""
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f d", "g", transB=1),
        node("Softmax", "g", "y", axis=1),
    ]
    constants = {"w": weights(8, 3, 3, 3), "b": np.ones(8, np.float32), "d": weights(10, 8)}
    return model(nodes, {"x": (1, 3, 12, 12)}, {"y": (1, 10)}, constants)


def compiled(target: str = "cortex-a72", **options: object) -> Compiled:
    return lower(
        network(),
        parse_target(target),
        name="net",
        options=Options(**options),  # type: ignore[arg-type]
    )


def test_every_node_is_computed_by_some_step() -> None:
    nodes = {name for step in compiled().steps for name in step.nodes}
    assert {"node_c", "node_r", "node_p", "node_g", "node_y"} <= nodes


def test_steps_say_what_they_are() -> None:
    steps = compiled().steps
    assert [step.index for step in steps] == list(range(len(steps)))
    assert steps[0].op == "conv2d" and steps[0].name == "node_c"
    assert all(step.kernel and step.reason and step.tasks >= 1 for step in steps)


def test_inputs_and_outputs() -> None:
    found = compiled()
    assert [str(spec) for spec in found.inputs] == ["x: float32[1, 3, 12, 12]"]
    assert [str(spec) for spec in found.outputs] == ["y: float32[1, 10]"]


@pytest.mark.parametrize("core", [*sorted(CORES), "host"])
def test_objects_need_no_symbol_of_tvm(core: str) -> None:
    for code in compiled(core).objects.values():
        strangers = [s for s in undefined_symbols(code) if not BOARD_SYMBOLS.match(s)]
        assert strangers == []


def test_the_same_model_gives_the_same_bytes() -> None:
    first, second = compiled(), compiled()
    assert first.objects == second.objects
    assert first.sources == second.sources
    assert first.weights == second.weights


def test_the_source_calls_each_step_in_order() -> None:
    source = compiled().sources["model.c"]
    calls = re.findall(r"ew_launch\(context, (\d+), step_(\d+), (\d+)\)", source)
    assert [(int(i), int(s), int(t)) for i, s, t in calls] == [
        (step.index, step.index, step.tasks) for step in compiled().steps
    ]


@pytest.mark.parametrize("embed", [False, True])
def test_weights_are_mapped_or_embedded(embed: bool) -> None:
    source = compiled(embed_weights=embed).sources["model.c"]
    assert (".weights = net_weights" in source) == embed
    assert (".weights = NULL" in source) != embed


def test_equal_constants_are_stored_once() -> None:
    w = weights(8, 8, 3, 3)
    convs = [node("Conv", "x w", "a"), node("Conv", "x v", "b"), node("Add", "a b", "y")]
    shapes = {"x": (1, 8, 6, 6)}, {"y": (1, 8, 4, 4)}
    once = lower(model(convs, *shapes, {"w": w, "v": w}), CORES["cortex-a72"], name="n")
    assert len(once.weights) < 2 * w.nbytes


def concatenated(*parts: str, channels: int, **shapes: tuple[int, ...]) -> Compiled:
    """Two convolutions of x, their concatenation ``c``, a convolution of that."""
    nodes = [
        node("Conv", "x w", "a"),
        node("Conv", "x v", "b"),
        node("Concat", " ".join(parts), "c", axis=1),
        node("Conv", "c u", "y"),
    ]
    constants = {
        "w": weights(8, 3, 1, 1),
        "v": weights(channels, 3, 1, 1, seed=1),
        "u": weights(4, 8 + channels, 1, 1),
    }
    made = model(nodes, {"x": (1, 3, 4, 4)}, {"y": (1, 4, 4, 4), **shapes}, constants)
    return lower(made, CORES["cortex-a72"], name="n")


def test_convolutions_write_straight_into_a_concatenation() -> None:
    assert "gather" not in {step.op for step in concatenated("a", "b", channels=8).steps}


def test_channels_that_end_inside_a_block_are_moved() -> None:
    assert "gather" in {step.op for step in concatenated("b", "a", channels=6).steps}


def test_an_output_tensor_lies_in_the_callers_memory_not_in_a_concatenation() -> None:
    found = concatenated("a", "b", channels=8, a=(1, 8, 4, 4))
    assert [step.op for step in found.steps].count("layout") == 2  # a and y leave the blocks


def test_an_output_that_is_an_input_is_copied() -> None:
    made = model([node("Identity", "x", "y")], {"x": (2, 3)}, {"y": (2, 3)})
    found = lower(made, host_target(), name="copy")
    assert [step.kernel for step in found.steps] == ["copy"]


def test_unknown_cpu_is_refused() -> None:
    target = parse_target({"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a99"})
    with pytest.raises(TargetError, match=r"unknown CPU 'cortex-a99'.*cortex-a7"):
        lower(network(), target, name="net")


def test_unknown_feature_is_refused() -> None:
    raw = {"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "mattr": ["+neoon"]}
    with pytest.raises(TargetError, match=r"unknown CPU feature '\+neoon'.*neon"):
        lower(network(), parse_target(raw), name="net")


def test_an_algorithm_that_no_kernel_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'quantum'.*direct.*--conv-algorithm"):
        compiled(conv_algorithm="quantum")


def test_stages_are_timed_and_told() -> None:
    told: list[tuple[str, float]] = []
    found = lower(
        network(),
        CORES["cortex-a72"],
        name="net",
        progress=lambda stage, fraction: told.append((stage, fraction)),
    )
    assert list(found.stage_seconds) == ["import", "choose", "lower", "plan", "build", "emit"]
    assert [s for s, f in told if f == 1.0] == list(found.stage_seconds)


def test_a_step_names_the_nodes_that_were_folded_into_its_own() -> None:
    made = network()
    made.graph.node[0].metadata_props.add(key="edgewright.nodes", value="conv\nbatch_norm")
    first = lower(made, CORES["cortex-a72"], name="net").steps[0]
    assert first.name == "conv"
    assert first.nodes == ("conv", "batch_norm", "node_r")


def test_a_kernel_behind_a_reshaped_output_keeps_its_name_and_reason() -> None:
    nodes = [
        node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "c", "p"),
        node("Flatten", "p", "y"),
    ]
    made = model(nodes, {"x": (1, 8, 6, 6)}, {"y": (1, 8)}, {"w": weights(8, 8, 3, 3)})
    last = lower(made, CORES["cortex-a72"], name="net").steps[-1]
    assert last.op == "pool2d" and last.nodes == ("node_p",)
    assert "copy" not in last.reason
