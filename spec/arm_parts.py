"""Cores by the numbers they identify themselves with.

Each ARM core has a main ID register of implementer and part number, which Linux shows in
``/proc/cpuinfo``. The numbers are those of Linux's ``arch/arm64/include/asm/cputype.h`` and
``arch/arm/include/asm/cputype.h``, and of ``lscpu``'s table in util-linux.
"""

from __future__ import annotations

__all__ = ["core_of_midr", "core_of_part"]

_ARM = 0x41
_NVIDIA = 0x4E

_PARTS: dict[int, dict[int, str]] = {
    _ARM: {
        0x926: "arm926",
        0xB02: "arm11mpcore",
        0xB36: "arm1136",
        0xB76: "arm1176",
        0xC05: "cortex-a5",
        0xC07: "cortex-a7",
        0xC08: "cortex-a8",
        0xC09: "cortex-a9",
        # Arm renamed the Cortex-A12 to Cortex-A17; the RK3288's cores still answer as the former.
        0xC0D: "cortex-a17",
        0xC0E: "cortex-a17",
        0xC0F: "cortex-a15",
        0xD01: "cortex-a32",
        0xD02: "cortex-a34",
        0xD03: "cortex-a53",
        0xD04: "cortex-a35",
        0xD05: "cortex-a55",
        0xD06: "cortex-a65",
        0xD07: "cortex-a57",
        0xD08: "cortex-a72",
        0xD09: "cortex-a73",
        0xD0A: "cortex-a75",
        0xD0B: "cortex-a76",
        0xD0C: "neoverse-n1",
        0xD0D: "cortex-a77",
        0xD0E: "cortex-a76ae",
        0xD40: "neoverse-v1",
        0xD41: "cortex-a78",
        0xD42: "cortex-a78ae",
        0xD44: "cortex-x1",
        0xD46: "cortex-a510",
        0xD47: "cortex-a710",
        0xD48: "cortex-x2",
        0xD49: "neoverse-n2",
        0xD4B: "cortex-a78c",
        0xD4D: "cortex-a715",
        0xD4E: "cortex-x3",
        0xD4F: "neoverse-v2",
        0xD80: "cortex-a520",
        0xD81: "cortex-a720",
        0xD82: "cortex-x4",
    },
    _NVIDIA: {0x000: "denver", 0x003: "denver2", 0x004: "carmel"},
}


def core_of_part(implementer: int, part: int) -> str | None:
    """A core's name, as LLVM has it where it knows the core; None for numbers not in the table.

    Args:
        implementer: ``CPU implementer`` of ``/proc/cpuinfo``.
        part: ``CPU part``.
    """
    return _PARTS.get(implementer, {}).get(part)


def core_of_midr(midr: int) -> str | None:
    """As :func:`core_of_part`, from the register: implementer in bits 31..24, part in 15..4."""
    return core_of_part(midr >> 24 & 0xFF, midr >> 4 & 0xFFF)
