"""Computes with float16 in float32."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["WidenFloat16"]


class WidenFloat16(NodeRewrite):
    """Converts operands and rounds results, as onnxruntime does on CPUs.

    Case 1: an operator that computes with numbers of float16: its inputs are converted to float32,
        and its result back. In float16 every addition of a sum would round, and sums above 65504
        overflow.
    Case 2: an operand that case 1 has just rounded: it is read as it was before. Neighbours so pass
        on float32, and what is rounded is what moves, what is stored by its type, and outputs.
    """

    operators: ClassVar[tuple[str, ...]] = (
        "Abs",
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Clip",
        "Conv",
        "ConvTranspose",
        "Cos",
        "CumSum",
        "Div",
        "Einsum",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "Gemm",
        "GlobalAveragePool",
        "GlobalLpPool",
        "GlobalMaxPool",
        "GroupNormalization",
        "HardSigmoid",
        "HardSwish",
        "InstanceNormalization",
        "LayerNormalization",
        "LeakyRelu",
        "Log",
        "LogSoftmax",
        "LpNormalization",
        "LpPool",
        "MatMul",
        "Max",
        "MaxPool",
        "MeanVarianceNormalization",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "PRelu",
        "Pow",
        "RMSNormalization",
        "Reciprocal",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceMean",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
        "Relu",
        "Selu",
        "Sigmoid",
        "Sin",
        "Softmax",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Tanh",
        "ThresholdedRelu",
        "Where",
    )

    def __init__(self) -> None:
        """Start with nothing rounded."""
        super().__init__()
        self._before_rounding: dict[ir.Value, ir.Value] = {}

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        narrow = ir.DataType.FLOAT16
        if len(node.outputs) > 1 or all(
            value is None or value.dtype != narrow for value in node.inputs
        ):
            return None
        inputs = [
            self._widen(value, make, f"input_{index}")
            if value is not None and value.dtype == narrow
            else value
            for index, value in enumerate(node.inputs)
        ]
        result = make.emit(node.op_type, *inputs, stem="wide", attributes=node.attributes.values())
        result.type = ir.TensorType(ir.DataType.FLOAT)
        rounded = make.cast(result, narrow, "rounded")
        self._before_rounding[rounded] = result
        return [rounded]

    def _widen(self, value: ir.Value, make: Rewrite, stem: str) -> ir.Value:
        """The value in float32: before it was rounded, or converted."""
        if value in self._before_rounding:
            return self._before_rounding[value]
        return make.cast(value, ir.DataType.FLOAT, stem)
