"""Computes sums of float16 in float32."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import Rewrite
from edgewright.compiler.onnx_passes.node_rewrite import NodeRewrite, Results

__all__ = ["WidenFloat16"]


class WidenFloat16(NodeRewrite):
    """Converts operands and rounds the result once, as onnxruntime does.

    Case 1: an operator that adds many numbers up, of float16: its inputs are converted to float32,
        and its result back. In float16 every addition would round, and sums above 65504 overflow.
    """

    operators: ClassVar[tuple[str, ...]] = (
        "AveragePool",
        "BatchNormalization",
        "Conv",
        "ConvTranspose",
        "CumSum",
        "Einsum",
        "Gemm",
        "GlobalAveragePool",
        "GlobalLpPool",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "LogSoftmax",
        "LpNormalization",
        "LpPool",
        "MatMul",
        "MeanVarianceNormalization",
        "RMSNormalization",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceMean",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
        "Softmax",
    )

    def rewrite(self, node: ir.Node, make: Rewrite) -> Results | None:
        """See :class:`NodeRewrite`."""
        narrow = ir.DataType.FLOAT16
        if len(node.outputs) > 1 or all(
            value is None or value.dtype != narrow for value in node.inputs
        ):
            return None
        inputs = [
            make.cast(value, ir.DataType.FLOAT, f"input_{index}")
            if value is not None and value.dtype == narrow
            else value
            for index, value in enumerate(node.inputs)
        ]
        result = make.emit(node.op_type, *inputs, stem="wide", attributes=node.attributes.values())
        return [make.cast(result, narrow, "rounded")]
