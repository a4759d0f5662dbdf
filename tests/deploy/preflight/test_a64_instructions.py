"""The table of encodings against an assembler, and against code for cores that have none of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgewright.deploy.preflight.a64_instructions import EXTENSIONS, find_instructions
from edgewright.deploy.toolchain import run_tool

#: Mnemonics of each extension as an assembler takes them.
SAMPLES = {
    "lse": [
        "ldadd w1, w2, [x3]",
        "ldaddal x1, x2, [x3]",
        "stadd w1, [x2]",
        "ldset w1, w2, [x3]",
        "ldclrh w1, w2, [x3]",
        "ldsmaxb w1, w2, [x3]",
        "lduminal x1, x2, [x3]",
        "swp w1, w2, [x3]",
        "swpal x1, x2, [x3]",
        "cas w1, w2, [x3]",
        "casalb w1, w2, [x3]",
        "casp x2, x3, x4, x5, [x6]",
    ],
    "rcpc": ["ldapr w1, [x2]", "ldapr x1, [x2]", "ldaprb w1, [x2]"],
    "rdm": [
        "sqrdmlah v1.4s, v2.4s, v3.4s",
        "sqrdmlsh v1.8h, v2.8h, v3.8h",
        "sqrdmlah v1.4s, v2.4s, v3.s[1]",
        "sqrdmlsh v1.4h, v2.4h, v3.h[7]",
    ],
    "dotprod": [
        "sdot v1.4s, v2.16b, v3.16b",
        "udot v1.2s, v2.8b, v3.8b",
        "sdot v31.4s, v2.16b, v3.4b[3]",
        "udot v1.2s, v2.8b, v3.4b[0]",
    ],
    "fullfp16": [
        "fadd v1.8h, v2.8h, v3.8h",
        "fmla v1.4h, v2.4h, v3.4h",
        "fmla v1.8h, v2.8h, v3.h[5]",
        "fmul v1.8h, v2.8h, v3.h[5]",
        "fmls v1.4h, v2.4h, v3.h[1]",
        "fabs v1.8h, v2.8h",
        "fcvtzs v1.8h, v2.8h",
        "frintn v1.8h, v2.8h",
        "fadd h1, h2, h3",
        "fmul h1, h2, h3",
        "fmadd h1, h2, h3, h4",
        "fnmsub h1, h2, h3, h4",
        "fcmp h1, h2",
        "fcsel h1, h2, h3, eq",
        "fsqrt h1, h2",
    ],
    "fp16fml": [
        "fmlal v1.4s, v2.4h, v3.4h",
        "fmlal2 v1.4s, v2.4h, v3.4h",
        "fmlsl v1.2s, v2.2h, v3.2h",
    ],
    "jsconv": ["fjcvtzs w1, d2"],
    "complxnum": ["fcmla v1.4s, v2.4s, v3.4s, #90", "fcadd v1.4s, v2.4s, v3.4s, #270"],
    "i8mm": [
        "smmla v1.4s, v2.16b, v3.16b",
        "ummla v1.4s, v2.16b, v3.16b",
        "usmmla v1.4s, v2.16b, v3.16b",
        "usdot v1.4s, v2.16b, v3.16b",
    ],
    "bf16": [
        "bfdot v1.4s, v2.8h, v3.8h",
        "bfmmla v1.4s, v2.8h, v3.8h",
        "bfmlalb v1.4s, v2.8h, v3.8h",
        "bfmlalt v1.4s, v2.8h, v3.8h",
    ],
    "sve": ["ptrue p0.s", "fmla z1.s, p0/m, z2.s, z3.s", "ld1w {z0.s}, p0/z, [x0]"],
}

#: What every ARMv8.0 core has, near to the encodings above.
PLAIN = [
    "ldxr w1, [x2]",
    "stlxr w1, w2, [x3]",
    "ldar x1, [x2]",
    "stlr w1, [x2]",
    "ldur x1, [x2, #-8]",
    "str w1, [x2, x3, lsl #2]",
    "ldr q1, [x2, x3]",
    "ldp q1, q2, [x3, #32]",
    "fmla v1.4s, v2.4s, v3.4s",
    "fmla v1.4s, v2.4s, v3.s[2]",
    "fmul v1.2d, v2.2d, v3.d[1]",
    "fadd v1.4s, v2.4s, v3.4s",
    "fadd s1, s2, s3",
    "fmadd d1, d2, d3, d4",
    "fcvt s1, h2",
    "fcvt d1, h2",
    "fcvt h1, s2",
    "fcvtl v1.4s, v2.4h",
    "fcvtn v1.4h, v2.4s",
    "fcvtzs w1, s2",
    "fcvtzs v1.4s, v2.4s",
    "fcsel s1, s2, s3, eq",
    "smlal v1.4s, v2.4h, v3.4h",
    "smlal v1.4s, v2.4h, v3.h[3]",
    "mla v1.8h, v2.8h, v3.8h",
    "mla v1.8h, v2.8h, v3.h[3]",
    "sqrdmulh v1.8h, v2.8h, v3.8h",
    "sqdmulh v1.4s, v2.4s, v3.s[0]",
    "pmull v1.8h, v2.8b, v3.8b",
    "movi v1.8h, #3",
    "fmov v1.4s, #1.0",
    "fmov s1, w2",
    "dup v1.8h, w2",
    "ins v1.h[3], w2",
    "tbl v1.16b, {v2.16b}, v3.16b",
    "zip1 v1.8h, v2.8h, v3.8h",
    "ext v1.16b, v2.16b, v3.16b, #4",
    "crc32w w1, w2, w3",
    "aese v1.16b, v2.16b",
    "umull x1, w2, w3",
    "adrp x1, .",
    "b .",
    "ret",
]


def assemble(folder: Path, lines: list[str], march: str) -> bytes:
    source = folder / "a.s"
    source.write_text(".text\n" + "\n".join(lines) + "\n")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]
    run_tool([*command, march, "-c", "a.s", "-o", "a.o"], folder, "assembling")
    with (folder / "a.o").open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".text")
        return bytes(section.data())


def test_every_extension_has_samples() -> None:
    assert set(SAMPLES) == {extension.name for extension in EXTENSIONS}


def test_instructions_are_told_apart(tmp_path: Path) -> None:
    lines = [line for samples in SAMPLES.values() for line in samples]
    code = assemble(
        tmp_path,
        [".arch armv8.6-a+sve+fp16+fp16fml+dotprod+i8mm+bf16+lse+rcpc+rdm+jscvt+fcma", *lines],
        "-mcpu=generic",
    )
    assert len(code) == 4 * len(lines)
    expected = [name for name, samples in SAMPLES.items() for _ in samples]
    found = []
    for index in range(len(lines)):
        names = [each.extension.name for each in find_instructions(code[4 * index : 4 * index + 4])]
        found.append((lines[index], names))
    assert found == [(line, [name]) for line, name in zip(lines, expected, strict=True)]


def test_plain_instructions_are_nobodys(tmp_path: Path) -> None:
    code = assemble(tmp_path, [".arch armv8-a+crc+aes", *PLAIN], "-mcpu=generic")
    for index, line in enumerate(PLAIN):
        names = [each.extension.name for each in find_instructions(code[4 * index : 4 * index + 4])]
        assert (line, names) == (line, [])


@pytest.mark.parametrize("where", [0, 3])
def test_the_first_is_named(where: int) -> None:
    nop, sdot = 0xD503201F, 0x4E839441
    words = [nop] * where + [sdot, nop, sdot]
    code = b"".join(word.to_bytes(4, "little") for word in words)
    (found,) = find_instructions(code)
    assert (found.extension.name, found.mnemonic) == ("dotprod", "sdot/udot")
    assert (found.offset, found.count) == (4 * where, 2)
