"""onnxruntime as the reference, and the seeded inputs that both sides are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.compiler.verify.runner import Array
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.tensor import TensorSpec

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["OnnxRuntimeRunner", "index_limits", "seeded_inputs"]

#: Integer inputs that index nothing we can see take 0 and 1: what masks and flags hold.
_DEFAULT_INDEX_LIMIT = 2
#: Operators whose second input indexes their first one, along their attribute ``axis``.
_INDEXING_OPS = frozenset({"Gather", "GatherElements"})
#: Operators that compare their two inputs.
_COMPARING_OPS = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
#: Operators that hand indices on unchanged in value.
_PASSING_OPS = frozenset(
    {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)


class OnnxRuntimeRunner:
    """onnxruntime on the CPU, deterministic.

    Its optimisations are on, unless one of them breaks the model: merging a padding into a pooling
    makes some that onnxruntime itself then refuses. The name says so.

    Args:
        model: path of the ONNX file, or its bytes (which cannot have external data).
        threads: threads within an operator; operators run one after another.
    """

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        self._model = model
        self._threads = threads
        self._session: Any = None
        self.name = "onnxruntime"

    def __enter__(self) -> Self:
        """Load the model.

        Raises:
            UnsupportedModelError: onnxruntime refuses it.
        """
        from onnxruntime import GraphOptimizationLevel, __version__

        self.name = f"onnxruntime {__version__}"
        try:
            self._session = self._open(GraphOptimizationLevel.ORT_ENABLE_ALL)
        except Exception as error:  # its exceptions share no base but this one
            try:
                self._session = self._open(GraphOptimizationLevel.ORT_DISABLE_ALL)
            except Exception:
                raise _refused("load", error) from error
            self.name += ", not optimised"
        return self

    def _open(self, level: Any) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = level
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        # Its threads must not spin on while another engine takes its turn.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        source = self._model if isinstance(self._model, bytes) else str(self._model)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def __exit__(self, *exception: object) -> None:
        """Free the session."""
        self._session = None

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Raises:
            UnsupportedModelError: onnxruntime fails on these inputs.
        """
        names = [output.name for output in self._session.get_outputs()]
        try:
            values = self._session.run(names, dict(inputs))
        except Exception as error:  # its exceptions share no base but this one
            raise _refused("run", error) from error
        return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def _refused(verb: str, error: Exception) -> UnsupportedModelError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UnsupportedModelError(
        f"onnxruntime, the reference, cannot {verb} the model ({first})",
        rule="A bundle holds the reference's outputs, so that it can be verified anywhere.",
        remedy="Check the model with onnx.checker.check_model, or export it again.",
    )


def seeded_inputs(
    specs: Sequence[TensorSpec], seed: int = 0, limits: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """Inputs that every machine makes the same.

    Floats are normal-distributed with mean 0 and variance 1. Integers of 32 bits and more are
    drawn from ``[0, limit)``; shorter ones, which hold quantities and not indices, from their whole
    range.

    Args:
        specs: the inputs to make.
        seed: another seed gives other inputs.
        limits: by name, what indices stay under (see :func:`index_limits`).
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    limits = limits or {}
    made: dict[str, Array] = {}
    for spec in specs:
        dtype = np.dtype(spec.dtype)
        if dtype.kind == "f":
            made[spec.name] = np.asarray(generator.standard_normal(spec.shape)).astype(dtype)
        elif dtype.kind == "b":
            made[spec.name] = np.asarray(generator.integers(0, 2, spec.shape)).astype(dtype)
        elif dtype.itemsize <= 2:
            info = np.iinfo(dtype)
            low, high = int(info.min), int(info.max) + 1
            made[spec.name] = np.asarray(generator.integers(low, high, spec.shape)).astype(dtype)
        else:
            high = max(1, limits.get(spec.name, _DEFAULT_INDEX_LIMIT))
            made[spec.name] = np.asarray(generator.integers(0, high, spec.shape)).astype(dtype)
    return made


def index_limits(model: Any) -> dict[str, int]:
    """What the integer inputs of a model must stay under.

    Case 1: they index constant tables: the smallest table's extent.
    Case 2: they are compared with constants, as lengths are with positions: two above the largest
        constant, so that every comparison comes out both ways.

    Args:
        model: ``onnx.ModelProto`` with its initializers' shapes, and the values of small ones.
    """
    graph = model.graph
    tables = {tensor.name: tensor for tensor in graph.initializer}
    origin = {value.name: value.name for value in graph.input}
    limits: dict[str, int] = {}
    compared: dict[str, int] = {}
    for node in graph.node:
        if node.op_type in _PASSING_OPS and node.input and node.input[0] in origin:
            origin.update((name, origin[node.input[0]]) for name in node.output)
        if node.op_type in _INDEXING_OPS and node.input[1] in origin and node.input[0] in tables:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            name = origin[node.input[1]]
            extent = int(tables[node.input[0]].dims[axis])
            limits[name] = min(extent, limits.get(name, extent))
        if node.op_type in _COMPARING_OPS:
            for given, other in (tuple(node.input), tuple(node.input)[::-1]):
                largest = _largest(tables.get(other)) if given in origin else None
                if largest is not None:
                    name = origin[given]
                    compared[name] = max(largest + 2, compared.get(name, _DEFAULT_INDEX_LIMIT))
    return {**compared, **limits}


def _largest(tensor: Any) -> int | None:
    """The largest number of a small integer tensor that holds its values, or None."""
    from onnx import numpy_helper

    if tensor is None or len(tensor.external_data) or 0 in tensor.dims:
        return None
    array = numpy_helper.to_array(tensor)
    return int(array.max()) if array.dtype.kind == "i" else None
