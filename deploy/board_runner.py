"""Runs a bundle on a board, and sees to it that the board has that very bundle."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.compiler.verify.runner import Array, check_inputs
from edgewright.deploy.bundle import BundleFolder, hash_file
from edgewright.deploy.deploy import deploy_bundle
from edgewright.deploy.deploy_scripts import word
from edgewright.deploy.manifest import MANIFEST_NAME
from edgewright.deploy.raw_tensors import pack, unpack
from edgewright.deploy.transport.machine import Machine
from edgewright.deploy.transport.refusals import refused
from edgewright.deploy.transport.ssh_address import parse_ssh_address
from edgewright.deploy.transport.ssh_machine import SshMachine
from edgewright.spec.errors import BoardError
from edgewright.spec.progress import Progress, silent

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BoardRunner", "on_board"]

_SHORT_SECONDS = 60.0
_RUN_SECONDS = 3600.0


def on_board(
    bundle: BundleFolder,
    machine: Machine,
    path: str = "",
    *,
    selftest: bool = False,
    progress: Progress = silent,
) -> str:
    """The absolute folder of a bundle on a machine.

    Args:
        bundle: what must be there.
        machine: the machine.
        path: where the bundle was deployed; empty to put it into the user's cache, where it
            replaces what was put there before.
        selftest: run the golden inputs in the user's cache before the bundle is used.
        progress: told ``check`` and ``copy`` and the fraction that is done.

    Raises:
        BoardError: the machine cannot be reached, or another bundle is at the path.
        VerificationError: the selftest computed other numbers than the reference.
    """
    if not path:
        manifest = bundle.manifest
        scratch = f"~/.cache/edgewright/{manifest.name}-{manifest.board}"
        return deploy_bundle(bundle, machine, scratch, selftest=selftest, progress=progress).place
    done = machine.shell(
        f"cd {word(path)} && pwd && sha256sum {MANIFEST_NAME}", timeout_seconds=_SHORT_SECONDS
    )
    lines = done.stdout.splitlines()
    if done.status != 0 or len(lines) < 2:
        raise BoardError(
            f"there is no bundle at '{path}' on {machine.name} ({done.why})",
            remedy=f"Deploy it first: edgewright deploy {bundle.path} ADDRESS/PATH.",
        )
    if lines[1].split()[0] != hash_file(bundle.path / MANIFEST_NAME):
        raise BoardError(
            f"the bundle at '{path}' on {machine.name} is not the one in '{bundle.path}'",
            rule="What is run is what is asked about.",
            remedy="Deploy this one first, or leave the path out to run it from the user's cache.",
        )
    return lines[0]


class BoardRunner:
    """Runs a bundle's static ``selftest`` program on a board.

    Args:
        bundle: what to run.
        address: ``ssh://[user@]host[:port][/path]``.
        threads: threads that share the work.

    Raises:
        UsageError: a malformed address.
        ToolError: ssh is not installed.
    """

    def __init__(self, bundle: BundleFolder, address: str, threads: int = 1) -> None:
        parsed = parse_ssh_address(address)
        self._bundle = bundle
        self._path = parsed.path
        self._machine = SshMachine(parsed)
        self._threads = threads
        self._place = ""
        self._open = contextlib.ExitStack()
        self.name = f"{self._machine.name}, {threads} thread{'s' if threads > 1 else ''}"

    def __enter__(self) -> Self:
        """Connect, and bring the bundle there unless it is there.

        Raises:
            BoardError: the board cannot be reached, or lacks what the bundle needs.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._machine)
            self._place = on_board(self._bundle, self._machine, self._path)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connection."""
        self._open.close()

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the program once.

        Raises:
            TensorError: the inputs do not fit the model.
            BoardError: the connection was lost, or the program failed, with its last words.
        """
        raw = pack(check_inputs(inputs, self._bundle.manifest.inputs))
        done = self._machine.shell(
            'mktemp -d "${TMPDIR:-/tmp}/edgewright-XXXXXX"', timeout_seconds=_SHORT_SECONDS
        )
        if done.status != 0:
            raise refused(self._machine.name, "to make a temporary folder", done.stderr)
        scratch = done.stdout.strip()
        try:
            with tempfile.TemporaryDirectory(prefix="edgewright-run-") as folder:
                given = Path(folder) / "inputs.bin"
                given.write_bytes(raw)
                self._machine.send([(given, given.name)], scratch)
            script = (
                f"cd {shlex.quote(self._place)} && exec ./bin/selftest --bundle . --threads "
                f"{self._threads} --run {scratch}/inputs.bin {scratch}/outputs.bin"
            )
            done = self._machine.shell(script, timeout_seconds=_RUN_SECONDS)
            if done.status != 0:
                raise BoardError(
                    f"the bundle's selftest failed on {self.name} ({done.why})",
                    remedy="Compile the model for this board; `edgewright boards detect` names it.",
                )
            result = self._machine.receive(f"{scratch}/outputs.bin")
        finally:
            with contextlib.suppress(BoardError):
                self._machine.shell(f"rm -rf {scratch}", timeout_seconds=_SHORT_SECONDS)
        return unpack(result, self._bundle.manifest.outputs)
