"""Brings a model to an opset that TVM's importer reads with the right meaning."""

from __future__ import annotations

import onnx
import onnx.version_converter
import onnx_ir as ir

from edgewright.compiler.onnx_passes.check_operators import MAX_OPSET
from edgewright.compiler.onnx_passes.weight_free import weight_free_proto
from edgewright.spec.errors import ModelError, UnsupportedModelError

__all__ = ["TARGET_OPSET", "UpgradeOpset"]

#: TVM 0.27 implements most operators as of opset 13 to 18, and reads older models with those newer
#: meanings. 18 is the lowest opset at which none of them (Resize, Pad, Split, reductions with axes
#: as an input) is misread, so the fewest of ONNX's adapters have to run.
TARGET_OPSET = 18

# The version of the format that came with it; see ONNX's Versioning.md.
_TARGET_IR_VERSION = 8
# The first opset whose Scan has no batch axis.
_UNBATCHED_SCAN = 9


class UpgradeOpset(ir.passes.FunctionalPass):
    """Rewrites a model of an older opset to :data:`TARGET_OPSET`.

    Case 1: an older opset is converted by ONNX's version converter, on a copy without weights.
    Case 2: the target opset and newer ones are left as they are.

    An operator for which the converter has no adapter is refused by name, and so is ``Scan`` of
    opset 8, which has a batch axis: the converter drops it without a word.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Convert the model.

        Raises:
            ModelError: the model imports no ONNX operator set, or one newer than is supported.
            UnsupportedModelError: the converter cannot convert an operator.
        """
        opset = model.graph.opset_imports.get("", 0)
        if not 0 < opset <= MAX_OPSET:
            raise ModelError(
                f"the model uses opset {opset}",
                rule=f"Opsets up to {MAX_OPSET} are supported.",
                remedy="Export the model again with a supported opset.",
            )
        if opset >= TARGET_OPSET:
            return ir.passes.PassResult(model.clone(), False)
        if opset < _UNBATCHED_SCAN and any(
            node.op_type == "Scan" for node in model.graph.all_nodes()
        ):
            raise UnsupportedModelError(
                f"the model has a Scan of opset {opset}",
                rule=f"Before opset {_UNBATCHED_SCAN} it has a batch axis, which is not supported.",
                remedy=f"Export the model again with opset {TARGET_OPSET} or newer.",
            )
        try:
            converted = onnx.version_converter.convert_version(
                weight_free_proto(model), TARGET_OPSET
            )
        except (
            onnx.version_converter.ConvertError,
            onnx.shape_inference.InferenceError,
            RuntimeError,
            ValueError,
        ) as error:
            raise _explain(error, opset) from None
        return ir.passes.PassResult(_with_weights(converted, model), True)


def _explain(error: Exception, opset: int) -> UnsupportedModelError:
    # What comes before is the line of C++ that found it; what comes after names the operator.
    reason = " ".join(str(error).split()).rpartition("failed: ")[2].rstrip(".")
    return UnsupportedModelError(
        f"the model cannot be upgraded from opset {opset} to {TARGET_OPSET}: {reason}",
        rule="TVM reads older operators with their newer meaning, so they must be upgraded.",
        remedy=f"Export the model again with opset {TARGET_OPSET} or newer.",
    )


def _with_weights(converted: onnx.ModelProto, original: ir.Model) -> ir.Model:
    """The converted model, with the weights that the copy had as inputs."""
    model = ir.from_proto(converted)
    model.ir_version = max(model.ir_version, _TARGET_IR_VERSION)
    graph = model.graph
    given = {value.name for value in original.graph.inputs}
    for value in list(graph.inputs):
        if value.name in given:
            continue
        source = original.graph.initializers[value.name or ""]
        graph.inputs.remove(value)
        value.const_value = source.const_value
        graph.register_initializer(value)
    for value in list(graph.inputs):
        # The converter lists small initializers among the inputs of models before IR version 4.
        if value.is_initializer():
            graph.inputs.remove(value)
    return model
