"""Runners of a bundle: in this process, or through its ``selftest`` on whatever runs programs."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgewright.compiler.verify.runner import Array, Runner, check_inputs
from edgewright.deploy.board_runner import BoardRunner
from edgewright.deploy.bundle import BundleFolder
from edgewright.deploy.cuda.device_report import (
    EMULATED_GPU,
    check_for_gpu,
    is_for_gpu,
    refuse_gpu,
)
from edgewright.deploy.cuda.emulated_gpu import EmulatedGpuTransport
from edgewright.deploy.raw_tensors import pack, unpack
from edgewright.deploy.transport.qemu import QemuTransport
from edgewright.deploy.transport.transport import Transport
from edgewright.spec.errors import ToolError, UsageError
from edgewright.spec.target import host_target

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LibraryRunner", "SelftestRunner", "check_host", "open_runner"]

#: How this machine may call an architecture that we name otherwise.
_MACHINES = {"AMD64": "x86_64", "arm64": "aarch64", "armv7l": "arm", "armv6l": "arm"}

#: Each has the instructions of those before it.
_X86_LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")

#: An emulated VGG-16 takes minutes; a day says that something hangs.
_RUN_TIMEOUT_SECONDS = 3600.0


def open_runner(bundle: BundleFolder, on: str = "host", *, threads: int = 1) -> Runner:
    """The runner of a bundle on a machine.

    Args:
        bundle: what to run.
        on: ``host`` (in this process), ``qemu`` (an emulated CPU), ``emulated-gpu``, or a board,
            ``ssh://user@host[:port][/path]``, where the bundle is put unless it is at the path.
        threads: threads that share the work.

    Raises:
        UsageError: no such machine, a number of threads out of range, or a bundle that is for
            another architecture than the host's, or for a GPU where there can be none.
        ToolError: QEMU or ssh is not installed.
    """
    if not 1 <= threads <= 64:
        raise UsageError(f"{threads} threads were asked for", rule="A model uses 1 to 64 threads.")
    if on == "host":
        check_host(bundle)
        return LibraryRunner(bundle, threads)
    if on == EMULATED_GPU:
        check_for_gpu(bundle)
        return SelftestRunner(bundle, EmulatedGpuTransport(bundle), threads)
    if on == "qemu":
        refuse_gpu(bundle, "an emulated CPU has no GPU")
        return SelftestRunner(bundle, QemuTransport(bundle.manifest.target), threads)
    if on.startswith("ssh://"):
        return BoardRunner(bundle, on, threads)
    raise UsageError(
        f"unknown place to run on, '{on}'",
        rule=f"It is host, qemu, {EMULATED_GPU} or ssh://user@host[:port].",
    )


def check_host(bundle: BundleFolder) -> None:
    """Refuse a bundle that this machine cannot run.

    Raises:
        UsageError: it is for another architecture, or uses instructions that this machine lacks.
    """
    machine = platform.machine()
    here, wanted = _MACHINES.get(machine, machine), bundle.manifest.target.arch
    if here != wanted:
        raise UsageError(
            f"the bundle '{bundle.path}' is for {bundle.manifest.board} ({wanted}), and this "
            f"machine is {here}",
            remedy="Add --on qemu to run it on an emulated CPU, or compile it for --target host.",
        )
    wanted_cpu = bundle.manifest.target.mcpu
    if wanted_cpu in _X86_LEVELS:
        here_cpu = host_target().mcpu
        if _X86_LEVELS.index(wanted_cpu) > _X86_LEVELS.index(here_cpu):
            raise UsageError(
                f"the bundle '{bundle.path}' uses instructions of {wanted_cpu}, and this machine "
                f"has those of {here_cpu} only",
                remedy="Compile the model here with --target host.",
            )


class LibraryRunner:
    """Runs a bundle's shared library in this process, through its own Python module.

    Args:
        bundle: what to run.
        threads: threads that share the work.
    """

    def __init__(self, bundle: BundleFolder, threads: int = 1) -> None:
        self._bundle = bundle
        self._threads = threads
        self._module: Any = None
        self._model: Any = None
        self.name = f"host, {threads} thread{'s' if threads > 1 else ''}"

    def __enter__(self) -> Self:
        """Load the library and the weights.

        Raises:
            ToolError: the library cannot be loaded here.
        """
        self._module = load_runtime_module(self._bundle)
        try:
            self._model = self._module.Model(self._bundle.path, threads=self._threads)
        except (OSError, self._module.RuntimeFailure) as error:
            raise _failed(self._bundle, error) from error
        return self

    def __exit__(self, *exception: object) -> None:
        """Free the model."""
        self._model.close()
        self._model = None

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once; see :class:`Runner`."""
        arrays = check_inputs(inputs, self._bundle.manifest.inputs)
        try:
            return dict(self._model.infer(arrays))
        except self._module.RuntimeFailure as error:
            raise ToolError(
                f"the bundle '{self._bundle.path}' failed to run ({error})",
                remedy="Compile the model again.",
            ) from error


class SelftestRunner:
    """Runs a bundle's ``selftest`` program on a machine that runs programs.

    Args:
        bundle: what to run.
        transport: the machine.
        threads: threads that share the work.
    """

    def __init__(self, bundle: BundleFolder, transport: Transport, threads: int = 1) -> None:
        self._bundle = bundle
        self._transport = transport
        self._threads = threads
        self.name = transport.name

    def __enter__(self) -> Self:
        """Nothing to load: each inference is a run of the program."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to free."""

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the program once.

        Raises:
            TensorError: the inputs do not fit the model.
            ToolError: the program failed, with its last words.
        """
        arrays = check_inputs(inputs, self._bundle.manifest.inputs)
        with tempfile.TemporaryDirectory(prefix="edgewright-run-") as folder:
            given, result = Path(folder) / "inputs.bin", Path(folder) / "outputs.bin"
            given.write_bytes(pack(arrays))
            arguments = ["--run", str(given), str(result), "--bundle", str(self._bundle.path)]
            done = self._transport.run(
                self._bundle.selftest,
                [*arguments, "--threads", str(self._threads)],
                timeout_seconds=_RUN_TIMEOUT_SECONDS,
            )
            if done.status != 0:
                raise ToolError(
                    f"the bundle's selftest failed on {self.name} ({done.why})",
                    remedy="If an instruction was illegal, the emulator does not know the core: "
                    "update QEMU. Else compile the model again.",
                )
            return unpack(result.read_bytes(), self._bundle.manifest.outputs)


def load_runtime_module(bundle: BundleFolder) -> ModuleType:
    """The bundle's ``edgewright_runtime``, from its source: never from a cache beside it.

    Bundles that hold the same file share one module.
    """
    name = "python/edgewright_runtime.py"
    module_name = f"edgewright_runtime_{bundle.manifest.files[name].sha256[:16]}"
    if module_name not in sys.modules:
        path = bundle.path / name
        module = ModuleType(module_name)
        module.__file__ = str(path)
        sys.modules[module_name] = module  # dataclasses look their module up there
        try:
            exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
        except BaseException:
            del sys.modules[module_name]
            raise
    return sys.modules[module_name]


def _failed(bundle: BundleFolder, error: Exception) -> ToolError:
    remedy = "Compile the model here with --target host, or use --on qemu."
    if is_for_gpu(bundle):
        remedy = f"Use --on {EMULATED_GPU} to check it where there is no GPU."
    return ToolError(
        f"the library of '{bundle.path}' cannot be used on this machine ({error})", remedy=remedy
    )
