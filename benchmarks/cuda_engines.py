"""What ``cuda.py`` times: bundles of ours, and PyTorch in three ways.

An engine is made for one network and one batch. ``infer()`` gives its outputs; ``enqueue()`` puts
one inference on ``stream()``, with inputs and outputs in device memory, and returns at once.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ENGINES", "BundleEngine", "TorchEngine", "load_runtime"]


def load_runtime(bundle: Path) -> Any:
    """The bundle's own Python module."""
    path = bundle / "python" / "edgewright_runtime.py"
    spec = importlib.util.spec_from_file_location(f"edgewright_runtime_{bundle.name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class BundleEngine:
    """A bundle of Edgewright's, on the tensors' own device memory.

    Args:
        bundle: its folder.
        inputs: arrays by name.
        torch: the module, whose tensors hold inputs and outputs.
    """

    name = "edgewright"

    def __init__(self, bundle: Path, inputs: dict[str, Any], torch: Any) -> None:
        self.torch = torch
        self.model = load_runtime(bundle).Model(bundle, threads=1)
        self.library = self.model._library
        for function in ("ew_cuda_start", "ew_cuda_wait"):
            getattr(self.library, function).restype = ctypes.c_int
        self.library.ew_cuda_start.argtypes = [ctypes.c_void_p] * 3
        self.library.ew_cuda_wait.argtypes = [ctypes.c_void_p]
        self.library.ew_cuda_stream.restype = ctypes.c_void_p
        self.library.ew_cuda_stream.argtypes = [ctypes.c_void_p]
        self.inputs = [torch.from_numpy(inputs[t.name]).cuda() for t in self.model.inputs]
        self.outputs = [
            torch.empty(t.shape, dtype=getattr(torch, t.dtype), device="cuda")
            for t in self.model.outputs
        ]
        torch.cuda.synchronize()
        self.sources = (ctypes.c_void_p * len(self.inputs))(*(t.data_ptr() for t in self.inputs))
        self.targets = (ctypes.c_void_p * len(self.outputs))(*(t.data_ptr() for t in self.outputs))

    def _check(self, status: int) -> None:
        if status != 0:
            raise RuntimeError(self.library.ew_last_error(self.model._handle).decode())

    def stream(self) -> Any:
        """The stream that inferences run on."""
        handle = self.library.ew_cuda_stream(self.model._handle)
        return self.torch.cuda.ExternalStream(handle)

    def enqueue(self) -> None:
        """Begin one inference."""
        self._check(self.library.ew_cuda_start(self.model._handle, self.sources, self.targets))

    def finish(self) -> None:
        """Wait for what was begun."""
        self._check(self.library.ew_cuda_wait(self.model._handle))

    def infer(self) -> list[Any]:
        """One inference; the outputs as arrays."""
        self.enqueue()
        self.finish()
        return [output.cpu().numpy() for output in self.outputs]


class TorchEngine:
    """PyTorch on a network of the registry.

    Args:
        name: ``eager``; ``cudnn``, which lets cuDNN measure its algorithms, on channels-last
            tensors and in a recorded graph; ``compile``, ``torch.compile`` at its most thorough,
            with graphs of its own.
        network: the module, with the bundle's weights.
        inputs: arrays in the module's order.
        torch: the module.
    """

    def __init__(self, name: str, network: Any, inputs: list[Any], torch: Any) -> None:
        self.name, self.torch = name, torch
        self.tensors = [torch.from_numpy(array).cuda() for array in inputs]
        network = network.cuda().eval()
        torch.backends.cudnn.benchmark = name == "cudnn"
        self.run: Callable[[], Any] = lambda: network(*self.tensors)
        with torch.inference_mode():
            if name == "cudnn":
                self._record(network)
            if name == "compile":
                compiled = torch.compile(network, mode="max-autotune")
                self.run = lambda: compiled(*self.tensors)
                for _ in range(4):
                    self.run()
            torch.cuda.synchronize()
        # What was recorded keeps its algorithms; the others shall not profit from the search.
        torch.backends.cudnn.benchmark = False

    def _record(self, network: Any) -> None:
        torch = self.torch
        network = network.to(memory_format=torch.channels_last)
        self.tensors = [
            t.to(memory_format=torch.channels_last) if t.dim() == 4 else t for t in self.tensors
        ]
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(4):
                network(*self.tensors)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.recorded = network(*self.tensors)

        def replay() -> Any:
            graph.replay()
            return self.recorded

        self.run = replay

    def stream(self) -> Any:
        """The stream that inferences run on."""
        return self.torch.cuda.current_stream()

    def enqueue(self) -> None:
        """Begin one inference."""
        with self.torch.inference_mode():
            self.result = self.run()

    def finish(self) -> None:
        """Wait for what was begun."""
        self.torch.cuda.synchronize()

    def infer(self) -> list[Any]:
        """One inference; the outputs as arrays."""
        self.enqueue()
        self.finish()
        results = self.result if isinstance(self.result, tuple | list) else [self.result]
        return [np.asarray(result.float().cpu()) for result in results]


#: Ours first, then PyTorch's.
ENGINES = ("edgewright", "eager", "cudnn", "compile")
