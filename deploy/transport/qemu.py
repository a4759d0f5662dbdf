"""An emulated CPU: QEMU's user mode runs the bundle's static programs on this machine.

It shows that the numbers are right and the instructions exist on the core. It says nothing about
time: an emulated latency is never reported as one.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from edgewright.deploy.transport.transport import Completed, run_program
from edgewright.spec.errors import ToolError
from edgewright.spec.target import Target

__all__ = ["QemuTransport", "find_qemu"]


def find_qemu(arch: str) -> str:
    """Path of the emulator of an architecture.

    Args:
        arch: ``aarch64``, ``arm`` or ``x86_64``.

    Raises:
        ToolError: it is not installed.
    """
    names = (f"qemu-{arch}-static", f"qemu-{arch}")
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    raise ToolError(
        f"neither '{names[0]}' nor '{names[1]}' is on the PATH",
        rule="Bundles for another CPU run on this machine under QEMU's user mode.",
        remedy="Install it: sudo apt-get install qemu-user-static.",
    )


class QemuTransport:
    """Runs the bundle's programs under QEMU's user mode.

    Args:
        target: decides the architecture and the features that programs see.

    Raises:
        ToolError: QEMU is not installed.
    """

    def __init__(self, target: Target) -> None:
        self._prefix = [find_qemu(target.arch)]
        cpu = target.qemu_cpu or "max"
        self._prefix += ["-cpu", cpu]
        self.name = f"qemu {cpu}"

    def run(self, program: Path, arguments: Sequence[str], *, timeout_seconds: float) -> Completed:
        """Run a program of the bundle; see :class:`Transport`."""
        command = [*self._prefix, str(program), *arguments]
        return run_program(command, timeout_seconds=timeout_seconds)
