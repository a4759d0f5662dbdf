"""What code is generated for: an instruction set, a core and its caches.

A :class:`Target` is a core, never a board: ``edgewright.deploy.boards`` turns a board's name into
one.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgewright.spec.arm_parts import core_of_part
from edgewright.spec.errors import TargetError

__all__ = ["CORES", "Isa", "Target", "host_target", "parse_target"]


@dataclass(frozen=True)
class Isa:
    """The SIMD instruction set that kernels are generated for.

    Attributes:
        name: suffix of kernel names (``f32_conv2d_direct_oc8ow6__neon``).
        vec_lanes: float32 elements a kernel's vector value holds; also the block of ``NCHW{c}c``.
            Instruction sets without SIMD keep 4: LLVM splits the vectors into scalars.
        vec_registers: registers that hold such a vector; bounds the register tile.
    """

    name: str
    vec_lanes: int
    vec_registers: int


AVX512 = Isa("avx512", 16, 32)
AVX2 = Isa("avx2", 8, 16)
SSE = Isa("sse", 4, 16)
NEON64 = Isa("neon", 4, 32)
NEON32 = Isa("neon32", 4, 16)
VFP = Isa("vfp", 4, 8)
SOFT_FLOAT = Isa("softfp", 4, 4)


@dataclass(frozen=True)
class Target:
    """A core that code is generated for.

    Attributes:
        name: short name, in file names and reports (``cortex-a72``, ``host``).
        mtriple: LLVM target triple.
        mcpu: LLVM CPU name; decides the features and the instruction scheduling.
        mattr: LLVM features switched on (``+neon``) or off (``-dotprod``), in order.
        float_abi: ``hard`` or ``soft`` calling convention on 32-bit ARM; empty elsewhere.
        isa: SIMD instruction set of the kernels.
        num_cores: cores of one cluster; the default number of threads.
        l1_bytes: level 1 data cache of one core.
        l2_bytes: level 2 cache that one core can fill.
        qemu_cpu: the name QEMU's user mode knows the core by; empty where it has none.
    """

    name: str
    mtriple: str
    mcpu: str
    mattr: tuple[str, ...] = ()
    float_abi: str = ""
    isa: Isa = NEON64
    num_cores: int = 4
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 512 * 1024
    qemu_cpu: str = ""

    @property
    def arch(self) -> str:
        """``aarch64``, ``arm`` or ``x86_64``."""
        return arch_of(self.mtriple)

    def tvm_dict(self) -> dict[str, Any]:
        """The dictionary that ``tvm.target.Target`` takes."""
        described: dict[str, Any] = {
            "kind": "llvm",
            "mtriple": self.mtriple,
            "mcpu": self.mcpu,
            "num-cores": self.num_cores,
        }
        if self.mattr:
            described["mattr"] = list(self.mattr)
        if self.float_abi:
            described["mfloat-abi"] = self.float_abi
        return described


def _aarch64(
    name: str,
    *,
    mcpu: str = "",
    mattr: tuple[str, ...] = (),
    cores: int = 4,
    l1_kib: int = 32,
    l2_kib: int = 512,
    qemu: str = "",
) -> Target:
    return Target(
        name=name,
        mtriple="aarch64-unknown-linux-gnu",
        mcpu=mcpu or name,
        mattr=mattr,
        isa=NEON64,
        num_cores=cores,
        l1_bytes=l1_kib * 1024,
        l2_bytes=l2_kib * 1024,
        qemu_cpu=qemu or name,
    )


def _armv7(
    name: str, *, mattr: tuple[str, ...], cores: int = 4, l2_kib: int = 1024, qemu: str = ""
) -> Target:
    return Target(
        name=name,
        mtriple="armv7l-unknown-linux-gnueabihf",
        mcpu=name,
        mattr=mattr,
        float_abi="hard",
        isa=NEON32,
        num_cores=cores,
        l2_bytes=l2_kib * 1024,
        qemu_cpu=qemu or name,
    )


#: Cores by name. Cache sizes are those of the commonest SoC with the core, as the boards' files
#: source them: ``cortex-a53`` BCM2837, ``cortex-a55`` RK3588, ``cortex-a57`` Tegra X1,
#: ``cortex-a72`` BCM2711, ``cortex-a73`` A311D, ``cortex-a76`` BCM2712, ``cortex-a78ae`` Tegra
#: Orin, ``carmel`` Tegra Xavier, ``denver2`` Tegra X2, ``cortex-a7`` BCM2836, ``cortex-a8`` AM3358,
#: ``cortex-a9`` i.MX 6Quad, ``cortex-a17`` RK3288, ``arm1176jzf-s`` BCM2835.
#:
#: Debian 12's QEMU 7.2 lacks some cores. Another of the same architecture stands in:
#: ``cortex-a76`` (ARMv8.2-A with dot products and half precision) for ``cortex-a55`` and
#: ``cortex-a78ae``, and for ``carmel``, which lacks the dot products that LLVM therefore never
#: emits for it; ``cortex-a72`` (ARMv8.0-A) for ``cortex-a73``; ``cortex-a57`` for ``denver2``;
#: ``cortex-a15`` (ARMv7-A with VFPv4 and division) for ``cortex-a17``.
CORES: dict[str, Target] = {
    target.name: target
    for target in (
        _aarch64("cortex-a53", l1_kib=32, l2_kib=512),
        _aarch64("cortex-a55", l1_kib=32, l2_kib=128, qemu="cortex-a76"),
        _aarch64("cortex-a57", l1_kib=32, l2_kib=2048),
        _aarch64("cortex-a72", l1_kib=32, l2_kib=1024),
        _aarch64("cortex-a73", l1_kib=32, l2_kib=1024, qemu="cortex-a72"),
        _aarch64("cortex-a76", l1_kib=64, l2_kib=512),
        _aarch64("cortex-a78ae", l1_kib=64, l2_kib=256, qemu="cortex-a76"),
        _aarch64("carmel", cores=8, l1_kib=64, l2_kib=2048, qemu="cortex-a76"),
        # LLVM does not know it: it gets ARMv8-A code with no core's schedule.
        _aarch64("denver2", mcpu="generic", cores=2, l1_kib=64, l2_kib=2048, qemu="cortex-a57"),
        _armv7("cortex-a7", mattr=("+neon", "+vfp4"), l2_kib=512),
        _armv7("cortex-a8", mattr=("+neon",), cores=1, l2_kib=256),
        _armv7("cortex-a9", mattr=("+neon",)),
        _armv7("cortex-a17", mattr=("+neon", "+vfp4"), qemu="cortex-a15"),
        Target(
            name="arm1176",
            mtriple="armv6-unknown-linux-gnueabihf",
            mcpu="arm1176jzf-s",
            mattr=("+vfp2",),
            float_abi="hard",
            isa=VFP,
            num_cores=1,
            l1_bytes=16 * 1024,
            l2_bytes=128 * 1024,
            qemu_cpu="arm1176",
        ),
        Target(
            name="arm926",
            mtriple="armv5te-unknown-linux-gnueabi",
            mcpu="arm926ej-s",
            float_abi="soft",
            isa=SOFT_FLOAT,
            num_cores=1,
            l1_bytes=16 * 1024,
            l2_bytes=0,
            qemu_cpu="arm926",
        ),
    )
}

_CORE_ALIASES = {"arm1176jzf-s": "arm1176", "arm926ej-s": "arm926"}
_RAW_KEYS = {"kind", "mtriple", "mcpu", "mattr", "mfloat-abi", "num-cores"}


def arch_of(mtriple: str) -> str:
    """``aarch64``, ``arm`` or ``x86_64``, from an LLVM triple.

    Raises:
        TargetError: the triple names another architecture.
    """
    first = mtriple.split("-", 1)[0]
    if first in ("aarch64", "arm64"):
        return "aarch64"
    if first.startswith(("arm", "thumb")) and "eb" not in first[:6]:
        return "arm"
    if first in ("x86_64", "amd64"):
        return "x86_64"
    raise TargetError(
        f"the triple '{mtriple}' names the architecture '{first}'",
        rule="Edgewright compiles for aarch64, little-endian arm and x86_64.",
        remedy="Use a triple such as aarch64-linux-gnu or armv7l-linux-gnueabihf.",
    )


def host_target() -> Target:
    """The machine this runs on, described by its micro-architecture level so that bundles repeat.

    Raises:
        TargetError: the machine is neither x86-64 nor aarch64.
    """
    machine = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    cores = max(1, text.count("processor\t"))
    if machine in ("x86_64", "AMD64"):
        flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
        level = _x86_level(set(flags))
        return replace(
            _raw_target({"mtriple": "x86_64-unknown-linux-gnu", "mcpu": level}),
            name="host",
            num_cores=cores,
            l2_bytes=1024 * 1024,
        )
    if machine == "aarch64":
        named = sorted(core for core in _cores_of_cpuinfo(text) if core in CORES)
        core = CORES[named[-1]] if named else CORES["cortex-a53"]
        return replace(core, name="host", num_cores=cores)
    raise TargetError(
        f"this machine is '{machine}'",
        rule="The target 'host' exists on x86-64 and aarch64 Linux.",
        remedy="Name a board or a core, such as rpi4 or cortex-a72.",
    )


def _cores_of_cpuinfo(text: str) -> set[str]:
    """Names of the cores in ``/proc/cpuinfo``, of those that are known."""
    numbers = re.findall(
        r"^CPU implementer\s*:\s*(0x[0-9a-f]+)$.*?^CPU part\s*:\s*(0x[0-9a-f]+)$",
        text,
        re.MULTILINE | re.DOTALL,
    )
    found = (core_of_part(int(implementer, 16), int(part, 16)) for implementer, part in numbers)
    return {core for core in found if core is not None}


def _x86_level(flags: set[str]) -> str:
    """The x86-64 psABI micro-architecture level that the CPU's flags reach."""
    if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags:
        return "x86-64-v4"
    if {"avx2", "fma", "bmi2", "movbe"} <= flags:
        return "x86-64-v3"
    return "x86-64-v2"


def parse_target(text: str | Mapping[str, Any]) -> Target:
    """Read a core's name, ``host``, or a dictionary of ``mtriple``, ``mcpu`` and ``mattr``.

    Args:
        text: ``cortex-a72``, ``host``, a mapping, or that mapping as JSON.

    Raises:
        TargetError: no such core, malformed JSON, or an unknown key.
    """
    if isinstance(text, Mapping):
        return _raw_target(text)
    if text == "host":
        return host_target()
    if text.lstrip().startswith("{"):
        try:
            return _raw_target(json.loads(text))
        except json.JSONDecodeError as error:
            raise TargetError(
                f"the target {text!r} is not valid JSON ({error})",
                remedy='Write it as {"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"}.',
            ) from None
    name = _CORE_ALIASES.get(text, text)
    if name in CORES:
        return CORES[name]
    raise TargetError(
        f"unknown target '{text}'",
        rule=f"Known cores are {', '.join(sorted(CORES))}, and host.",
        remedy="Name one of them, a board of `edgewright boards list`, or give mtriple, mcpu and "
        "mattr as JSON.",
    )


def _raw_target(raw: Mapping[str, Any]) -> Target:
    unknown = sorted(set(raw) - _RAW_KEYS)
    if unknown or "mtriple" not in raw:
        raise TargetError(
            f"the target has the unknown key '{unknown[0]}'"
            if unknown
            else "the target lacks 'mtriple'",
            rule=f"A target's keys are {', '.join(sorted(_RAW_KEYS))}; mtriple is required.",
            remedy='For example {"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"}.',
        )
    mtriple, mcpu = _with_vendor(str(raw["mtriple"])), str(raw.get("mcpu", ""))
    mattr = raw.get("mattr", ())
    features = tuple(mattr.split(",")) if isinstance(mattr, str) else tuple(map(str, mattr))
    for feature in features:
        if feature[:1] not in ("+", "-"):
            raise TargetError(
                f"the CPU feature '{feature}' has no sign",
                rule="A feature is switched on with + and off with -.",
                remedy=f"Write +{feature}.",
            )
    arch = arch_of(mtriple)
    known = CORES.get(_CORE_ALIASES.get(mcpu, mcpu))
    if known is not None and known.arch != arch:
        known = None
    isa = known.isa if known is not None else _isa_of(arch, mcpu, features)
    default_cpu = {"aarch64": "generic", "arm": "generic", "x86_64": "x86-64"}[arch]
    return Target(
        name=mcpu or arch,
        mtriple=mtriple,
        mcpu=mcpu or default_cpu,
        mattr=features or (known.mattr if known is not None else ()),
        float_abi=str(raw.get("mfloat-abi", _float_abi_of(mtriple))),
        isa=isa,
        num_cores=int(raw.get("num-cores", known.num_cores if known is not None else 4)),
        l1_bytes=known.l1_bytes if known is not None else 32 * 1024,
        l2_bytes=known.l2_bytes if known is not None else 512 * 1024,
        qemu_cpu=known.qemu_cpu if known is not None else "max",
    )


def _with_vendor(mtriple: str) -> str:
    """``armv7l-linux-gnueabihf`` to ``armv7l-unknown-linux-gnueabihf``.

    LLVM would take ``linux`` for the vendor, forget the ABI, and convert to half precision wrongly.
    """
    parts = mtriple.split("-")
    if len(parts) == 3 and parts[1] == "linux":
        parts.insert(1, "unknown")
    return "-".join(parts)


def _float_abi_of(mtriple: str) -> str:
    if arch_of(mtriple) != "arm":
        return ""
    return "hard" if mtriple.endswith("hf") else "soft"


def _isa_of(arch: str, mcpu: str, features: tuple[str, ...]) -> Isa:
    """The instruction set of a core that the table does not hold, from its name and features.

    Never assumes more than is said: a core too capable for its answer runs slower, not wrong.
    """
    if arch == "aarch64":
        return NEON64
    if arch == "arm":
        if "+neon" in features:
            return NEON32
        return VFP if any(feature.startswith("+vfp") for feature in features) else SOFT_FLOAT
    if mcpu == "x86-64-v4" or "+avx512f" in features:
        return AVX512
    if mcpu == "x86-64-v3" or "+avx2" in features:
        return AVX2
    return SSE
