"""What the compiler would make of a small model, written by hand: fast, and without TVM.

``x float32[2,37], bias int32[5] -> y = 2 * x + weights, z = bias + 1``; see runtime/fake_model.c.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgewright.compiler.lower import Compiled, Step
from edgewright.compiler.options import Options
from edgewright.compiler.verify.golden import make_golden
from edgewright.deploy.boards.registry import resolve
from edgewright.deploy.bundle import BundleFolder, hash_file, read_bundle
from edgewright.deploy.output_folder import staged_folder
from edgewright.deploy.write_bundle import write_bundle
from edgewright.spec.target import Target
from edgewright.spec.tensor import TensorSpec

__all__ = ["INPUTS", "OUTPUTS", "fake_compiled", "fake_model", "write_fake_bundle"]

INPUTS = (TensorSpec("x", (2, 37)), TensorSpec("bias", (5,), "int32"))
OUTPUTS = (TensorSpec("y", (2, 37)), TensorSpec("z", (5,), "int32"))
WEIGHTS = np.linspace(-1, 1, 74, dtype=np.float32).reshape(2, 37)
_SOURCE = Path(__file__).parent / "runtime" / "fake_model.c"


def fake_model() -> onnx.ModelProto:
    """The same function as ONNX."""
    constants = [
        numpy_helper.from_array(np.float32(2), "two"),
        numpy_helper.from_array(WEIGHTS, "weights"),
        numpy_helper.from_array(np.int32(1), "one"),
    ]
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["doubled"], name="double"),
        helper.make_node("Add", ["doubled", "weights"], ["y"], name="add"),
        helper.make_node("Add", ["bias", "one"], ["z"], name="count"),
    ]
    x, bias = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 37]),
        helper.make_tensor_value_info("bias", TensorProto.INT32, [5]),
    )
    y, z = (
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 37]),
        helper.make_tensor_value_info("z", TensorProto.INT32, [5]),
    )
    graph = helper.make_graph(nodes, "fake", [x, bias], [y, z], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def fake_compiled(target: Target, *, embed_weights: bool = False) -> Compiled:
    """A stand-in for ``edgewright.compiler.lower.lower``."""
    embed = "#define FAKE_EMBED 1\n" if embed_weights else ""
    steps = tuple(
        Step(index, name, "elementwise", kernel, 74, 0, (name,), (output,), "written by hand", ())
        for index, (name, kernel, output) in enumerate(
            [("double", "f32_double", "doubled"), ("add", "f32_add", "y"), ("count", "i32", "z")]
        )
    )
    return Compiled(
        name="fake",
        target=target,
        inputs=INPUTS,
        outputs=OUTPUTS,
        objects={},
        sources={
            "model.c": embed + _SOURCE.read_text(),
            "fake.h": '#include "edgewright.h"\nconst ew_program* fake_program(void);\n',
        },
        weights=WEIGHTS.tobytes(),
        steps=steps,
        arena_bytes=WEIGHTS.nbytes,
        scratch_bytes=100,
        peak_live_bytes=WEIGHTS.nbytes,
        stage_seconds={},
    )


def write_fake_bundle(
    folder: Path, target: str = "host", *, embed_weights: bool = False, toolchain: str = "zig"
) -> BundleFolder:
    """A whole bundle of the fake model, written as the real way writes it."""
    core, board = resolve(target)
    model = folder.parent / "fake.onnx"
    model.write_bytes(fake_model().SerializeToString())
    with staged_folder(folder, replaceable=lambda _: False) as staging:
        write_bundle(
            staging,
            fake_compiled(core, embed_weights=embed_weights),
            make_golden(model, INPUTS, OUTPUTS),
            model_sha256=hash_file(model),
            board=board,
            toolchain=toolchain,
            options=Options(embed_weights=embed_weights),
        )
    return read_bundle(folder)
