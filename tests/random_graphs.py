"""Random small models of supported operators, and what becomes of them.

    python -m tests.random_graphs 10000 --seed 1     # from the project's root: prints what differs

The choices come from a function that draws an integer between two bounds, so that hypothesis can
make them, and shrink them, as well as a seeded generator.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from edgewright.compiler.lower import lower
from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.verify.reference import OnnxRuntimeRunner
from edgewright.deploy.local_library import LocalLinker
from edgewright.spec.target import host_target

Array = npt.NDArray[Any]
#: An integer between two bounds, both included.
Draw = Callable[[int, int], int]

MOST_NODES = 10
UNARY = (
    "Relu Sigmoid Tanh HardSwish HardSigmoid LeakyRelu Elu Softplus Abs Neg Exp Erf Floor Gelu "
    "Selu Mish Softsign Sign"
).split()
BINARY = "Add Sub Mul Max Min".split()
REDUCTIONS = "ReduceMean ReduceSum ReduceMax ReduceMin ReduceL2".split()


@dataclass
class Graph:
    """A model that grows node by node.

    Attributes:
        draw: makes the choices.
        values: shapes by name, of inputs and everything computed.
    """

    draw: Draw
    values: dict[str, tuple[int, ...]] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)

    def pick(self, choices: Any) -> Any:
        """One of several."""
        listed = list(choices)
        return listed[self.draw(0, len(listed) - 1)]

    def constant(self, shape: tuple[int, ...], scale: float = 1.0) -> str:
        """Normal-distributed weights."""
        rng = np.random.default_rng(len(self.constants))
        return self.fixed((rng.standard_normal(shape) * scale).astype(np.float32))

    def fixed(self, array: Array) -> str:
        """A constant."""
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def add(self, op: str, inputs: list[str], shape: tuple[int, ...], **attributes: Any) -> None:
        """A node with one output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"n_{name}", **attributes))
        self.values[name] = shape

    def model(self) -> onnx.ModelProto:
        """The checked model; what nobody reads is an output."""
        read = {name for node in self.nodes for name in node.input}
        made = [name for node in self.nodes for name in node.output]
        tensors = helper.make_tensor_value_info
        inputs = [n for n in self.values if n.startswith("x")]
        graph = helper.make_graph(
            self.nodes,
            "random",
            [tensors(n, TensorProto.FLOAT, self.values[n]) for n in inputs],
            [tensors(n, TensorProto.FLOAT, self.values[n]) for n in made if n not in read],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opset = helper.make_opsetid("", 20)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model


def random_model(draw: Draw) -> onnx.ModelProto:
    """A model of one or two images and a few operators."""
    graph = Graph(draw)
    shape = (1, draw(1, 20), draw(1, 12), draw(1, 12))
    for index in range(draw(1, 2)):
        graph.values[f"x{index}"] = shape
    for _ in range(draw(1, MOST_NODES)):
        source = graph.pick(graph.values)
        steps = [step for step in STEPS if step.fits(graph.values[source])]
        graph.pick(steps).emit(graph, source)
    return graph.model()


@dataclass(frozen=True)
class Step:
    """How one kind of node is added.

    Attributes:
        emit: adds it, on a value.
        rank: what the value's rank must be; 0: any.
    """

    emit: Callable[[Graph, str], None]
    rank: int = 0

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a value of this shape will do."""
        return self.rank in (0, len(shape)) and len(shape) > 0


def _unary(graph: Graph, x: str) -> None:
    op = graph.pick(UNARY)
    # Exp of what other operators have made large overflows.
    source = x
    if op == "Exp":
        graph.add("Tanh", [x], graph.values[x])
        source = f"v{len(graph.nodes) - 1}"
    graph.add(op, [source], graph.values[x])


def _clip(graph: Graph, x: str) -> None:
    low = graph.fixed(np.float32(-graph.draw(0, 2)))
    high = graph.fixed(np.float32(graph.draw(1, 6)))
    graph.add("Clip", [x, low, high], graph.values[x])


def _binary(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    equal = [name for name, other in graph.values.items() if other == shape]
    channel = (shape[1], *[1] * (len(shape) - 2)) if len(shape) > 1 else shape
    other = graph.pick(equal) if graph.draw(0, 1) else graph.constant(channel)
    graph.add(graph.pick(BINARY), [x, other], shape)


def _window(graph: Graph, shape: tuple[int, ...]) -> dict[str, list[int]]:
    """A kernel that fits, with strides, pads below it and dilations."""
    kernel, strides, dilations = [], [], []
    pads: list[tuple[int, int]] = []
    for extent in shape[2:]:
        size = graph.draw(1, min(5, extent))
        dilation = graph.draw(1, 2) if (size - 1) * 2 + 1 <= extent else 1
        kernel.append(size)
        dilations.append(dilation)
        strides.append(graph.draw(1, 3))
        pads.append((graph.draw(0, size - 1), graph.draw(0, size - 1)))
    flat = [pair[0] for pair in pads] + [pair[1] for pair in pads]
    return {"kernel_shape": kernel, "strides": strides, "pads": flat, "dilations": dilations}


def _slid(shape: tuple[int, ...], window: dict[str, list[int]]) -> tuple[int, ...]:
    rank = len(shape) - 2
    extents = []
    for i in range(rank):
        span = (window["kernel_shape"][i] - 1) * window["dilations"][i] + 1
        room = shape[2 + i] + window["pads"][i] + window["pads"][rank + i] - span
        extents.append(room // window["strides"][i] + 1)
    return (*shape[:2], *extents)


def _conv(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    window = _window(graph, shape)
    groups = graph.pick([g for g in (1, 2, 4, shape[1]) if shape[1] % g == 0])
    outputs = groups * graph.draw(1, 20 if groups == 1 else 3)
    fan_in = shape[1] // groups * int(np.prod(window["kernel_shape"]))
    weights = graph.constant((outputs, shape[1] // groups, *window["kernel_shape"]), fan_in**-0.5)
    inputs = [x, weights] + ([graph.constant((outputs,))] if graph.draw(0, 1) else [])
    batch, _, *extents = _slid(shape, window)
    graph.add("Conv", inputs, (batch, outputs, *extents), group=groups, **window)


def _pool(graph: Graph, x: str) -> None:
    window = _window(graph, graph.values[x])
    op = graph.pick(["MaxPool", "AveragePool"])
    if op == "AveragePool":
        window["dilations"] = [1] * len(window["dilations"])
    shape = _slid(graph.values[x], window)
    options: dict[str, Any] = dict(window)
    if op == "AveragePool":
        options["count_include_pad"] = graph.draw(0, 1)
    graph.add(op, [x], shape, **options)


def _global_pool(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    op = graph.pick(["GlobalAveragePool", "GlobalMaxPool"])
    graph.add(op, [x], (*shape[:2], *[1] * (len(shape) - 2)))


def _batch_norm(graph: Graph, x: str) -> None:
    channels = graph.values[x][1]
    rng = np.random.default_rng(channels)
    numbers = [graph.fixed(rng.uniform(0.5, 1.5, channels).astype(np.float32)) for _ in range(4)]
    graph.add("BatchNormalization", [x, *numbers], graph.values[x])


def _transpose(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    order = list(range(len(shape)))
    a, b = graph.draw(1, len(shape) - 1), graph.draw(1, len(shape) - 1)
    order[a], order[b] = order[b], order[a]
    graph.add("Transpose", [x], tuple(shape[i] for i in order), perm=order)


def _flatten(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    graph.add("Flatten", [x], (shape[0], int(np.prod(shape[1:]))), axis=1)


def _matrix(graph: Graph, x: str) -> None:
    rows, width = graph.values[x]
    outputs = graph.draw(1, 24)
    weights = graph.constant((width, outputs), width**-0.5)
    if graph.draw(0, 1):
        graph.add("Gemm", [x, weights, graph.constant((outputs,))], (rows, outputs))
    else:
        graph.add("MatMul", [x, weights], (rows, outputs))


def _reduction(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    axis = graph.draw(1, len(shape) - 1)
    kept = tuple(1 if i == axis else extent for i, extent in enumerate(shape))
    graph.add(graph.pick(REDUCTIONS), [x, graph.fixed(np.int64([axis]))], kept, keepdims=1)


def _softmax(graph: Graph, x: str) -> None:
    axis = graph.draw(1, len(graph.values[x]) - 1)
    graph.add(graph.pick(["Softmax", "LogSoftmax"]), [x], graph.values[x], axis=axis)


def _concat(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    axis = graph.draw(1, len(shape) - 1)
    alike = [
        name
        for name, other in graph.values.items()
        if len(other) == len(shape)
        and all(a == b for i, (a, b) in enumerate(zip(other, shape, strict=True)) if i != axis)
    ]
    parts = [x, *[graph.pick(alike) for _ in range(graph.draw(1, 2))]]
    extent = sum(graph.values[part][axis] for part in parts)
    graph.add("Concat", parts, (*shape[:axis], extent, *shape[axis + 1 :]), axis=axis)


def _slice(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    axis = graph.draw(1, len(shape) - 1)
    start = graph.draw(0, shape[axis] - 1)
    end, step = graph.draw(start + 1, shape[axis]), graph.draw(1, 2)
    numbers = [graph.fixed(np.int64([value])) for value in (start, end, axis, step)]
    extent = -(-(end - start) // step)
    graph.add("Slice", [x, *numbers], (*shape[:axis], extent, *shape[axis + 1 :]))


def _pad(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    rank = len(shape)
    before = [0, *[graph.draw(0, 2) for _ in range(rank - 1)]]
    after = [0, *[graph.draw(0, 2) for _ in range(rank - 1)]]
    pads = graph.fixed(np.int64([*before, *after]))
    extents = [e + b + a for e, b, a in zip(shape, before, after, strict=True)]
    graph.add("Pad", [x, pads], tuple(extents), mode=graph.pick(["constant", "edge"]))


def _resize(graph: Graph, x: str) -> None:
    shape = graph.values[x]
    factors = [graph.draw(1, 2) for _ in shape[2:]]
    scales = graph.fixed(np.float32([1, 1, *factors]))
    mode = graph.pick(["nearest", "linear"])
    extents = [e * f for e, f in zip(shape[2:], factors, strict=True)]
    graph.add("Resize", [x, "", scales], (*shape[:2], *extents), mode=mode)


STEPS = (
    *[Step(_unary)] * 3,
    Step(_clip),
    *[Step(_binary)] * 2,
    *[Step(_conv, 4)] * 4,
    *[Step(_pool, 4)] * 2,
    Step(_global_pool, 4),
    Step(_batch_norm, 4),
    Step(_transpose, 4),
    Step(_flatten, 4),
    *[Step(_matrix, 2)] * 2,
    Step(_reduction, 4),
    Step(_softmax),
    *[Step(_concat)] * 2,
    Step(_slice),
    Step(_pad, 4),
    Step(_resize, 4),
)


class Comparison:
    """Models compiled for this machine against onnxruntime, as long as its context lives."""

    def __init__(self) -> None:
        self.target = host_target()
        self.linker = LocalLinker(self.target)

    def __enter__(self) -> Comparison:
        self.linker.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.linker.__exit__(None, None, None)

    def difference(self, model: onnx.ModelProto) -> float:
        """Largest difference of any output, as a share of its largest value; inf for NaN."""
        rng = np.random.default_rng(0)
        feeds = {
            value.name: rng.standard_normal(
                [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            ).astype(np.float32)
            for value in model.graph.input
        }
        with OnnxRuntimeRunner(model.SerializeToString()) as reference:
            expected = reference.infer(feeds)
        prepared = ir.to_proto(prepare(ir.from_proto(model)))
        actual = self.linker.run(lower(prepared, self.target, name="model"), feeds)
        worst = 0.0
        for name, want in expected.items():
            got = actual[name]
            assert got.shape == want.shape and got.dtype == want.dtype, name
            if not np.isfinite(got).all():
                return float("inf")
            largest = max(float(np.abs(want).max()), 1e-3)
            worst = max(worst, float(np.abs(got.astype(np.float64) - want).max()) / largest)
        return worst


def main() -> int:
    """Compare many models of a seeded generator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    failed = 0
    with Comparison() as comparison:
        for number in range(options.count):
            rng = np.random.default_rng([options.seed, number])
            model = random_model(lambda low, high, rng=rng: int(rng.integers(low, high + 1)))
            try:
                difference = comparison.difference(model)
            except Exception as error:
                difference = float("nan")
                print(f"{number}: {type(error).__name__}: {error}", flush=True)
            if not difference <= options.tolerance:
                failed += 1
                print(f"{number}: {difference:g}", flush=True)
                print(onnx.printer.to_text(model.graph), flush=True)
    print(f"{options.count} models, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
