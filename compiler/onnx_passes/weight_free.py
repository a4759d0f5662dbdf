"""A copy of a model as protobuf, without its large weights.

ONNX's C++ tools take a serialized model, which may have at most 2 GiB; none of them needs to see a
convolution's weights. The large ones become inputs of the copy.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

__all__ = ["weight_free_proto"]

# Shapes, axes, pads and scales are smaller than this, and shape inference reads their values.
_KEPT_BYTES = 1024


def weight_free_proto(model: ir.Model) -> onnx.ModelProto:
    """The model with each initializer above 1 KiB turned into an input of the same name.

    Args:
        model: left as it is.

    Returns:
        A message of a few hundred kilobytes, whatever the size of the weights.
    """
    copy = model.clone()
    for name, value in list(copy.graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or tensor.nbytes <= _KEPT_BYTES:
            continue
        del copy.graph.initializers[name]
        value.const_value = None
        value.shape = ir.Shape(tensor.shape.numpy())
        value.type = ir.TensorType(tensor.dtype)
        if not value.is_graph_input():
            copy.graph.inputs.append(value)
    return ir.to_proto(copy)
