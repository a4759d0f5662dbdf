"""NVIDIA's compiler: where it is, what it knows, and device code made by it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgewright.deploy.cuda.ptxas_report import KernelResources, parse_ptxas
from edgewright.deploy.toolchain import run_tool
from edgewright.spec.errors import ToolError
from edgewright.spec.gpu import Gpu

__all__ = ["NVCC_VARIABLE", "Nvcc", "open_nvcc"]

#: Environment variable with the path of the compiler, in place of the search.
NVCC_VARIABLE = "EDGEWRIGHT_NVCC"

_DEFAULT = Path("/usr/local/cuda/bin/nvcc")
#: The first and the last CUDA that compile for an architecture that some do not: CUDA's release
#: notes, "Deprecated Architectures" and "New Features".
_FIRST = {"sm_86": "11.1", "sm_87": "11.4", "sm_89": "11.8", "sm_90": "11.8", "sm_100": "12.8"}
_LAST = {"sm_70": "12.9", "sm_72": "12.9"}


@dataclass(frozen=True)
class Nvcc:
    """A compiler that knows the architecture it was asked for.

    Attributes:
        path: the program.
        version: ``13.0``.
        gpu: what it compiles for.
    """

    path: str
    version: str
    gpu: Gpu

    def describe(self) -> str:
        """Name and version, for the manifest."""
        return f"nvcc {self.version}"

    def compile(self, folder: Path, source: str, out: str) -> tuple[KernelResources, ...]:
        """Compile CUDA C++ to a fatbin of machine code for the one architecture.

        Args:
            folder: holds the source and receives the fatbin.
            source: file name.
            out: file name.

        Returns:
            What each kernel takes, by name.

        Raises:
            ToolError: the compiler refuses the source.
        """
        number = self.gpu.arch.removeprefix("sm_")
        code = f"arch=compute_{number},code=sm_{number}"
        command = [self.path, "-fatbin", "-gencode", code, "-std=c++17", "-Xptxas", "-v"]
        command += ["-o", out, source]
        said = run_tool(command, folder, f"compiling {source}", errors_too=True)
        return parse_ptxas(said)


def open_nvcc(gpu: Gpu) -> Nvcc:
    """Find a compiler for an architecture.

    It is looked for in :data:`NVCC_VARIABLE`, on the ``PATH``, in ``CUDA_HOME``, in the toolkit's
    usual place and in the ``nvidia-cuda-nvcc`` wheel, and the first that is there is taken.

    Raises:
        ToolError: there is none, or it does not know the architecture.
    """
    path = next(_candidates(), None)
    if path is None:
        raise ToolError(
            "nvcc, NVIDIA's compiler, is not on the PATH",
            rule="Kernels for a GPU are compiled when the bundle is made; the board needs none.",
            remedy=f"Install the CUDA toolkit or the wheel nvidia-cuda-nvcc, or set "
            f"{NVCC_VARIABLE} to its path.",
        )
    version = _version(path)
    known = run_tool([path, "--list-gpu-code"], Path.cwd(), "asking nvcc what it knows").split()
    if gpu.arch not in known:
        raise ToolError(
            f"nvcc {version} ('{path}') does not compile for {gpu.arch}",
            rule=f"It knows {', '.join(known)}.",
            remedy=_other_version(gpu),
        )
    return Nvcc(path, version, gpu)


def _candidates() -> Iterator[str]:
    given = os.environ.get(NVCC_VARIABLE, "")
    if given:
        yield given
    on_path = shutil.which("nvcc")
    if on_path is not None:
        yield on_path
    homes = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    spec = importlib.util.find_spec("nvidia")
    wheels = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    places = [home / "bin" / "nvcc" for home in homes] + [_DEFAULT]
    places += [path for wheel in wheels for path in sorted(wheel.glob("*/bin/nvcc"))]
    yield from (str(place) for place in places if os.access(place, os.X_OK))


def _version(path: str) -> str:
    said = run_tool([path, "--version"], Path.cwd(), "asking nvcc its version")
    found = re.search(r"release (\d+\.\d+)", said)
    if found is None:
        raise ToolError(
            f"'{path}' does not say which nvcc it is",
            remedy=f"Set {NVCC_VARIABLE} to the compiler of a CUDA toolkit.",
        )
    return found.group(1)


def _other_version(gpu: Gpu) -> str:
    if gpu.arch in _LAST:
        which = f"CUDA {_LAST[gpu.arch]} is the last that does"
    elif gpu.arch in _FIRST:
        which = f"CUDA {_FIRST[gpu.arch]} is the first that does"
    else:
        which = "CUDA's release notes say which does"
    return f"{which}: install it beside the other, and set {NVCC_VARIABLE} to its nvcc."
