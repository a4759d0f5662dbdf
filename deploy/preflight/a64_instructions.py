"""Finds instructions in AArch64 machine code that not every ARMv8 core has.

Encodings are those of Arm's *A64 Instruction Set Architecture* (DDI 0602), by group: an instruction
is one of a group if its word, masked, has the group's value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["EXTENSIONS", "Extension", "Found", "find_instructions"]


@dataclass(frozen=True)
class Extension:
    """Instructions that came after ARMv8.0.

    Attributes:
        name: what compilers call the extension (``+lse``).
        flag: what ``/proc/cpuinfo`` calls it on a core that has it.
        groups: mask, value and mnemonics of each group of encodings.
        excluded: mask and value of encodings inside those groups that are something else.
    """

    name: str
    flag: str
    groups: tuple[tuple[int, int, str], ...]
    excluded: tuple[tuple[int, int], ...] = ()


#: Every extension that LLVM uses unasked for a core that has it.
EXTENSIONS: tuple[Extension, ...] = (
    Extension(
        "lse",
        "atomics",
        (
            (0x3F200C00, 0x38200000, "ldadd/swp"),
            (0x3FA07C00, 0x08A07C00, "cas"),
            (0xBFA07C00, 0x08207C00, "casp"),
        ),
        excluded=(
            (0x3F20FC00, 0x3820C000),
            (0x3F20CC00, 0x38208C00),
            *((0x3F20FC00, 0x38200000 | 0x8000 | opcode << 12) for opcode in (1, 2, 3, 5)),
        ),
    ),
    Extension("rcpc", "lrcpc", ((0x3FFFFC00, 0x38BFC000, "ldapr"),)),
    Extension(
        "rdm",
        "asimdrdm",
        (
            (0xBF20F400, 0x2E008400, "sqrdmlah"),
            (0xBF00D400, 0x2F00D000, "sqrdmlah by element"),
        ),
    ),
    Extension(
        "dotprod",
        "asimddp",
        (
            (0x9FE0FC00, 0x0E809400, "sdot/udot"),
            (0x9FC0F400, 0x0F80E000, "sdot/udot by element"),
        ),
    ),
    Extension(
        "fullfp16",
        "asimdhp",
        (
            (0x9F60C400, 0x0E400400, "fadd/fmla of half precision"),
            (0x9F7E0C00, 0x0E780800, "fcvt/frint of half precision"),
            (0xBFC0B400, 0x0F001000, "fmla by element of half precision"),
            (0x9FC0F400, 0x0F009000, "fmul by element of half precision"),
            (0xFFC00000, 0x1FC00000, "fmadd of half precision"),
            (0xFFE00C00, 0x1EE00800, "fadd/fmul of half precision"),
            (0xFFE00C00, 0x1EE00C00, "fcsel of half precision"),
            (0xFFE03C00, 0x1EE02000, "fcmp of half precision"),
            (0xFFE07C00, 0x1EE04000, "fabs/fsqrt of half precision"),
        ),
        # Conversions between half and the wider formats are in ARMv8.0.
        excluded=((0xFFFE7C00, 0x1EE24000),),
    ),
    Extension(
        "fp16fml",
        "asimdfhm",
        (
            (0xBF60FC00, 0x0E20EC00, "fmlal"),
            (0xBF60FC00, 0x2E20CC00, "fmlal2"),
        ),
    ),
    Extension("jsconv", "jscvt", ((0xFFFFFC00, 0x1E7E0000, "fjcvtzs"),)),
    Extension(
        "complxnum",
        "fcma",
        (
            (0xBF20E400, 0x2E00C400, "fcmla"),
            (0xBF20EC00, 0x2E00E400, "fcadd"),
        ),
    ),
    Extension(
        "i8mm",
        "i8mm",
        (
            (0xDFE0F400, 0x4E80A400, "smmla/usmmla"),
            (0xBFE0FC00, 0x0E809C00, "usdot"),
        ),
    ),
    Extension(
        "bf16",
        "bf16",
        (
            (0xBFE0FC00, 0x2E40FC00, "bfdot"),
            (0xFFE0FC00, 0x6E40EC00, "bfmmla"),
            (0xBFE0FC00, 0x2EC0FC00, "bfmlal"),
        ),
    ),
    Extension("sve", "sve", ((0x1E000000, 0x04000000, "ptrue/fmla of scalable vectors"),)),
)


@dataclass(frozen=True)
class Found:
    """The first instruction of an extension in a piece of code.

    Attributes:
        extension: which.
        mnemonic: what Arm calls the instruction, or its group.
        offset: where it is in the code, in bytes.
        count: how many there are.
    """

    extension: Extension
    mnemonic: str
    offset: int
    count: int


def find_instructions(code: bytes) -> list[Found]:
    """Extensions that a piece of code uses.

    Args:
        code: little-endian words of instructions, without data between them.
    """
    words = np.frombuffer(code[: len(code) // 4 * 4], dtype="<u4")
    found = []
    for extension in EXTENSIONS:
        excluded = np.zeros(words.shape, dtype=bool)
        for mask, value in extension.excluded:
            excluded |= (words & np.uint32(mask)) == np.uint32(value)
        hits = []
        for mask, value, mnemonic in extension.groups:
            places = np.flatnonzero(((words & np.uint32(mask)) == np.uint32(value)) & ~excluded)
            if len(places):
                hits.append((int(places[0]), mnemonic, len(places)))
        if hits:
            first = min(hits)
            total = sum(count for _, _, count in hits)
            found.append(Found(extension, first[1], first[0] * 4, total))
    return found
