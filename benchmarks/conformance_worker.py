"""Runs ONNX backend cases in a process of its own, commanded over its pipes.

``onnx_conformance.py`` starts it: ``python conformance_worker.py ENGINE``. Each line of standard
input is a case's fields as JSON; each is answered by one line, ``{"verdict": …, "reason": …}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from conformance_cases import Case, DataSet, read_data
from onnx import numpy_helper

#: Verdicts.
PASS, REFUSED, WRONG, CRASHED = "pass", "refused", "wrong", "crashed"


class Refused(Exception):
    """The engine declined; the message says why."""


class Engine(Protocol):
    """What runs a case's model on one data set."""

    def run(self, path: Path, data: DataSet) -> Sequence[np.ndarray]:
        """Outputs in the model's order.

        Raises:
            Refused: the engine says that it cannot.
        """
        ...


class OnnxRuntime:
    """onnxruntime's CPU provider, as it comes."""

    def run(self, path: Path, data: DataSet) -> Sequence[np.ndarray]:
        """See :class:`Engine`. Whatever onnxruntime raises counts as a refusal."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            names = [value.name for value in session.get_inputs()]
            inputs = dict(zip(names, data.inputs, strict=False))
            return [np.asarray(value) for value in session.run(None, inputs)]
        except Exception as error:
            raise Refused(_first_line(error)) from error


class Edgewright:
    """Our way ahead of time, for this machine, with static shapes and constant parameters."""

    def __init__(self) -> None:
        from edgewright.deploy.local_library import LocalLinker
        from edgewright.spec.target import host_target

        self.target = host_target()
        self.linker = LocalLinker(self.target)
        self.folder = tempfile.TemporaryDirectory()

    def run(self, path: Path, data: DataSet) -> Sequence[np.ndarray]:
        """See :class:`Engine`; inputs that must be known when compiling become constants."""
        import onnx_ir

        from edgewright.compiler.lower import lower
        from edgewright.compiler.onnx_passes import load_model, prepare
        from edgewright.spec.errors import EdgewrightError

        model = onnx.load(path)
        inputs = bind(model, data)
        place = Path(self.folder.name) / "model.onnx"
        onnx.save(model, place)
        try:
            shapes = {name: value.shape for name, value in inputs.items()}
            prepared = onnx_ir.to_proto(prepare(load_model(place, shapes)))
            compiled = lower(prepared, self.target, name="model")
        except EdgewrightError as error:
            if error.exit_status == 4:
                raise
            raise Refused(_first_line(error)) from error
        found = self.linker.run(compiled, inputs)
        return [found[value.name] for value in model.graph.output]


def bind(model: onnx.ModelProto, data: DataSet) -> dict[str, np.ndarray]:
    """Make constants of the inputs that decide shapes or kernels; what is left to be given.

    Those are the inputs at the places of ``CONSTANT_INPUTS``, trip counts and conditions, and what
    these are computed from.
    """
    from edgewright.compiler.onnx_passes.supported_operators import CONSTANT_INPUTS

    graph = model.graph
    values = dict(zip([value.name for value in graph.input], data.inputs, strict=False))
    wanted = {
        node.input[index]
        for node in graph.node
        for index in CONSTANT_INPUTS.get(node.op_type, CONTROL_INPUTS.get(node.op_type, ()))
        if index < len(node.input)
    }
    for node in reversed(graph.node):  # what such an input is computed from, but for shapes
        if wanted & set(node.output) and node.op_type not in ("Shape", "Size"):
            wanted |= set(node.input)
    constant = wanted & set(values)
    kept = [value for value in graph.input if value.name not in constant]
    for name in constant:
        graph.initializer.append(numpy_helper.from_array(values.pop(name), name))
    del graph.input[:]
    graph.input.extend(kept)
    return values


#: Inputs of operators without a place in CONSTANT_INPUTS, because no form of them is supported that
#: computes these.
CONTROL_INPUTS = {
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "If": (0,),
    "Loop": (0, 1),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "OneHot": (1, 2),
    "Upsample": (1,),
}


def judge(engine: Engine, case: Case) -> tuple[str, str]:
    """The verdict on a case, and its reason where that is not ``pass``."""
    try:
        sets = read_data(Path(case.folder)) if case.folder else []
    except ValueError as error:
        return REFUSED, str(error)
    if not sets:
        return REFUSED, "it takes or gives sequences, optionals or text"
    for data in sets:
        try:
            outputs = engine.run(Path(case.folder) / "model.onnx", data)
        except Refused as error:
            return REFUSED, str(error)
        except Exception as error:
            return CRASHED, f"{type(error).__name__}: {_first_line(error)}"
        for number, (actual, expected) in enumerate(zip(outputs, data.outputs, strict=True)):
            difference = compare(np.asarray(actual), expected, case)
            if difference:
                return WRONG, f"output {number}: {difference}"
    return PASS, ""


def compare(actual: np.ndarray, expected: np.ndarray, case: Case) -> str:
    """What is wrong with an output; empty if nothing is."""
    if actual.shape != expected.shape:
        return f"shape {list(actual.shape)}, not {list(expected.shape)}"
    if actual.dtype != expected.dtype:
        return f"type {actual.dtype}, not {expected.dtype}"
    try:
        np.testing.assert_allclose(
            actual.astype(np.float64) if actual.dtype.kind not in "biu" else actual,
            expected.astype(np.float64) if expected.dtype.kind not in "biu" else expected,
            rtol=case.rtol,
            atol=case.atol,
        )
    except AssertionError as error:
        lines = [line for line in str(error).splitlines() if "difference" in line or "nan" in line]
        return " ".join(lines) or "it differs"
    return ""


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


ENGINES = {"edgewright": Edgewright, "onnxruntime": OnnxRuntime}


def main(name: str) -> None:
    """Answer cases until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    engine = ENGINES[name]()
    for line in sys.stdin:
        verdict, reason = judge(engine, Case(**json.loads(line)))
        answers.write(json.dumps({"verdict": verdict, "reason": reason}) + "\n")
        answers.flush()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1])
