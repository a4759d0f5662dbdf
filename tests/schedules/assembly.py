"""Reads the assembly that LLVM makes of a kernel, and asks llvm-mca how fast a core runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache

import pytest
import tvm
import tvm_ffi

from edgewright.compiler.pipeline import plain_c_passes, tir_passes
from edgewright.schedules.kernel import Kernel
from edgewright.spec.target import Target

_LABEL = re.compile(r"^(\.LBB\w+):")
_BRANCH = re.compile(r"^\s+(?:b\.\w+|b|cbn?z|tbn?z)\s+(?:\w+,\s*)*(?:#\d+,\s*)?(\.LBB\w+)")


def assembly(kernel: Kernel, target: Target) -> str:
    """The kernel's assembly for ``target``, as bundles have it."""
    tvm_target = tvm.target.Target(target.tvm_dict())
    module = tvm.IRModule({"main": kernel.prim_func.with_attr("global_symbol", "main")})
    with tvm.transform.PassContext(opt_level=3):
        module = tvm.tirx.transform.BindTarget(tvm_target.with_host(tvm_target))(module)
        module = tvm.transform.Sequential([*tir_passes(), *plain_c_passes()])(module)
        built = tvm_ffi.get_global_func("target.build.llvm")(module, tvm_target)
    return str(built.inspect_source("asm"))


def innermost_loops(text: str) -> list[list[str]]:
    """Instructions of every AArch64 loop without a label inside."""
    lines = text.split("\n")
    labels = {found.group(1): i for i, line in enumerate(lines) if (found := _LABEL.match(line))}
    loops = []
    for end, line in enumerate(lines):
        found = _BRANCH.match(line)
        start = labels.get(found.group(1), end) if found else end
        if start < end and not any(_LABEL.match(inner) for inner in lines[start + 1 : end]):
            body = [inner.strip() for inner in lines[start : end + 1]]
            loops.append([inner for inner in body if inner[:1].isalpha()])
    return loops


def multiply_adds(loop: list[str]) -> list[str]:
    """Its vector multiply-adds."""
    return [line for line in loop if line.startswith("fmla")]


def stack_references(loop: list[str]) -> list[str]:
    """Its references to the stack, the computation of its addresses too: spilled registers."""
    return [line for line in loop if re.search(r"\bsp\b", line)]


#: A loop of nothing but multiply-adds, none of which waits for another.
_INDEPENDENT = [f"fmla v{i}.4s, v28.4s, v29.s[{i % 4}]" for i in range(20)]


def multiply_add_share(loop: list[str], core: str) -> float:
    """Multiply-adds a cycle of a loop, as a share of what llvm-mca's model of the core allows.

    Args:
        loop: the loop's instructions.
        core: LLVM's name of the core.
    """
    return _multiply_adds_a_cycle(tuple(loop), core) / _multiply_adds_a_cycle(
        tuple(_INDEPENDENT), core
    )


@cache
def _multiply_adds_a_cycle(loop: tuple[str, ...], core: str) -> float:
    tool = shutil.which("llvm-mca")
    if tool is None:
        pytest.skip("llvm-mca is not installed (Debian: llvm)")
    turns = 100
    text = "\n".join(["loop:", *(re.sub(r"\.LBB\w+", "loop", line) for line in loop)])
    done = subprocess.run(
        [tool, "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={turns}"],
        input=text + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    cycles = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert cycles, done.stdout
    return len(multiply_adds(list(loop))) * turns / int(cycles.group(1))
