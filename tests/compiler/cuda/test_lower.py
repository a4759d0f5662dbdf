"""Models to launches, tables and CUDA C; what runs of it is tested in tests/deploy/cuda."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.compiler.cuda.lower import lower_for_gpu
from edgewright.compiler.lower import Compiled
from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.options import Options
from edgewright.spec.errors import UsageError
from edgewright.spec.gpu import Gpu
from edgewright.spec.target import CORES


def model() -> onnx.ModelProto:
    """Two outputs: relu(conv(x)) and, as it is, x."""
    weights = np.linspace(-1, 1, 16 * 8 * 9, dtype=np.float32).reshape(16, 8, 3, 3)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"], name="relu"),
        helper.make_node("Identity", ["x"], ["z"], name="same"),
    ]
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 12, 12])
        for name, channels in (("x", 8), ("y", 16), ("z", 8))
    ]
    constants = [numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph(nodes, "g", tensors[:1], tensors[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def lowered(options: Options | None = None) -> Compiled:
    prepared = onnx_ir.to_proto(prepare(onnx_ir.from_proto(model())))
    host = CORES["cortex-a78ae"]
    return lower_for_gpu(prepared, host, gpu=Gpu("sm_87"), name="m", options=options)


def test_a_convolution_and_a_copy() -> None:
    compiled = lowered()
    assert compiled.device is not None and compiled.objects == {}
    first, second = compiled.steps
    assert first.nodes[0] == first.name == "conv" and first.macs == 16 * 144 * 8 * 9
    assert first.reason == "scheduled by the rule product"
    assert (second.kernel, second.reason) == ("copy", "a copy")
    kernel, copy = compiled.device.launches
    assert kernel.kernel == first.kernel and np.prod(kernel.grid) == first.tasks
    assert (copy.kernel, copy.grid, copy.block) == ("", (0, 0, 0), (0, 0, 0))
    assert compiled.device.kernels == (kernel.kernel,)


def test_tables_name_what_the_runtime_reads() -> None:
    compiled = lowered()
    text = compiled.sources["model.c"]
    assert "EW_CUDA_COPY, {0u, 0u, 0u}, {0u, 0u, 0u}" in text
    assert "{EW_CUDA_OUTPUT, 1u, 0u, 4608u}" in text  # the copy's target, z
    assert '.arch = "sm_87"' in text and ".compiler = EW_CUDA_COMPILER" in text
    assert ".base.weights = NULL" in text
    assert "m_weights" in lowered(Options(embed_weights=True)).sources["model.c"]
    assert len(compiled.weights) == 16 * 8 * 9 * 4


def test_the_same_model_gives_the_same_code() -> None:
    one, two = lowered(), lowered()
    assert one.device is not None and two.device is not None
    assert (one.device.source, one.sources) == (two.device.source, two.sources)


def test_kernels_allocate_no_memory_and_unroll_for_nvcc() -> None:
    device = lowered().device
    assert device is not None
    assert "#pragma unroll" in device.source and "malloc" not in device.source
    assert device.source.count("__global__") == 2  # declared and defined


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (Options(conv_algorithm="winograd"), "--conv-algorithm"),
        (Options(max_error=1e-3), "--max-error"),
        (Options(max_workspace_bytes=1), "--max-workspace"),
    ],
)
def test_options_of_cpus_are_refused(options: Options, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} was given for a GPU"):
        lowered(options)
