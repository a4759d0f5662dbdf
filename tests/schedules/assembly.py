"""Reads the assembly that LLVM makes of a kernel."""

from __future__ import annotations

import re

import tvm

from edgewright.schedules.kernel import Kernel
from edgewright.spec.target import Target

_LABEL = re.compile(r"^(\.LBB\w+):")
_BRANCH = re.compile(r"^\s+(?:b\.\w+|b|cbn?z|tbn?z)\s+(?:\w+,\s*)*(?:#\d+,\s*)?(\.LBB\w+)")


def assembly(kernel: Kernel, target: Target) -> str:
    """The kernel's assembly for ``target``."""
    module = tvm.IRModule({"main": kernel.prim_func.with_attr("global_symbol", "main")})
    built = tvm.compile(module, target=tvm.target.Target(target.tvm_dict()))
    return str(built.mod.inspect_source("asm"))


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
    """Its loads from and stores to the stack: spilled registers."""
    return [line for line in loop if "[sp" in line]
