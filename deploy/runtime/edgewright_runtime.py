"""Run an Edgewright bundle from Python: this file, numpy, and nothing else.

    from edgewright_runtime import Model

    with Model("mobilenet_v2-rpi4", threads=4) as model:
        outputs = model.infer({"input": image})

Works with Python 3.8 or later. One Model serves one call at a time (a second one is refused);
several Models may be used by several threads at once, and the interpreter lock is released while
one runs.
"""

from __future__ import annotations

import _ctypes
import ctypes
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

__all__ = ["InputError", "Model", "RuntimeFailure", "Tensor"]

_ABI_VERSION = 1
_ALIGNMENT_BYTES = 64
_ERROR_TEXT_BYTES = 1024
_OK = 0
_DTYPES = (
    "float32",
    "float64",
    "float16",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
)


class RuntimeFailure(RuntimeError):
    """The bundle cannot be loaded, or a run failed."""


class InputError(ValueError):
    """An input does not fit the model: name, shape or dtype."""


class Tensor(NamedTuple):
    """An input or output of the model: dense, row-major."""

    name: str
    shape: Tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"'{self.name}' {self.dtype}[{', '.join(map(str, self.shape))}]"


class _TensorInfo(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_uint32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("size_bytes", ctypes.c_size_t),
    ]


class _StepInfo(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("kernel", ctypes.c_char_p)]


class _Options(ctypes.Structure):
    _fields_ = [
        ("struct_bytes", ctypes.c_size_t),
        ("threads", ctypes.c_int32),
        ("first_cpu", ctypes.c_int32),
        ("weights_path", ctypes.c_char_p),
        ("weights", ctypes.c_void_p),
        ("weights_bytes", ctypes.c_size_t),
        ("workspace", ctypes.c_void_p),
        ("workspace_bytes", ctypes.c_size_t),
        ("error_text", ctypes.c_char_p),
        ("error_text_bytes", ctypes.c_size_t),
    ]


_StepHook = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64)


class Model:
    """A bundle's model, ready to run.

    Args:
        bundle_dir: the bundle's folder, which holds ``manifest.json``.
        threads: threads that share the work, 0 for one on each CPU. By default as many as the
            target has cores, and no more than there are CPUs.
        first_cpu: the pool's threads are pinned to the CPUs after this one; -1 pins none.

    Raises:
        RuntimeFailure: the bundle is incomplete, or made for another machine.

    Attributes:
        inputs: what :meth:`infer` takes.
        outputs: what it gives.
        steps: name (an ONNX node) and kernel of each step, in order.
    """

    def __init__(
        self,
        bundle_dir: Union[str, "os.PathLike[str]"],
        threads: Optional[int] = None,
        first_cpu: int = -1,
    ) -> None:
        self._handle = ctypes.c_void_p()
        self._library: Any = None
        folder = Path(bundle_dir)
        manifest = _read_manifest(folder)
        if threads is None:
            threads = _default_threads(manifest)
        self._library, program = _load_library(folder, manifest)
        self.inputs = self._tensors("input", program)
        self.outputs = self._tensors("output", program)
        self.steps: List[Tuple[str, str]] = []
        for index in range(self._library.ew_num_steps(program)):
            step = self._library.ew_step(program, index).contents
            self.steps.append((step.name.decode(), step.kernel.decode()))
        self._create(program, folder, threads, first_cpu)

    def _tensors(self, kind: str, program: int) -> List[Tensor]:
        count = getattr(self._library, f"ew_num_{kind}s")(program)
        found = []
        for index in range(count):
            info = getattr(self._library, f"ew_{kind}")(program, index).contents
            shape = tuple(info.shape[axis] for axis in range(info.rank))
            found.append(Tensor(info.name.decode(), shape, _DTYPES[info.dtype]))
        return found

    def _create(self, program: int, folder: Path, threads: int, first_cpu: int) -> None:
        text = ctypes.create_string_buffer(_ERROR_TEXT_BYTES)
        options = _Options(ctypes.sizeof(_Options), threads, first_cpu)
        if not self._library.ew_weights_embedded(program):
            options.weights_path = os.fsencode(folder / "weights.bin")
        options.error_text = ctypes.cast(text, ctypes.c_char_p)
        options.error_text_bytes = _ERROR_TEXT_BYTES
        status = self._library.ew_create(program, ctypes.byref(options), ctypes.byref(self._handle))
        if status != _OK:
            raise RuntimeFailure(f"{self._status_name(status)}: {text.value.decode()}")

    def _status_name(self, status: int) -> str:
        return str(self._library.ew_status_name(status).decode())

    @property
    def threads(self) -> int:
        """The threads in use, the calling one included."""
        handle = self._open_handle()
        return int(self._library.ew_num_threads(handle))

    def _open_handle(self) -> ctypes.c_void_p:
        if not self._handle:
            raise RuntimeFailure("the model is closed. Make a new Model to run it again.")
        return self._handle

    def close(self) -> None:
        """End the model's threads, free its memory and unload it. May be called more than once."""
        library, self._library = self._library, None
        if library is None:
            return
        if self._handle:
            library.ew_destroy(self._handle)
            self._handle = ctypes.c_void_p()
        # The linker knows libraries by path: left loaded, this one would answer for another bundle
        # that took its place.
        _ctypes.dlclose(library._handle)

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def infer(self, inputs: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Run the model once.

        Args:
            inputs: an array for each input by name, of exactly its shape and dtype.

        Returns:
            An array for each output by name.

        Raises:
            InputError: a name, shape or dtype does not fit.
            RuntimeFailure: the run failed, or the model is busy in another thread.
        """
        run, outputs = self.bind(inputs)
        run()
        return outputs

    def bind(
        self, inputs: Mapping[str, np.ndarray]
    ) -> Tuple[Callable[[], None], Dict[str, np.ndarray]]:
        """Prepare to run the model many times on the same arrays, with no work between the runs.

        Args:
            inputs: as for :meth:`infer`; change the arrays in place between runs if they are
                contiguous.

        Returns:
            What runs the model once, and the arrays, by name, that it writes each time.

        Raises:
            InputError: a name, shape or dtype does not fit. The returned function raises
                RuntimeFailure as :meth:`infer` does.
        """
        arrays = self._check(inputs)
        results = [_empty_aligned(tensor) for tensor in self.outputs]
        sources = (ctypes.c_void_p * (len(arrays) + 1))(*(a.ctypes.data for a in arrays))
        targets = (ctypes.c_void_p * (len(results) + 1))(*(r.ctypes.data for r in results))

        def run() -> None:
            handle = self._open_handle()
            status = self._library.ew_run(handle, sources, targets)
            if status != _OK:
                self._raise(status, handle)

        run.__dict__["keeps"] = (arrays, results)  # the addresses must stay good
        return run, {tensor.name: results[index] for index, tensor in enumerate(self.outputs)}

    def _raise(self, status: int, handle: ctypes.c_void_p) -> None:
        name = self._status_name(status)
        if name == "EW_BUSY":
            raise RuntimeFailure(
                "EW_BUSY: the model is running in another thread. Use a Model each."
            )
        raise RuntimeFailure(f"{name}: {self._library.ew_last_error(handle).decode()}")

    def profile(self, inputs: Mapping[str, np.ndarray]) -> List[Tuple[str, str, float]]:
        """Run the model once with a clock around each step.

        Args:
            inputs: as for :meth:`infer`.

        Returns:
            Name, kernel and seconds of each step, in order.
        """
        seconds = [0.0] * len(self.steps)

        def record(user: Any, step: int, elapsed_ns: int) -> None:
            seconds[step] = elapsed_ns * 1e-9

        hook = _StepHook(record)  # must live until it is taken off again
        self._set_hook(hook)
        try:
            self.infer(inputs)
        finally:
            self._set_hook(_StepHook())
        return [(*step, seconds[index]) for index, step in enumerate(self.steps)]

    def _set_hook(self, hook: Any) -> None:
        handle = self._open_handle()
        status = self._library.ew_set_step_hook(handle, hook, None)
        if status != _OK:
            raise RuntimeFailure(f"{self._status_name(status)}: the step hook cannot be set.")

    def _check(self, inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        expected = ", ".join(map(str, self.inputs))
        known = {tensor.name for tensor in self.inputs}
        for name in inputs:
            if name not in known:
                raise InputError(f"the model has no input '{name}'. Its inputs are {expected}.")
        arrays = []
        for tensor in self.inputs:
            if tensor.name not in inputs:
                raise InputError(
                    f"the input '{tensor.name}' is missing. The inputs are {expected}."
                )
            array = np.asarray(inputs[tensor.name])
            if array.dtype != np.dtype(tensor.dtype):
                raise InputError(
                    f"the input {tensor} was given with dtype {array.dtype}. "
                    f"Convert it with .astype('{tensor.dtype}')."
                )
            if array.shape != tensor.shape:
                raise InputError(
                    f"the input {tensor} was given with shape {list(array.shape)}. "
                    "A compiled model takes one shape only."
                )
            arrays.append(np.asarray(array, order="C"))
        return arrays


def _read_manifest(folder: Path) -> Dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(manifest["library"]["file"], str):
            raise TypeError("library.file is not a text")
        if not isinstance(manifest["library"]["symbol"], str):
            raise TypeError("library.symbol is not a text")
    except OSError as error:
        raise RuntimeFailure(
            f"'{path}' cannot be read ({error.strerror}). Give the folder of an Edgewright bundle."
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise RuntimeFailure(
            f"'{path}' is not an Edgewright manifest ({error}). Copy the bundle to the board again."
        ) from None
    return dict(manifest)


def _default_threads(manifest: Mapping[str, Any]) -> int:
    target = manifest.get("target")
    cores = target.get("num_cores", 0) if isinstance(target, dict) else 0
    cpus = len(os.sched_getaffinity(0))
    return min(int(cores), cpus) if cores else cpus


def _load_library(folder: Path, manifest: Mapping[str, Any]) -> Tuple[Any, int]:
    path = folder / manifest["library"]["file"]
    symbol = manifest["library"]["symbol"]
    try:
        # CDLL, unlike PyDLL, releases the interpreter lock while a function runs.
        library = ctypes.CDLL(str(path.resolve()))
        program_function = getattr(library, symbol)
        _declare(library)
    except (OSError, AttributeError) as error:
        raise RuntimeFailure(
            f"the library '{path}' cannot be loaded ({error}). "
            "Check that the bundle was compiled for this machine."
        ) from None
    version = library.ew_abi_version()
    if version != _ABI_VERSION:
        raise RuntimeFailure(
            f"the library '{path}' has version {version} of Edgewright's ABI, this file has "
            f"{_ABI_VERSION}. Use the edgewright_runtime.py of its own bundle."
        )
    program_function.restype = ctypes.c_void_p
    program_function.argtypes = []
    return library, program_function()


def _declare(library: Any) -> None:
    pointer, count, text = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_char_p
    signatures: Dict[str, Tuple[Any, List[Any]]] = {
        "ew_abi_version": (count, []),
        "ew_status_name": (text, [ctypes.c_int]),
        "ew_num_inputs": (count, [pointer]),
        "ew_num_outputs": (count, [pointer]),
        "ew_num_steps": (count, [pointer]),
        "ew_input": (ctypes.POINTER(_TensorInfo), [pointer, count]),
        "ew_output": (ctypes.POINTER(_TensorInfo), [pointer, count]),
        "ew_step": (ctypes.POINTER(_StepInfo), [pointer, count]),
        "ew_weights_embedded": (ctypes.c_int, [pointer]),
        "ew_create": (ctypes.c_int, [pointer, pointer, pointer]),
        "ew_run": (ctypes.c_int, [pointer, pointer, pointer]),
        "ew_last_error": (text, [pointer]),
        "ew_set_step_hook": (ctypes.c_int, [pointer, _StepHook, pointer]),
        "ew_num_threads": (ctypes.c_int32, [pointer]),
        "ew_destroy": (None, [pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments


def _empty_aligned(tensor: Tensor) -> np.ndarray:
    """An array at an address that the kernels can write to without a copy."""
    dtype = np.dtype(tensor.dtype)
    size = dtype.itemsize
    for extent in tensor.shape:
        size *= extent
    room = np.empty(size + _ALIGNMENT_BYTES, dtype=np.uint8)
    start = -room.ctypes.data % _ALIGNMENT_BYTES
    return room[start : start + size].view(dtype).reshape(tensor.shape)
