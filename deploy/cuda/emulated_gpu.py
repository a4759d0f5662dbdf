"""A GPU that is none: the bundle's own programs and kernels, run and checked on this CPU.

The bundle's program loads a driver of ours in place of NVIDIA's. It checks every call, pointer,
size and launch, and runs the kernels that the bundle's CUDA source holds, compiled for this CPU. It
shows that the plan is sound and the numbers are right; it says nothing about time.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgewright.deploy.bundle import BundleFolder
from edgewright.deploy.cuda.device_report import SOURCE_FILE, read_report
from edgewright.deploy.cuda.emulator.kernel_library import build_driver, build_kernels
from edgewright.deploy.transport.transport import Completed, run_program
from edgewright.spec.errors import ToolError, UsageError
from edgewright.spec.gpu import parse_gpu

__all__ = ["EmulatedGpuTransport"]

_TRACE = "trace.txt"


class EmulatedGpuTransport:
    """Runs a bundle's programs with the emulated driver.

    Args:
        bundle: for a GPU, with a host of this machine's architecture.
        reversed_threads: run the threads of each block in the opposite order: the numbers differ
            where a barrier is missing.

    Raises:
        UsageError: the bundle's host is another architecture.
        ToolError: the compiler is absent, or a kernel uses what only a GPU has.
    """

    def __init__(self, bundle: BundleFolder, *, reversed_threads: bool = False) -> None:
        _check_host(bundle)
        self._report = read_report(bundle)
        self._temporary = tempfile.TemporaryDirectory(prefix="edgewright-gpu-")
        folder = Path(self._temporary.name)
        source = (bundle.path / SOURCE_FILE).read_text(encoding="utf-8")
        driver, kernels = build_driver(folder), build_kernels(source, folder)
        self._trace = folder / _TRACE
        self._environment = {
            "LD_LIBRARY_PATH": str(driver.parent),
            "EW_EMULATED_KERNELS": str(kernels),
            "EW_EMULATED_CAPABILITY": str(parse_gpu(self._report.arch).capability),
            "EW_EMULATED_TRACE": str(self._trace),
            **({"EW_EMULATED_REVERSED": "1"} if reversed_threads else {}),
        }
        self.name = f"emulated {self._report.arch}"

    def run(self, program: Path, arguments: Sequence[str], *, timeout_seconds: float) -> Completed:
        """Run a program of the bundle, and compare what it launched with the bundle's report.

        Raises:
            ToolError: it could not be started, did not end in time, or launched something else.
        """
        self._trace.unlink(missing_ok=True)
        settings = [f"{name}={value}" for name, value in self._environment.items()]
        command = ["/usr/bin/env", *settings, str(program), *arguments]
        done = run_program(command, timeout_seconds=timeout_seconds)
        if done.status == 0:
            self._check_launches()
        return done

    def _check_launches(self) -> None:
        lines = self._trace.read_text(encoding="utf-8").splitlines()
        launched = [line.split()[1:] for line in lines if line.startswith("launch ")]
        planned = [
            [launch.kernel, *map(str, launch.grid), *map(str, launch.block)]
            for launch in self._report.launches
            if launch.kernel
        ]
        if launched != planned:
            raise ToolError(
                f"the bundle launched {len(launched)} kernels on the emulated GPU, and its report "
                f"plans {len(planned)}, or others",
                rule="The launches of an inference are fixed when the bundle is made.",
                remedy="Compile the model again.",
            )


def _check_host(bundle: BundleFolder) -> None:
    here, wanted = platform.machine(), bundle.manifest.target.arch
    if here == wanted:
        return
    report = read_report(bundle)
    raise UsageError(
        f"the bundle '{bundle.path}' has programs for {wanted}, and this machine is {here}",
        rule="The emulated GPU runs the bundle's own programs.",
        remedy=f"The same kernels run here when compiled for --target cuda:{report.arch}:{here}.",
    )
