"""GCC and binutils as a toolchain, for who must use a vendor's or Debian's."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import ClassVar

from edgewright.deploy.toolchain import Toolchain, arm_version, run_tool
from edgewright.spec.errors import ToolError
from edgewright.spec.target import Target

__all__ = ["GnuToolchain"]


class GnuToolchain(Toolchain):
    """GCC and binutils of Debian's names, such as ``aarch64-linux-gnu-gcc``."""

    name: ClassVar[str] = "gnu"

    def __init__(self, target: Target, glibc: str | None = None) -> None:
        super().__init__(target, glibc)
        self._prefix = self._find_prefix()

    def _find_prefix(self) -> str:
        """``aarch64-linux-gnu-``, or empty for a native compiler."""
        hard = self.target.float_abi == "hard"
        if self.target.arch == "arm" and hard and arm_version(self.target) < 7:
            raise ToolError(
                f"Debian's hard-float C library does not run on '{self.target.name}'",
                rule="It is built for armv7, and this core is older.",
                remedy="Use the toolchain zig.",
            )
        triple = {
            "aarch64": "aarch64-linux-gnu",
            "arm": "arm-linux-gnueabihf" if hard else "arm-linux-gnueabi",
            "x86_64": "x86_64-linux-gnu",
        }[self.target.arch]
        if shutil.which(f"{triple}-gcc") is not None:
            return f"{triple}-"
        if self.target.arch == platform.machine() == "x86_64" and shutil.which("gcc") is not None:
            return ""
        package = "gcc" if self.target.arch == "x86_64" else f"gcc-{triple}"
        raise ToolError(
            f"the compiler {triple}-gcc is not on the PATH",
            rule=f"The toolchain gnu needs it for the target '{self.target.name}'.",
            remedy=f"Install Debian's package {package}, or use the toolchain zig.",
        )

    def describe(self) -> str:
        """The compiler's name and version, such as ``aarch64-linux-gnu-gcc 12.2.0``."""
        compiler = f"{self._prefix}gcc"
        version = run_tool(
            [compiler, "-dumpfullversion"], Path.cwd(), f"asking {compiler} its version"
        )
        return f"{compiler} {version.strip()}"

    def _compile_command(self, static: bool) -> list[str]:
        flags = [f"{self._prefix}gcc"]
        if self.target.arch == "x86_64":
            # The runtime gains nothing from newer instructions, and GCC knows few of LLVM's names.
            return flags
        if self.target.arch == "aarch64":
            return [*flags, "-march=armv8-a"]
        version = arm_version(self.target)
        march = {5: "armv5te", 6: "armv6"}.get(version, "armv7-a")
        if self.target.float_abi == "hard":
            return [*flags, f"-march={march}+fp", "-mfloat-abi=hard"]
        return [*flags, f"-march={march}", "-mfloat-abi=soft", "-marm"]

    def _link_command(self, static: bool) -> list[str]:
        return [f"{self._prefix}gcc", "-Wl,--build-id=none"]

    def _archive_command(self) -> list[str]:
        return [f"{self._prefix}ar"]
