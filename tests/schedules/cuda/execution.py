"""Runs scheduled functions on this machine's CPU, as the emulated GPU would."""

from __future__ import annotations

import ctypes
import functools
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewright.compiler.cuda.device_code import DeviceLaunch, emit_cuda, lower_function
from edgewright.deploy.cuda.emulator.kernel_library import FOLDER, build_kernels
from edgewright.deploy.toolchain import run_tool
from edgewright.spec.gpu import Gpu

__all__ = ["GPU", "launches_of", "run_on_emulated_gpu"]

GPU = Gpu("sm_87")
Array = npt.NDArray[Any]


class _Index(ctypes.Structure):
    _fields_ = [("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint)]


class _Kernel(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("run", ctypes.c_void_p),
        ("num_parameters", ctypes.c_uint),
        ("waits", ctypes.c_int),
    ]


class _Library(ctypes.Structure):
    _fields_ = [
        ("kernels", ctypes.POINTER(_Kernel)),
        ("num_kernels", ctypes.c_size_t),
        ("services", ctypes.c_void_p),
        ("place", ctypes.c_void_p),
        ("shared_begin", ctypes.c_void_p),
        ("shared_bytes", ctypes.c_size_t),
    ]


@functools.cache
def _threads() -> Any:
    """The emulator's threads without its driver, which this process must not take for NVIDIA's."""
    command = [sys.executable, "-m", "ziglang", "cc", "-O2", "-fPIC", "-shared", "-std=gnu11"]
    source = str(FOLDER / "emulated_threads.c")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run_tool([*command, source, "-o", "threads.so"], folder, "compiling the emulated threads")
        library = ctypes.CDLL(str(folder / "threads.so"))
    library.ew_emulated_run.restype = ctypes.c_char_p
    library.ew_emulated_run.argtypes = [
        *(ctypes.POINTER(_Library), ctypes.POINTER(_Kernel), _Index, _Index),
        *(ctypes.POINTER(ctypes.c_void_p), ctypes.c_int),
    ]
    return library


def launches_of(func: Any) -> tuple[DeviceLaunch, ...]:
    """What a scheduled function becomes."""
    return lower_function("tested", func, GPU).launches


def run_on_emulated_gpu(func: Any, arrays: list[Array], *, reversed_threads: bool = False) -> None:
    """Lower a scheduled function, compile its kernels for the CPU and run them, in place.

    Intermediates begin as NaN, so that what is read before it is written shows.
    """
    made = lower_function("tested", func, GPU)
    spoiled = [
        np.full([int(extent) for extent in buffer.shape], np.nan, str(buffer.dtype))
        if "float" in str(buffer.dtype)
        else np.full([int(extent) for extent in buffer.shape], 77, str(buffer.dtype))
        for buffer in made.intermediates
    ]
    memory = [*arrays, *spoiled]
    with tempfile.TemporaryDirectory() as folder:  # a loaded library needs its file no longer
        kernels = ctypes.CDLL(str(build_kernels(emit_cuda(made.kernels, GPU), Path(folder))))
    library = _Library()
    kernels.ew_emulated_open(ctypes.byref(library))
    by_name = {library.kernels[i].name.decode(): i for i in range(library.num_kernels)}
    for launch in made.launches:
        addresses = [ctypes.c_void_p(memory[number].ctypes.data) for number in launch.parameters]
        pointers = (ctypes.c_void_p * (len(addresses) + 1))(
            *(ctypes.addressof(address) for address in addresses)
        )
        wrong = _threads().ew_emulated_run(
            ctypes.byref(library),
            ctypes.byref(library.kernels[by_name[launch.kernel]]),
            _Index(*launch.grid),
            _Index(*launch.block),
            pointers,
            int(reversed_threads),
        )
        assert wrong is None, wrong
