"""The guard and the rewrites against the real importer: neither too trusting nor out of date."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgewright.compiler.onnx_passes import prepare
from edgewright.compiler.onnx_passes.supported_operators import OURS, SUPPORTED
from edgewright.spec.errors import UnsupportedModelError
from tests.compiler.onnx_passes.importer_cases import CASES, Case
from tests.compiler.onnx_passes.small_models import Array, assert_idempotent, run


def run_tvm(model: onnx.ModelProto, feeds: dict[str, Array]) -> list[Array]:
    """What TVM's own pipeline computes."""
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = from_onnx(model, keep_params_in_input=False)
        compiled = tvm.compile(module, tvm.target.Target({"kind": "llvm"}))
        machine = relax.VirtualMachine(compiled, tvm.cpu())
        results: Any = machine["main"](*[tvm.runtime.tensor(array) for array in feeds.values()])
    listed = [results] if hasattr(results, "numpy") else list(results)
    return [item.numpy() for item in listed]


def agree(want: list[Array], got: list[Array]) -> bool:
    if len(want) != len(got):
        return False
    for left, right in zip(want, got, strict=True):
        if left.shape != right.shape or left.dtype != right.dtype:
            return False
        largest = float(np.abs(left.astype(np.float64)).max(initial=1e-30))
        if not np.allclose(left, right, rtol=0, atol=1e-4 * largest):
            return False
    return True


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_operator(case: Case) -> None:
    model = case.model()
    if case.refusal:
        with pytest.raises(UnsupportedModelError) as caught:
            prepare(ir.from_proto(model))
        text = str(caught.value)
        assert f"{case.op} 'node': " in text and case.refusal in text
        assert "\n" not in text
        return
    prepared = prepare(ir.from_proto(model))
    assert_idempotent(prepared)
    proto = ir.to_proto(prepared)
    onnx.checker.check_model(proto, full_check=True)
    want = run(model, case.feeds())
    assert agree(want, run(proto, case.feeds()))
    assert agree(want, run_tvm(proto, case.feeds()))


# What needs neither a rewrite nor a refusal need not be shown to be right unprepared.
WRONG = [case for case in CASES if case.as_is == "wrong"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in WRONG])
def test_importer_is_still_silently_wrong(case: Case) -> None:
    want = run(case.model(), case.feeds())
    assert not agree(want, run_tvm(case.model(), case.feeds()))


FAILS = [case for case in CASES if case.as_is == "fails"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in FAILS])
def test_importer_still_fails(case: Case) -> None:
    with pytest.raises(Exception):  # noqa: B017 - whatever TVM raises
        run_tvm(case.model(), case.feeds())


def test_table_of_operators() -> None:
    from tvm.relax.frontend.onnx.onnx_frontend import _get_convert_map

    known = set(_get_convert_map())
    assert SUPPORTED - known == OURS
    assert sorted(known - SUPPORTED) == sorted(
        [
            # of onnxruntime's domain, and taken for ONNX's
            *["AllClassNMS", "Attention", "BiasGelu", "EmbedLayerNormalization", "FastGelu"],
            *["MatMulInteger16", "SkipLayerNormalization"],
            # results of a shape that depends on data
            *["Compress", "NonMaxSuppression", "NonZero", "Unique"],
            # no tensors
            *["ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement"],
            *["SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase"],
            *["SequenceInsert", "SequenceLength", "SplitToSequence"],
            # always removed or rewritten, or removed from ONNX by the opset we upgrade to
            *["BatchNormalization", "Constant", "Dropout", "OneHot", "Scatter", "Shape", "Size"],
            "Upsample",
        ]
    )
