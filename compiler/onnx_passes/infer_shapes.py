"""Gives every value the shape that follows from the inputs."""

from __future__ import annotations

import onnx
import onnx.shape_inference
import onnx_ir as ir

from edgewright.compiler.onnx_passes.graph_edits import static_shape
from edgewright.compiler.onnx_passes.select_branch import BRANCHES_KEY
from edgewright.compiler.onnx_passes.weight_free import weight_free_proto
from edgewright.spec.errors import ModelError, UnsupportedModelError

__all__ = ["InferShapes"]


class InferShapes(ir.passes.InPlacePass):
    """Replaces shapes written by the exporter by those that follow from the bound inputs.

    Case 1: a value whose shape can be inferred takes it.
    Case 2: a value whose shape cannot be inferred keeps what the exporter wrote.

    The exporter's shapes are not trusted first: they often hold the batch size of the export.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Infer with ONNX's own rules, on a copy without weights.

        Raises:
            ModelError: the shapes of the model contradict each other.
            UnsupportedModelError: those of two branches do.
        """
        proto = weight_free_proto(model)
        del proto.graph.value_info[:]
        for output in proto.graph.output:
            if output.type.HasField("tensor_type"):
                output.type.tensor_type.ClearField("shape")
        inferred = _infer(proto)
        infos = {info.name: info for info in inferred.graph.value_info}
        infos.update({info.name: info for info in inferred.graph.output})
        modified = False
        for node in model.graph:
            for value in node.outputs:
                info = infos.get(value.name or "")
                if info is not None:
                    modified |= _merge(value, info)
        return ir.passes.PassResult(model, modified)


def _infer(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The message with inferred shapes.

    ONNX 1.23 propagates the numbers of small tensors as if they were shapes, and finds that some
    which are none do not fit (in the definition of Attention's window): a second try goes without.
    """
    for propagate in (True, False):
        try:
            return onnx.shape_inference.infer_shapes(
                proto, check_type=True, strict_mode=True, data_prop=propagate
            )
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
    _refuse_branches(proto, reason)
    raise ModelError(
        f"the shapes of the model contradict each other: {reason}",
        rule="Every operator's inputs must fit it.",
        remedy="Check --input-shape, or export the model again.",
    )


def _refuse_branches(proto: onnx.ModelProto, reason: str) -> None:
    """Say so where it is a choice between branches, which we made, that contradicts itself."""
    for node in proto.graph.node:
        branches = [item.value for item in node.metadata_props if item.key == BRANCHES_KEY]
        if branches and f"node name: {node.name})" in reason:
            raise UnsupportedModelError(
                f"the ways through '{branches[0]}' give tensors of different shapes",
                rule="Its condition is known at run time only, and shapes are static.",
                remedy="Let all branches and iterations give the same shapes.",
            )


def _merge(value: ir.Value, info: onnx.ValueInfoProto) -> bool:
    if not info.type.HasField("tensor_type"):
        return False
    tensor = info.type.tensor_type
    modified = False
    if tensor.elem_type and (value.type is None or value.dtype != ir.DataType(tensor.elem_type)):
        value.type = ir.TensorType(ir.DataType(tensor.elem_type))
        modified = True
    if not tensor.HasField("shape"):
        return modified
    extents = [
        dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or None)
        for dim in tensor.shape.dim
    ]
    known = all(isinstance(extent, int) for extent in extents)
    before = static_shape(value)
    if (known and before == tuple(extents)) or (not known and before is not None):
        return modified
    if value.shape is not None and list(ir.Shape(extents)) == list(value.shape):
        return modified
    value.shape = ir.Shape(extents)
    return True
