"""The state of a machine that a latency depends on: clocks, temperature, load, throttling."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["STATE_SCRIPT", "MachineState", "parse_states"]

#: Defines ``edgewright_state WHEN``, which prints one state; what a machine does not tell is left
#: out. It reads files with the shell's own ``read``: programs would disturb what is being measured.
STATE_SCRIPT = r"""
edgewright_read() {
  value=
  [ -r "$1" ] && read -r value 2>/dev/null <"$1"
}
edgewright_state() {
  echo "state $1"
  for folder in /sys/devices/system/cpu/cpu[0-9]*/cpufreq; do
    [ -d "$folder" ] || continue
    cpu=${folder%/cpufreq}
    line="clock ${cpu##*/cpu}"
    for name in scaling_cur_freq cpuinfo_max_freq scaling_governor; do
      edgewright_read "$folder/$name"
      line="$line $value"
    done
    echo "$line"
  done
  for zone in /sys/class/thermal/thermal_zone*; do
    edgewright_read "$zone/temp" && echo "temperature $value"
  done
  for device in /sys/class/thermal/cooling_device*; do
    edgewright_read "$device/type" || continue
    case $value in
      *cpu*) edgewright_read "$device/cur_state" && echo "cooling $value" ;;
    esac
  done
  if edgewright_read /sys/devices/platform/soc/soc:firmware/get_throttled; then
    echo "flags $value"
  elif [ "$1" != during ] && command -v vcgencmd >/dev/null 2>&1; then
    echo "flags $(vcgencmd get_throttled 2>/dev/null)"
  fi
  edgewright_read /proc/loadavg && echo "load $value"
}
"""

#: Bits of the Raspberry Pi's firmware that say what is so now; the same 16 bits higher say that it
#: was so since the last boot.
_RASPBERRY_FLAGS = {
    0: "under-voltage",
    1: "the firmware caps the clock",
    2: "the firmware throttles",
    3: "the soft limit of the temperature is reached",
}


_SLOW_CLOCK = 0.9
_BUSY_LOAD = 0.5


@dataclass(frozen=True)
class MachineState:
    """A machine at one moment; None and empty where it does not tell.

    Attributes:
        when: ``before``, ``during`` or ``after`` a measurement.
        clocks_mhz: clock of each CPU, by its number's order.
        max_clocks_mhz: the highest that each may have.
        governor: policies of the clocks, each once.
        temperature_c: of the hottest sensor.
        load: processes that were running or waiting, mean of the last minute.
        throttled: reasons why the machine is slower than it could be.
    """

    when: str
    clocks_mhz: tuple[float, ...]
    max_clocks_mhz: tuple[float, ...]
    governor: str
    temperature_c: float | None
    load: float | None
    throttled: tuple[str, ...]


def marks_of(states: Sequence[MachineState], threads: int) -> tuple[str, ...]:
    """Why a measurement between these states should not be trusted.

    Args:
        states: before, during and after it.
        threads: threads that were measured.

    Returns:
        ``throttled`` (the machine says so), ``slow clock`` (a CPU that must have been used was
        below nine tenths of its highest clock), ``busy`` (other programs ran before).
    """
    marks = []
    if any(state.throttled for state in states):
        marks.append("throttled")
    for state in states:
        clocks = zip(state.clocks_mhz, state.max_clocks_mhz, strict=False)
        shares = sorted((clock / most for clock, most in clocks if most > 0), reverse=True)
        if state.when == "during" and len(shares) >= threads and shares[threads - 1] < _SLOW_CLOCK:
            marks.append("slow clock")
            break
    first = next((state for state in states if state.when == "before"), None)
    if first is not None and first.load is not None and first.load > _BUSY_LOAD:
        marks.append("busy")
    return tuple(marks)


def parse_states(text: str) -> tuple[MachineState, ...]:
    """Read what ``edgewright_state`` of :data:`STATE_SCRIPT` printed, any number of times."""
    blocks = re.split(r"^state ", text, flags=re.MULTILINE)[1:]
    return tuple(_parse_state(block.splitlines()) for block in blocks)


def _parse_state(lines: Sequence[str]) -> MachineState:
    words = [line.split() for line in lines[1:] if line.strip()]
    clocks = sorted((row[1:] for row in words if row[0] == "clock"), key=lambda row: int(row[0]))
    temperatures = [_number(row[1]) for row in words if row[0] == "temperature" and len(row) > 1]
    loads = [_number(row[1]) for row in words if row[0] == "load" and len(row) > 1]
    governors = {row[3] for row in clocks if len(row) > 3}
    return MachineState(
        when=lines[0].strip(),
        clocks_mhz=tuple(_number(row[1]) / 1000 for row in clocks if len(row) > 2),
        max_clocks_mhz=tuple(_number(row[2]) / 1000 for row in clocks if len(row) > 2),
        governor=", ".join(sorted(governors)),
        temperature_c=max(temperatures) / 1000 if temperatures else None,
        load=loads[0] if loads else None,
        throttled=_throttling(words),
    )


def _throttling(words: Sequence[Sequence[str]]) -> tuple[str, ...]:
    reasons = []
    for row in words:
        if row[0] == "cooling" and len(row) > 1 and _number(row[1]) > 0:
            reasons.append("the kernel cools by lowering the clock")
        if row[0] == "flags":
            found = re.search(r"(?:0x)?([0-9a-fA-F]+)$", row[-1])
            bits = int(found.group(1), 16) if found else 0
            reasons += [name for bit, name in _RASPBERRY_FLAGS.items() if bits >> bit & 1]
    return tuple(dict.fromkeys(reasons))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
