"""Reads what ``probe.sh`` prints. Nothing in it is relied on: what cannot be read is unknown."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgewright.deploy.boards.board import Caches
from edgewright.deploy.boards.board_report import BoardReport, CpuCluster
from edgewright.spec.arm_parts import core_of_part

__all__ = ["parse_report"]


@dataclass
class _Cpu:
    """What is said of one CPU, in ``/proc/cpuinfo`` and in sysfs."""

    online: bool = True
    implementer: int | None = None
    part: int | None = None
    features: tuple[str, ...] | None = None
    max_khz: int | None = None
    capacity: int | None = None
    #: Of data or of both: level, KiB, number of CPUs that share it.
    caches: dict[int, tuple[int, int]] = field(default_factory=dict)


def parse_report(machine: str, text: str) -> BoardReport:
    """The report in a probe's output.

    Args:
        machine: how the machine is called.
        text: what the script printed.
    """
    sections = _sections(text)
    kernel = sections["kernel"]
    cpus = _read_sysfs(sections["cpus"])
    processor = _read_cpuinfo(sections["cpuinfo"], cpus)
    online = {number: cpu for number, cpu in sorted(cpus.items()) if cpu.online}
    libc, glibc = _libc(sections["libc"])
    memory = _memory(sections["memory"])
    return BoardReport(
        machine=machine,
        model=_first(sections["model"]),
        compatible=tuple(line.strip() for line in sections["compatible"] if line.strip()),
        kernel=_at(kernel, 1),
        kernel_arch=_at(kernel, 2),
        user_bits=_number(_first(sections["width"])),
        processor=processor,
        clusters=_clusters(online),
        offline_cpus=tuple(sorted(cpus.keys() - online.keys())),
        features=_common_features(online.values()),
        libc=libc,
        glibc=glibc,
        os_name=_os_name(sections["os"]),
        memory_bytes=memory.get("MemTotal"),
        # Kernels before 3.14 do not say what is available.
        available_bytes=memory.get("MemAvailable", memory.get("MemFree")),
        page_bytes=_page_bytes(_first(sections["page"])),
    )


def _sections(text: str) -> defaultdict[str, list[str]]:
    sections: defaultdict[str, list[str]] = defaultdict(list)
    name = ""
    for line in text.splitlines():
        if line.startswith("@@"):
            name = line[2:].strip()
        elif line.strip():
            sections[name].append(line.rstrip())
    return sections


def _first(lines: list[str]) -> str | None:
    return _at(lines, 0)


def _at(lines: list[str], index: int) -> str | None:
    return lines[index].strip() if len(lines) > index else None


def _number(text: str | None, base: int = 10) -> int | None:
    try:
        return int(text or "", base)
    except ValueError:
        return None


def _read_sysfs(lines: list[str]) -> dict[int, _Cpu]:
    """CPUs by number, from lines such as ``cpu0 cpu_capacity 1024``."""
    cpus: dict[int, _Cpu] = {}
    for line in lines:
        name, _, rest = line.partition(" ")
        entry, _, value = rest.partition(" ")
        number = _number(name.removeprefix("cpu"))
        if number is None:
            continue
        cpu = cpus.setdefault(number, _Cpu())
        if entry == "online":
            cpu.online = value.strip() != "0"
        elif entry == "cpu_capacity":
            cpu.capacity = _number(value)
        elif entry.endswith("cpuinfo_max_freq"):
            cpu.max_khz = _number(value)
        elif entry.endswith("midr_el1"):
            midr = _number(value, 16)
            if midr is not None:
                cpu.implementer, cpu.part = midr >> 24 & 0xFF, midr >> 4 & 0xFFF
        elif entry == "cache":
            _read_cache(cpu, value.split())
    return cpus


def _read_cache(cpu: _Cpu, words: list[str]) -> None:
    """Note a cache: level, type, size and the CPUs that share it, ``2 Unified 1024K 0-3``."""
    if len(words) != 4 or words[1] not in ("Data", "Unified"):
        return
    level = _number(words[0])
    size = re.fullmatch(r"(\d+)([KM])", words[2])
    if level is not None and size is not None:
        kib = int(size[1]) * (1024 if size[2] == "M" else 1)
        cpu.caches[level] = kib, _count_cpus(words[3])


def _count_cpus(text: str) -> int:
    """How many CPUs ``0-3,6`` names; 1 if it cannot be read."""
    count = 0
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = _number(first), _number(last if dash else first)
        if low is None or high is None:
            return 1
        count += high - low + 1
    return count


def _read_cpuinfo(lines: list[str], cpus: dict[int, _Cpu]) -> str | None:
    """Add to ``cpus`` what ``/proc/cpuinfo`` says; answers the processor's name.

    Old 32-bit kernels print the features and the part once, behind the last CPU: they are every
    CPU's. Kernels of big.LITTLE SoCs of that age do so too, and cannot be read better.
    """
    current: _Cpu | None = None
    listed: list[_Cpu] = []
    names: list[str] = []
    for line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        number = _number(value) if key == "processor" else None
        if number is not None:
            current = cpus.setdefault(number, _Cpu())
            listed.append(current)
        elif key in ("model name", "Processor", "Hardware"):
            names.append(value)
        elif current is None:
            # One core, of a kernel that does not number it.
            if key in ("Features", "CPU implementer"):
                current = cpus.setdefault(0, _Cpu())
                listed.append(current)
                _note(current, key, value)
        else:
            _note(current, key, value)
    for cpu in listed:
        for known in reversed(listed):
            if cpu.part is None:
                cpu.implementer, cpu.part = known.implementer, known.part
            if cpu.features is None:
                cpu.features = known.features
    return next(iter(names), None)


def _note(cpu: _Cpu, key: str, value: str) -> None:
    if key in ("Features", "flags"):
        cpu.features = tuple(value.split())
    elif key == "CPU implementer":
        cpu.implementer = _number(value, 16)
    elif key == "CPU part":
        cpu.part = _number(value, 16)


def _clusters(cpus: Mapping[int, _Cpu]) -> tuple[CpuCluster, ...]:
    """CPUs by core and clock, in the order of their first number."""
    groups: defaultdict[tuple[int | None, ...], list[int]] = defaultdict(list)
    for number, cpu in cpus.items():
        groups[cpu.implementer, cpu.part, cpu.max_khz].append(number)
    clusters = []
    for (implementer, part, khz), numbers in groups.items():
        known = implementer is not None and part is not None
        clusters.append(
            CpuCluster(
                core=core_of_part(implementer or 0, part or 0) if known else None,
                part=f"0x{implementer:02x}:0x{part:03x}" if known else None,
                cpus=tuple(numbers),
                max_mhz=khz // 1000 if khz else None,
                capacity=cpus[numbers[0]].capacity,
                caches=_caches(cpus[numbers[0]]),
            )
        )
    return tuple(clusters)


def _caches(cpu: _Cpu) -> Caches | None:
    if 1 not in cpu.caches:
        return None
    l2_kib, l2_cpus = cpu.caches.get(2, (0, 1))
    return Caches(
        l1d_kib=cpu.caches[1][0],
        l2_kib=l2_kib,
        l2_shared=l2_cpus > 1,
        l3_kib=cpu.caches.get(3, (0, 1))[0],
    )


def _common_features(cpus: Iterable[_Cpu]) -> tuple[str, ...]:
    """Features of the first CPU that all others have too."""
    each = [cpu.features for cpu in cpus if cpu.features is not None]
    return tuple(name for name in each[0] if all(name in other for other in each)) if each else ()


def _libc(lines: list[str]) -> tuple[str | None, str | None]:
    """Which C library, and its version if it is glibc.

    The lines are ``glibc 2.31`` of getconf, ldd's ``ldd (Debian GLIBC 2.31-13) 2.31`` or
    ``musl libc (aarch64)``, and the library's own ``... stable release version 2.31.``
    """
    for line in lines:
        if "musl" in line:
            return "musl", None
        pattern = r"glibc (\d+\.\d+)|^ldd \(.*\) (\d+\.\d+)|release version (\d+\.\d+)"
        found = re.search(pattern, line)
        if found:
            return "glibc", next(version for version in found.groups() if version)
    return None, None


def _os_name(lines: list[str]) -> str | None:
    """``PRETTY_NAME`` of os-release, whose values are quoted as the shell does."""
    for line in lines:
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            try:
                return " ".join(shlex.split(value)) or None
            except ValueError:
                return value.strip("\"'") or None
    return None


def _memory(lines: list[str]) -> dict[str, int]:
    """Bytes by name, from lines such as ``MemTotal: 945364 kB``."""
    found = {}
    for line in lines:
        match = re.fullmatch(r"(\w+):\s*(\d+) kB", line.strip())
        if match:
            found[match[1]] = int(match[2]) * 1024
    return found


def _page_bytes(line: str | None) -> int | None:
    """``4096`` of getconf, or ``KernelPageSize: 4 kB``."""
    match = re.fullmatch(r"KernelPageSize:\s*(\d+) kB", line or "")
    return int(match[1]) * 1024 if match else _number(line)
