"""The ``ziglang`` wheel as a cross toolchain for every target."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import ClassVar

from edgewright.deploy.toolchain import Toolchain, arm_version, run_tool
from edgewright.deploy.zig_cache import adopt
from edgewright.spec.errors import ToolError
from edgewright.spec.target import Target

__all__ = ["DEFAULT_GLIBC", "ZigToolchain"]

#: The oldest glibc that libraries run with unless asked otherwise: the first for aarch64 (2012).
DEFAULT_GLIBC = "2.17"


class ZigToolchain(Toolchain):
    """``zig cc`` of the ``ziglang`` wheel: any glibc for libraries, musl for executables.

    Executables are linked for the architecture's baseline where the C library of all its cores is
    one: zig builds musl anew (half a minute, once a machine) for every CPU that it is told.
    """

    name: ClassVar[str] = "zig"

    def __init__(self, target: Target, glibc: str | None = DEFAULT_GLIBC) -> None:
        super().__init__(target, glibc or DEFAULT_GLIBC)
        spec = importlib.util.find_spec("ziglang")
        if spec is None or spec.origin is None:
            raise ToolError(
                "the Python package 'ziglang' is not installed",
                rule="It is the C compiler and linker for every target.",
                remedy="Install it with `pip install ziglang`, or ask for the toolchain gnu.",
            )
        self._zig = str(Path(spec.origin).parent / "zig")
        if folder := os.environ.get("ZIG_GLOBAL_CACHE_DIR"):
            adopt(Path(folder), Path(spec.origin).parent / "lib")

    @property
    def extra_sources(self) -> tuple[str, ...]:
        """What TVM's objects and musl ask of the compiler's runtime, and zig's lacks on ARM."""
        if self.target.arch != "arm":
            return ()
        atomics = ("arm_atomics.c",) if arm_version(self.target) < 6 else ()
        return ("compiler_rt_names.c", *atomics)

    def describe(self) -> str:
        """``zig`` and its version."""
        return (
            f"zig {run_tool([self._zig, 'version'], Path.cwd(), 'asking zig its version').strip()}"
        )

    def _zig_target(self, static: bool) -> str:
        """``aarch64-linux-gnu.2.17``, or with musl, ``aarch64-linux-musl``."""
        libc = "musl" if static else "gnu"
        hard = "hf" if self.target.float_abi == "hard" else ""
        eabi = f"eabi{hard}" if self.target.arch == "arm" else ""
        version = "" if static else f".{self.glibc}"
        return f"{self.target.arch}-linux-{libc}{eabi}{version}"

    def _cpu(self) -> str:
        """Spell the CPU and its features as zig does: ``cortex_a7+neon-crypto``."""
        features = "".join(
            feature[0] + feature[1:].replace("-", "_").replace(".", "_")
            for feature in self.target.mattr
        )
        return self.target.mcpu.replace("-", "_").replace(".", "_") + features

    def _compile_command(self, static: bool) -> list[str]:
        command = [self._zig, "cc", "-target", self._zig_target(static), f"-mcpu={self._cpu()}"]
        # Atomics in place: calls of the compiler's runtime would leave the static library wanting.
        return [*command, "-mno-outline-atomics"] if self.target.arch == "aarch64" else command

    def _link_command(self, static: bool) -> list[str]:
        # Without -O2 zig links a debug build of its runtime, which drags in its standard library.
        command = [self._zig, "cc", "-O2", "-target", self._zig_target(static)]
        # zig's baseline of arm is armv7 with NEON.
        if self.target.arch == "arm" and "+neon" not in self.target.mattr:
            command.append(f"-mcpu={self._cpu()}")
        return command

    def _archive_command(self) -> list[str]:
        return [self._zig, "ar"]
