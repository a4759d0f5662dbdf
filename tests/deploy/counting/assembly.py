"""Runs straight-line assembler between two marks under the plugin and returns what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgewright.deploy.counting.counts import Counts
from edgewright.deploy.counting.emulator import CountingEmulator
from edgewright.deploy.toolchain import run_tool

__all__ = ["count_snippets"]

#: Marks the point {point}, and what that adds to the counts before the system call.
_MARKS = {
    "aarch64": "mov w0, #{point}\n movk w0, #0x6577, lsl #16\n mov w8, #156\n svc #0\n",
    "arm": "movw r0, #{point}\n movt r0, #0x6577\n mov r7, #147\n svc #0\n",
}
_MARK_COUNTS = Counts(scalar_other=4)
_BEGIN = {
    "aarch64": "adrp x9, buffer\n add x9, x9, :lo12:buffer\n mov x10, #64\n",
    "arm": "movw r9, :lower16:buffer\n movt r9, :upper16:buffer\n mov r10, #64\n",
}
_EXIT = {
    "aarch64": "mov x0, #0\n mov x8, #93\n svc #0\n",
    "arm": "mov r0, #0\n mov r7, #1\n svc #0\n",
}
_COMPILE = {
    "aarch64": ("-target", "aarch64-linux-musl", "-mcpu=generic+v8_6a+fp16fml"),
    "arm": ("-target", "arm-linux-musleabihf", "-mcpu=cortex_a7"),
}


def zig() -> str:
    """Path of zig."""
    import ziglang

    return str(Path(ziglang.__file__).parent / "zig")


def count_snippets(arch: str, snippets: Mapping[str, str], folder: Path) -> dict[str, Counts]:
    """What each snippet executes; x9 (r9) points to 4 KiB of zeros and x10 (r10) holds 64.

    All run in one program, one after another.
    """
    lines = [".text", ".arm" if arch == "arm" else "", ".globl _start", "_start:"]
    for index, snippet in enumerate(snippets.values()):
        lines += [_BEGIN[arch], _MARKS[arch].format(point=2 * index), snippet]
        lines += [_MARKS[arch].format(point=2 * index + 1)]
    lines += [_EXIT[arch], ".bss", ".balign 64", "buffer: .space 4096", ""]
    (folder / "snippets.s").write_text("\n".join(lines))
    flags = (*_COMPILE[arch], "-nostdlib", "-static", "-no-pie")
    command = [zig(), "cc", *flags, "snippets.s", "-o", "snippets"]
    run_tool(command, folder, "assembling the snippets")
    done, marks = CountingEmulator(arch, "max").run(folder / "snippets", [])
    assert done.status == 0, done.why
    assert [mark.point for mark in marks] == list(range(2 * len(snippets)))
    pairs = zip(marks[::2], marks[1::2], strict=True)
    counted = [end.counts - begin.counts - _MARK_COUNTS for begin, end in pairs]
    return dict(zip(snippets, counted, strict=True))
