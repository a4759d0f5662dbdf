"""What ``probe.sh`` prints on boards, put together around recorded texts of ``/proc/cpuinfo``.

The records in ``cpuinfo/`` are of real boards; their first line says where from. What stands around
them is written here, in the form that the script gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edgewright.deploy.boards.board_report import BoardReport
from edgewright.deploy.boards.report_text import parse_report
from edgewright.deploy.transport.machine import Sent, ignore_sent
from edgewright.deploy.transport.transport import Completed

CPUINFO = Path(__file__).parent / "cpuinfo"
RECORDS = tuple(sorted(path.stem for path in CPUINFO.glob("*.txt")))


def cpuinfo(name: str) -> str:
    """A record without the lines that say where it is from."""
    lines = (CPUINFO / f"{name}.txt").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def probe_output(
    record: str,
    *,
    arch: str = "aarch64",
    bits: int = 64,
    model: str = "",
    compatible: Sequence[str] = (),
    clocks: Sequence[int] = (),
    capacities: Sequence[int] = (),
    sysfs: Sequence[str] = (),
    libc: str = "glibc 2.31",
    memory_kib: int = 945_364,
) -> str:
    """The script's whole output on a board whose ``/proc/cpuinfo`` was recorded.

    ``clocks`` (in MHz) and ``capacities`` are of each CPU; ``sysfs`` holds more lines about CPUs.
    """
    cpus = [f"cpu{i} cpufreq/cpuinfo_max_freq {mhz * 1000}" for i, mhz in enumerate(clocks)]
    cpus += [f"cpu{i} cpu_capacity {capacity}" for i, capacity in enumerate(capacities)]
    sections = {
        "kernel": f"Linux\n6.1.21-v8+\n{arch}",
        "width": str(bits),
        "model": model,
        "compatible": "\n".join(compatible),
        "cpuinfo": cpuinfo(record),
        "cpus": "\n".join([*cpus, *sysfs]),
        "libc": libc,
        "os": 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian',
        "memory": f"MemTotal: {memory_kib} kB\nMemFree: 1000 kB\nMemAvailable: 700000 kB",
        "page": "4096",
        "end": "",
    }
    return "".join(f"\n@@{name}\n{text}\n" for name, text in sections.items())


def report_of(record: str, **described: object) -> BoardReport:
    """The report of :func:`probe_output`."""
    return parse_report("ssh://pi@board", probe_output(record, **described))  # type: ignore[arg-type]


class FakeMachine:
    """A machine whose shell answers every script with one text."""

    def __init__(self, stdout: str, *, status: int = 0, stderr: str = "") -> None:
        self.name = "ssh://pi@board"
        self.completed = Completed(status, stdout, stderr)
        self.scripts: list[str] = []

    def __enter__(self) -> FakeMachine:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def shell(self, script: str, *, timeout_seconds: float) -> Completed:
        self.scripts.append(script)
        return self.completed

    def send(
        self, files: Iterable[tuple[Path, str]], folder: str, *, sent: Sent = ignore_sent
    ) -> None:
        raise AssertionError("detecting copies nothing")

    def receive(self, path: str) -> bytes:
        raise AssertionError("detecting reads no file by itself")
