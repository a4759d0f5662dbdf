"""The engines that ``peers.py`` times, each behind the same three calls.

An engine is opened in a process of its own (``peer_worker.py``), where only its own packages need
to be installed. All compute in float32: what an engine would round to 16 bits on its own account
is switched off. Nothing here touches the network.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

__all__ = ["ENGINES", "OURS", "REFERENCE", "Engine", "Files", "Infer"]

OURS = "edgewright"
#: Every other engine is checked against it.
REFERENCE = "onnxruntime"

#: Runs one inference: float32[1, C, H, W] to float32[1, classes].
Infer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Files:
    """One network on disk.

    Attributes:
        model: the ONNX file, as exported.
        prepared: the same with batch norms folded, for engines without a converter of their own.
        bundle: Edgewright's bundle of it for this machine.
        work: a folder of this engine's own for converted models.
        source: name of the input.
        output: name of the output.
    """

    model: Path
    prepared: Path
    bundle: Path
    work: Path
    source: str
    output: str

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Files:
        """From the fields as JSON has them."""
        paths = {name: Path(texts[name]) for name in ("model", "prepared", "bundle", "work")}
        return cls(**paths, source=texts["source"], output=texts["output"])


@dataclass(frozen=True)
class Engine:
    """An engine that can be compared.

    Attributes:
        packages: what it needs from PyPI, besides numpy.
        settings: what was set, in the engine's own words; ``N`` is the number of threads.
        convert: writes the engine's own model files, once for a network.
        load: opens them for a number of threads.
    """

    packages: tuple[str, ...]
    settings: str
    convert: Callable[[Files], None]
    load: Callable[[Files, int], Infer]

    @property
    def version(self) -> str:
        """The first package's version.

        Raises:
            PackageNotFoundError: one of the packages is not installed.
        """
        versions = [metadata.version(package) for package in self.packages]
        return versions[0]


def _nothing(files: Files) -> None:
    """The engine reads what it is given."""


def _load_edgewright(files: Files, threads: int) -> Infer:
    path = files.bundle / "python" / "edgewright_runtime.py"
    spec = importlib.util.spec_from_file_location("edgewright_runtime", path)
    assert spec is not None and spec.loader is not None
    runtime = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = runtime
    spec.loader.exec_module(runtime)
    model = runtime.Model(files.bundle, threads=threads)

    def infer(x: np.ndarray) -> np.ndarray:
        result: np.ndarray = model.infer({files.source: x})[files.output]
        return result

    return infer


def _load_onnxruntime(files: Files, threads: int) -> Infer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(files.model), options, providers=["CPUExecutionProvider"]
    )

    def infer(x: np.ndarray) -> np.ndarray:
        result: np.ndarray = session.run([files.output], {files.source: x})[0]
        return result

    return infer


def _load_openvino(files: Files, threads: int) -> Infer:
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino.Core().compile_model(str(files.model), "CPU", settings)
    request = compiled.create_infer_request()

    def infer(x: np.ndarray) -> np.ndarray:
        request.infer([x], share_inputs=True)
        result: np.ndarray = request.get_output_tensor(0).data
        return result

    return infer


def _convert_ncnn(files: Files) -> None:
    # pnnx, a program inside its wheel, writes next to what it reads. Importing the wheel's Python
    # part would need torch.
    spec = importlib.util.find_spec("pnnx")
    assert spec is not None and spec.submodule_search_locations
    program = Path(spec.submodule_search_locations[0]) / "pnnx"
    link = files.work / "model.onnx"
    link.symlink_to(files.model)
    subprocess.run([program, link.name, "fp16=0"], cwd=files.work, check=True, stdout=sys.stderr)


def _load_ncnn(files: Files, threads: int) -> Infer:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    ncnn.set_omp_num_threads(threads)
    failed = net.load_param(str(files.work / "model.ncnn.param"))
    if failed or net.load_model(str(files.work / "model.ncnn.bin")):
        raise RuntimeError("ncnn cannot load what pnnx wrote")

    def infer(x: np.ndarray) -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(x[0]))
            failed, output = extractor.extract("out0")
            if failed:
                raise RuntimeError(f"ncnn failed with {failed}")
            return np.array(output).reshape(1, -1)

    return infer


def _convert_mnn(files: Files) -> None:
    # The wheel's compiled converter, and not its program mnnconvert, which installs a package with
    # pip and reports every conversion to its makers over the network.
    import _tools

    source, target = (
        ["--modelFile", str(files.model)],
        ["--MNNModel", str(files.work / "model.mnn")],
    )
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *source, *target, "--bizCode", "peers"])


def _load_mnn(files: Files, threads: int) -> Infer:
    import MNN
    import MNN.expr

    config = {"backend": "CPU", "numThread": threads, "precision": "high", "memory": "normal"}
    manager = MNN.nn.create_runtime_manager((config,))
    net = MNN.nn.load_module_from_file(
        str(files.work / "model.mnn"), [files.source], [files.output], runtime_manager=manager
    )

    def infer(x: np.ndarray) -> np.ndarray:
        source = MNN.expr.placeholder(list(x.shape), MNN.expr.NCHW)
        source.write(x)
        output = MNN.expr.convert(net.forward([source])[0], MNN.expr.NCHW)
        return np.array(output.read())

    return infer


def _convert_litert(files: Files) -> None:
    import onnx
    from tflite_model import convert

    (files.work / "model.tflite").write_bytes(convert(onnx.load(files.prepared)))


def _load_litert(files: Files, threads: int) -> Infer:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(files.work / "model.tflite"), num_threads=threads)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    output = interpreter.get_output_details()[0]["index"]
    turned: dict[int, np.ndarray] = {}

    def infer(x: np.ndarray) -> np.ndarray:
        # NHWC is how it wants its input: turning it around is not its work, so it is done once.
        if id(x) not in turned:
            turned.clear()
            turned[id(x)] = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        interpreter.set_tensor(source, turned[id(x)])
        interpreter.invoke()
        result: np.ndarray = interpreter.get_tensor(output)
        return result

    return infer


ENGINES = {
    OURS: Engine((), "threads=N", _nothing, _load_edgewright),
    REFERENCE: Engine(
        ("onnxruntime",), "CPU provider, intra_op_num_threads=N", _nothing, _load_onnxruntime
    ),
    "openvino": Engine(
        ("openvino",), "LATENCY, f32, INFERENCE_NUM_THREADS=N", _nothing, _load_openvino
    ),
    "ncnn": Engine(
        ("ncnn", "pnnx"), "pnnx fp16=0; num_threads=N, fp32 only", _convert_ncnn, _load_ncnn
    ),
    "mnn": Engine(("MNN",), "CPU, precision high, numThread=N", _convert_mnn, _load_mnn),
    "litert": Engine(
        ("ai-edge-litert", "flatbuffers", "onnx"),
        "XNNPACK, num_threads=N; flatbuffer by tflite_model.py",
        _convert_litert,
        _load_litert,
    ),
}
