"""Runs a program under QEMU with the plugin that counts instructions."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edgewright.deploy.counting.counts import Mark, parse_marks
from edgewright.deploy.counting.plugin import build_plugin
from edgewright.deploy.transport.transport import Completed
from edgewright.spec.errors import ToolError

__all__ = ["CountingEmulator", "find_counting_qemu"]

#: The first version of the plugin interface with everything that the plugin uses (QEMU 6.0).
_FIRST_API = 1
#: The newest whose description says nothing against it (QEMU 11).
_LAST_API = 7

_TIMEOUT_SECONDS = 3600.0
_POLL_SECONDS = 0.05


def find_counting_qemu(arch: str) -> str:
    """Path of the dynamic emulator of an architecture; static ones cannot load plugins.

    Args:
        arch: ``aarch64`` or ``arm``.

    Raises:
        ToolError: it is not installed.
    """
    name = f"qemu-{arch}"
    found = shutil.which(name)
    if found is None:
        raise ToolError(
            f"'{name}' is not on the PATH",
            rule="Instructions are counted by a plugin of QEMU's user mode, which "
            f"'{name}-static' cannot load.",
            remedy="Install Debian's package: sudo apt-get install qemu-user.",
        )
    return found


class CountingEmulator:
    """An emulated core that counts what it executes.

    Args:
        arch: ``aarch64`` or ``arm``.
        cpu: QEMU's name of the core.

    Raises:
        ToolError: QEMU is not installed.
    """

    def __init__(self, arch: str, cpu: str) -> None:
        self._qemu = find_counting_qemu(arch)
        self._cpu = cpu
        self._api = _FIRST_API

    def version(self) -> str:
        """``qemu-aarch64 7.2.22``.

        Raises:
            ToolError: it cannot be started.
        """
        command = [self._qemu, "--version"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise ToolError(f"'{self._qemu}' cannot be started ({error})") from error
        match = re.search(r"version (\S+)", done.stdout)
        return f"{Path(self._qemu).name} {match[1] if match else '?'}"

    def run(
        self,
        program: Path,
        arguments: Sequence[str],
        *,
        passed: Callable[[int], None] = lambda marks: None,
    ) -> tuple[Completed, tuple[Mark, ...]]:
        """Run a static program of one thread to its end.

        Args:
            program: the program; it says where it is with ``getsid(0x65770000 + point)``.
            arguments: its arguments.
            passed: told how many marks the program has passed, now and then.

        Returns:
            How it ended, and the marks it passed; none if it failed.

        Raises:
            ToolError: QEMU takes no plugins or does not know the core, there is no C compiler, or
                the program took too long.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-count-") as name:
            counts = Path(name) / "counts.txt"
            done = self._run_once(program, arguments, counts, passed)
            wanted = self._wanted_api(done)
            if wanted is not None:
                self._api = wanted
                done = self._run_once(program, arguments, counts, passed)
            self._check(done)
            if done.status != 0:
                return done, ()
            try:
                return done, parse_marks(counts.read_text())
            except (OSError, ValueError) as error:
                raise ToolError(
                    f"the plugin of {self.version()} wrote no usable counts ({error})",
                    remedy="Check that the disk is not full.",
                ) from error

    def _run_once(
        self,
        program: Path,
        arguments: Sequence[str],
        counts: Path,
        passed: Callable[[int], None],
    ) -> Completed:
        # QEMU separates options with commas; a doubled one stands for itself.
        plugin, out = (str(path).replace(",", ",,") for path in (build_plugin(self._api), counts))
        command = [self._qemu, "-cpu", self._cpu, "-plugin", f"file={plugin},out={out}"]
        with tempfile.TemporaryFile("w+") as said:
            try:
                process = subprocess.Popen(
                    [*command, str(program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                )
            except OSError as error:
                raise ToolError(f"'{self._qemu}' cannot be started ({error.strerror})") from error
            try:
                self._wait(process, counts, passed)
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
            said.seek(0)
            return Completed(process.returncode, "", said.read())

    def _wait(
        self, process: subprocess.Popen[bytes], counts: Path, passed: Callable[[int], None]
    ) -> None:
        end = time.monotonic() + _TIMEOUT_SECONDS
        while process.poll() is None:
            if time.monotonic() > end:
                raise ToolError(
                    f"the emulated program did not end within {_TIMEOUT_SECONDS:g} seconds",
                    remedy="Count a smaller model, or look whether the machine is busy.",
                )
            time.sleep(_POLL_SECONDS)
            if counts.exists():
                written = counts.read_bytes()
                others = 2 if written.endswith(b"end\n") else 1  # the names, and the end
                passed(max(0, written.count(b"\n") - others))

    def _wanted_api(self, done: Completed) -> int | None:
        """The version of the interface that QEMU asks for instead, or None if it did not object."""
        match = re.search(r"supports only a minimum version of (\d+)", done.stderr)
        if match is None:
            return None
        if int(match[1]) > _LAST_API:
            raise ToolError(
                f"{self.version()} wants plugins of version {match[1]}",
                rule=f"The instruction counter knows versions {_FIRST_API} to {_LAST_API}.",
                remedy="Use an older QEMU, such as that of Debian 12.",
            )
        return int(match[1])

    def _check(self, done: Completed) -> None:
        """Tell what is QEMU's fault from what is the program's."""
        if done.status == 0:
            return
        if "supports only up to version" in done.stderr:
            raise ToolError(
                f"{self.version()} is too old to count instructions",
                rule="It needs plugins of version 1, which came with QEMU 6.0.",
                remedy="Update QEMU.",
            )
        if "unknown option 'plugin'" in done.stderr or "plugin interface is not" in done.stderr:
            raise ToolError(
                f"'{self._qemu}' was built without plugins",
                rule="A static build has none; Debian's qemu-user is static from Debian 13 on.",
                remedy="Install qemu-user of Debian 12, or QEMU built with --enable-plugins.",
            )
        if "Could not load plugin" in done.stderr:
            raise ToolError(
                f"{self.version()} does not load the instruction counter ({done.why})",
                remedy="Remove the cached plugin, or use the QEMU of Debian 12.",
            )
        if "unable to find CPU model" in done.stderr:
            raise ToolError(
                f"{self.version()} does not know the core '{self._cpu}'",
                remedy="Update QEMU, or name a similar core with --cpu, such as cortex-a72.",
            )
