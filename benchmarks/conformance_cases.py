"""ONNX's backend cases as folders: a model, and tensors in and out for each of its data sets."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

__all__ = ["KINDS", "Case", "DataSet", "read_data", "write_cases"]

#: Those that onnx carries with it; ``real`` and ``light`` hold whole networks.
KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")


@dataclass(frozen=True)
class Case:
    """One backend case.

    Attributes:
        kind: one of :data:`KINDS`.
        name: as ONNX calls it.
        operator: the operator of its first node.
        folder: holds ``model.onnx`` and ``test_data_set_0`` to ``…_n``.
        rtol, atol: how far an output may be off, in the sense of ``numpy.testing.assert_allclose``.
    """

    kind: str
    name: str
    operator: str
    folder: str
    rtol: float
    atol: float


@dataclass(frozen=True)
class DataSet:
    """Tensors of one run, in the model's order; absent optional inputs are left out at the end."""

    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]


def write_cases(folder: Path, kinds: Sequence[str]) -> list[Case]:
    """Collect the cases of some kinds; those that onnx makes in memory are written to ``folder``.

    Cases that take or give sequences, optionals or text hold no tensors: they are listed with an
    empty folder.
    """
    from onnx.backend.test.loader import load_model_tests

    cases = []
    for kind in kinds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = load_model_tests(kind=kind)
        for number, case in enumerate(loaded):
            place = Path(case.model_dir) if case.model_dir else folder / f"{kind}-{number}"
            model = case.model if case.model is not None else onnx.load(place / "model.onnx")
            if case.model_dir is None and not _write(place, model, case.data_sets):
                place = Path()
            operator = model.graph.node[0].op_type if model.graph.node else "none"
            text = str(place) if place != Path() else ""
            cases.append(Case(kind, case.name, operator, text, case.rtol, case.atol))
    return cases


def _write(
    place: Path, model: onnx.ModelProto, sets: Sequence[tuple[Sequence[object], Sequence[object]]]
) -> bool:
    flat = [value for inputs, outputs in sets for value in (*inputs, *outputs)]
    if not all(isinstance(value, np.ndarray | np.generic) for value in flat):
        return False
    if any(np.asarray(value).dtype.kind in "OUS" for value in flat):
        return False
    for number, (inputs, outputs) in enumerate(sets):
        data = place / f"test_data_set_{number}"
        data.mkdir(parents=True)
        for role, values in (("input", inputs), ("output", outputs)):
            for index, value in enumerate(values):
                tensor = numpy_helper.from_array(np.asarray(value))
                (data / f"{role}_{index}.pb").write_bytes(tensor.SerializeToString())
    (place / "model.onnx").write_bytes(model.SerializeToString())
    return True


def read_data(folder: Path) -> list[DataSet]:
    """The data sets of a case's folder.

    Raises:
        ValueError: a file holds no tensor.
    """
    found = []
    for data in sorted(folder.glob("test_data_set_*")):
        sides = []
        for role in ("input", "output"):
            count = len(list(data.glob(f"{role}_*.pb")))
            sides.append(tuple(_read(data / f"{role}_{index}.pb") for index in range(count)))
        found.append(DataSet(*sides))
    return found


def _read(path: Path) -> np.ndarray:
    tensor = onnx.TensorProto()
    try:
        tensor.ParseFromString(path.read_bytes())
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:
        raise ValueError(f"{path.name} holds no tensor") from error
