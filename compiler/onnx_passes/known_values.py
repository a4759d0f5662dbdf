"""What can be said of a loop's body before it runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgewright.compiler.onnx_passes.fold_constants import evaluate_node
from edgewright.compiler.onnx_passes.graph_edits import constant_array, is_onnx
from edgewright.compiler.onnx_passes.lift_constants import constant_tensor

__all__ = ["KnownValues"]

Array = npt.NDArray[np.generic]


class KnownValues:
    """Evaluates the part of a body that its condition depends on.

    That part is closed under iteration: where it reads a state, it holds what computes the state's
    next value too.
    """

    def __init__(self, body: ir.Graph, wanted: Sequence[ir.Value], opset: int) -> None:
        """Find the part.

        Args:
            body: of a ``Loop``: inputs and outputs begin with number and condition.
            wanted: outputs of the body.
            opset: of the model.
        """
        self._body = body
        self._opset = opset
        self._needed: set[ir.Node] = set()
        # Input 2 + i of the body is the state that output 1 + i gives the next iteration.
        following = dict(zip(body.inputs[2:], body.outputs[1:], strict=False))
        pending, seen = list(wanted), set(wanted)
        while pending:
            value = pending.pop()
            producer = value.producer()
            sources: list[ir.Value | None] = [following.get(value)]
            if producer is not None and producer.graph is body:
                self._needed.add(producer)
                sources.extend(producer.inputs)
            for source in sources:
                if source is not None and source not in seen:
                    seen.add(source)
                    pending.append(source)
        self._wanted = seen

    def evaluate(self, given: Sequence[Array | None]) -> list[Array | None]:
        """The outputs after one iteration.

        Args:
            given: the body's inputs; None for one that is not known.

        Returns:
            None for an output that is not known, or that the condition does not depend on.
        """
        known: dict[ir.Value, Array] = {}
        for value, array in zip(self._body.inputs, given, strict=True):
            if array is not None:
                known[value] = array
        for node in self._body:
            if node not in self._needed:
                continue
            results = self._results(node, known)
            if results is not None:
                known.update(zip(node.outputs, results, strict=True))
        return [
            self._array(output, known) if output in self._wanted else None
            for output in self._body.outputs
        ]

    def _array(self, value: ir.Value, known: dict[ir.Value, Array]) -> Array | None:
        return known[value] if value in known else constant_array(value)

    def _results(self, node: ir.Node, known: dict[ir.Value, Array]) -> Sequence[Array] | None:
        if is_onnx(node, "Constant"):
            tensor = constant_tensor(node)
            return None if tensor is None else [np.asarray(tensor.numpy())]
        arrays: list[Array | None] = []
        for value in node.inputs:
            array = None if value is None else self._array(value, known)
            if value is not None and array is None:
                return None
            arrays.append(array)
        if is_onnx(node, "Identity") and arrays[0] is not None:
            return [arrays[0]]
        return evaluate_node(node, arrays, self._opset)
