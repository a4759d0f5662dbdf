"""ONNX files: what is in them, and that they compute what PyTorch does."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edgewright.models import export as export_file
from edgewright.models.export import export, export_module
from edgewright.models.registry import build, find_model
from edgewright.spec.errors import OutputError, ToolError, UnsupportedModelError, UsageError

SMALL = (
    "googlenet",
    "lenet5",
    "mobilenet_v1",
    "mobilenet_v2",
    "resnet18",
    "resnet50",
    "shufflenet_v2",
    "squeezenet1_1",
)
#: Layers of the networks, one node each: nothing folded, nothing decomposed.
NODES = {
    "googlenet": {"Conv": 57, "BatchNormalization": 57, "Relu": 57, "MaxPool": 13, "Concat": 9},
    "lenet5": {"Conv": 2, "Tanh": 4, "AveragePool": 2, "Flatten": 1, "Gemm": 3},
    "mobilenet_v1": {"Conv": 27, "BatchNormalization": 27, "Relu": 27},
    "mobilenet_v2": {"Conv": 52, "BatchNormalization": 52, "Clip": 35, "Add": 10},
    "resnet18": {"Conv": 20, "BatchNormalization": 20, "Relu": 17, "Add": 8, "MaxPool": 1},
    "resnet50": {"Conv": 53, "BatchNormalization": 53, "Relu": 49, "Add": 16, "MaxPool": 1},
    "shufflenet_v2": {"Conv": 56, "Relu": 37, "Split": 13, "Reshape": 32, "Transpose": 16},
    "squeezenet1_1": {"Conv": 26, "Relu": 26, "Concat": 8, "MaxPool": 3},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    paths = {name: folder / f"{name}.onnx" for name in SMALL}
    for name, path in paths.items():
        export(name, path)
    return paths


def parity_error(network: nn.Module, path: Path, shape: tuple[int, ...]) -> float:
    """Largest difference of the logits, as a fraction of the largest logit."""
    x = np.random.default_rng(7).standard_normal(shape, dtype=np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (got,) = session.run(["logits"], {"input": x})
    with torch.no_grad():
        expected: np.ndarray = network(torch.from_numpy(x)).numpy()
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", SMALL)
def test_onnxruntime_agrees_with_torch(exported: dict[str, Path], name: str) -> None:
    shape = find_model(name).inputs[0].shape
    assert parity_error(build(name), exported[name], shape) < 1e-4


def test_vgg16_is_one_file_that_onnxruntime_agrees_on(tmp_path: Path) -> None:
    path = tmp_path / "vgg16.onnx"
    export("vgg16", path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["vgg16.onnx"]
    assert path.stat().st_size > 4 * find_model("vgg16").parameters
    assert parity_error(build("vgg16"), path, (1, 3, 224, 224)) < 1e-4


@pytest.mark.parametrize("name", SMALL)
def test_every_layer_is_one_node(exported: dict[str, Path], name: str) -> None:
    model = onnx.load(exported[name])
    onnx.checker.check_model(model, full_check=True)
    counted = Counter(node.op_type for node in model.graph.node)
    assert {op: counted[op] for op in NODES[name]} == NODES[name]
    assert "Identity" not in counted and "Dropout" not in counted
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]


@pytest.mark.parametrize("name", SMALL)
def test_no_shape_is_left_to_run_time(exported: dict[str, Path], name: str) -> None:
    graph = onnx.load(exported[name]).graph
    assert not {"Shape", "Gather", "Slice", "Mod"} & {node.op_type for node in graph.node}


@pytest.mark.parametrize("name", SMALL)
def test_the_bytes_are_those_that_protobuf_writes(exported: dict[str, Path], name: str) -> None:
    written = exported[name].read_bytes()
    assert onnx.load_from_string(written).SerializeToString(deterministic=True) == written


@pytest.mark.parametrize("name", SMALL)
def test_input_and_output_are_named_and_static(exported: dict[str, Path], name: str) -> None:
    graph = onnx.load(exported[name]).graph
    entry = find_model(name)

    def signature(value: Any) -> tuple[str, int, list[int]]:
        tensor = value.type.tensor_type
        return value.name, tensor.elem_type, [axis.dim_value for axis in tensor.shape.dim]

    assert [signature(value) for value in graph.input] == [("input", 1, [*entry.inputs[0].shape])]
    assert [signature(value)[0] for value in graph.output] == [*entry.outputs]
    assert all(extent > 0 for value in graph.output for extent in signature(value)[2])


@pytest.mark.parametrize("name", SMALL)
def test_no_trace_of_the_machine(exported: dict[str, Path], name: str) -> None:
    model = onnx.load(exported[name])
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")  # random bytes spell anything
    written = model.SerializeToString()
    for text in (str(Path(torch.__file__).parent), str(Path.cwd()), ".py", torch.__version__):
        assert text.encode() not in written
    assert model.producer_name == "edgewright" and not model.producer_version
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_the_same_seed_gives_the_same_bytes(exported: dict[str, Path], tmp_path: Path) -> None:
    for name in ("lenet5", "mobilenet_v2"):
        again, other = tmp_path / "again.onnx", tmp_path / "other.onnx"
        code = f"from edgewright.models.export import export; export({name!r}, {str(again)!r})"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert run.returncode == 0
        assert run.stdout == "" and run.stderr == ""
        export(name, other, seed=1)
        assert again.read_bytes() == exported[name].read_bytes()
        assert other.read_bytes() != exported[name].read_bytes()


def test_batch(tmp_path: Path) -> None:
    export("squeezenet1_1", tmp_path / "batch.onnx", batch=2)
    error = parity_error(build("squeezenet1_1"), tmp_path / "batch.onnx", (2, 3, 224, 224))
    assert error < 1e-4
    with pytest.raises(UsageError, match="the batch is 0"):
        export("lenet5", tmp_path / "none.onnx", batch=0)


@pytest.mark.parametrize("name", ["lenet5", "ds_cnn", "style_transfer"])
def test_no_warning_is_left(tmp_path: Path, name: str) -> None:
    code = f"from edgewright.models.export import export; export('{name}', '{tmp_path}/x.onnx')"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


class _Pair(nn.Module):
    """Two inputs, two outputs, a weight used twice, and a buffer that is not saved."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.arange(3.0), persistent=False)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(a) * self.scale, self.second(b)


def test_any_module_can_be_exported(tmp_path: Path) -> None:
    pair = _Pair()
    pair.train()
    path = tmp_path / "pair.onnx"
    example = (torch.zeros(2, 3), torch.zeros(4, 3))
    export_module(pair, example, path, input_names=("a", "b"), output_names=("y", "z"), name="pair")
    assert pair.training
    assert onnx.load(path).graph.name == "pair"
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((rows, 3), dtype=np.float32) for rows in (2, 4))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(["y", "z"], {"a": a, "b": b})
    expected = pair(torch.from_numpy(a), torch.from_numpy(b))
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


class _Odd(nn.Module):
    """Weights of every kind that a file can hold: no axis, no element, no order in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.scalar = nn.Parameter(torch.tensor(3.0))
        self.empty = nn.Parameter(torch.zeros(0, 4))
        self.turned = nn.Parameter(torch.arange(12.0).reshape(3, 4).T)
        self.short = nn.Parameter(torch.ones(4, dtype=torch.float16))

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat((x * self.scalar, self.empty), dim=0)
        return (joined @ self.turned).to(torch.float16).sum() + self.short


def test_weights_of_any_form(tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    export_module(_Odd(), torch.zeros(2, 4), path)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert model.SerializeToString(deterministic=True) == path.read_bytes()
    kept = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, expected in _Odd().state_dict().items():
        np.testing.assert_array_equal(kept[name], expected.numpy())
        assert kept[name].dtype == expected.numpy().dtype


def test_weights_beyond_one_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_file, "MAX_FILE_BYTES", 100_000)
    with pytest.raises(UnsupportedModelError, match="the weights take 246824 bytes"):
        export("lenet5", tmp_path / "lenet5.onnx")
    assert not list(tmp_path.iterdir())


def test_unknown_model_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown model 'lenet'"):
        export("lenet", tmp_path / "lenet.onnx")
    assert not list(tmp_path.iterdir())


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"is not a directory\. .* Create it first") as caught:
        export("lenet5", tmp_path / "missing" / "lenet5.onnx")
    assert caught.value.exit_status == 2
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is not a directory"):
        export("lenet5", tmp_path / "file" / "lenet5.onnx")


def test_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"it is a directory\. .* Name a file"):
        export("lenet5", tmp_path)


def test_folder_that_cannot_be_written() -> None:
    with pytest.raises(OutputError, match="Name a directory that you may write to"):
        export("lenet5", "/proc/lenet5.onnx")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_file, "_write", full)
    (tmp_path / "lenet5.onnx").write_text("before")
    with pytest.raises(OutputError, match="No space left on device"):
        export("lenet5", tmp_path / "lenet5.onnx")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_file, "_trace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export("lenet5", tmp_path / "lenet5.onnx")
    assert not list(tmp_path.iterdir())


def test_missing_torch_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ToolError, match=r"exporting a reference network needs PyTorch"):
        export("lenet5", tmp_path / "lenet5.onnx")
    assert not list(tmp_path.iterdir())
