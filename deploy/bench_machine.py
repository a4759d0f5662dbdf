"""Runs a bundle's own ``bench`` on a machine, and watches the machine meanwhile."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.deploy.benchmark import LayerTime, Timing, make_timing
from edgewright.deploy.boards.report import BoardReport
from edgewright.deploy.bundle import BundleFolder
from edgewright.deploy.machine_state import STATE_SCRIPT, MachineState, marks_of, parse_states
from edgewright.deploy.transport.machine import Machine
from edgewright.spec.errors import BoardError

__all__ = ["Measured", "Placement", "bench_once", "placements", "recommend"]

#: Time for each placement, unless a number of repeats was asked for.
_SECONDS = 2.0
_TIMEOUT_SECONDS = 3600.0
_OUTPUT = "--- bench"
#: Fewer threads are recommended unless more of them save this share of the time.
_WORTH = 0.05


@dataclass(frozen=True)
class Placement:
    """How many threads, and where.

    Attributes:
        threads: their number.
        cpus: a list for ``bench --cpus``; empty for any.
        core: kind of core, for people; empty if mixed or unknown.
    """

    threads: int
    cpus: str = ""
    core: str = ""


@dataclass(frozen=True)
class Measured:
    """One run of ``bench``.

    Attributes:
        timing: the latency.
        states: the machine before, during and after.
        layers: by layer, if asked for.
        peak_gflops: most operations of one thread in a second, if layers were asked for.
        profile_cost_ms: what reading the clock around each layer adds, likewise.
    """

    timing: Timing
    states: tuple[MachineState, ...]
    layers: tuple[LayerTime, ...]
    peak_gflops: float | None
    profile_cost_ms: float | None


def placements(report: BoardReport) -> tuple[Placement, ...]:
    """What a sweep tries: each number of threads on each cluster, then every CPU at once."""
    tried = []
    for cluster in report.clusters:
        cpus = ",".join(str(cpu) for cpu in cluster.cpus)
        core = cluster.core or ""
        tried += [Placement(n + 1, cpus, core) for n in range(len(cluster.cpus))]
    if len(report.clusters) > 1:
        tried.append(Placement(sum(len(cluster.cpus) for cluster in report.clusters)))
    return tuple(tried) or (Placement(1),)


def recommend(timings: Sequence[Timing], tried: Sequence[Placement]) -> str:
    """Which placement to use, and what the others cost.

    Args:
        timings: one for each placement.
        tried: the placements, in the same order.
    """
    rows = sorted(zip(timings, tried, strict=True), key=lambda row: row[0].median_ms)
    fastest = rows[0][0].median_ms
    near = [row for row in rows if row[0].median_ms <= fastest * (1 + _WORTH)]
    best, place = min(near, key=lambda row: row[0].threads)
    where = f" on the CPUs {place.cpus}" if place.cpus else ""
    core = f" ({place.core})" if place.core else ""
    text = (
        f"Use {best.threads} thread{'s' if best.threads > 1 else ''}{where}{core}: "
        f"{best.median_ms:.3f} ms."
    )
    most = max(zip(timings, tried, strict=True), key=lambda row: row[0].threads)[0]
    if most.threads > best.threads:
        ratio = most.median_ms / best.median_ms
        text += f" {most.threads} threads take {ratio:.2f} times as long."
    return text


def bench_once(
    bundle: BundleFolder,
    machine: Machine,
    place: str,
    placement: Placement,
    *,
    repeats: int | None,
    profile: bool,
) -> Measured:
    """Run ``bench`` once.

    Args:
        bundle: what is measured.
        machine: where.
        place: the bundle's folder there.
        placement: threads and CPUs.
        repeats: inferences that count; None for what two seconds allow.
        profile: time each layer too.

    Raises:
        BoardError: the connection was lost, or the program failed.
        ToolError: it did not end in time.
    """
    limit = ["--seconds", str(_SECONDS)] if repeats is None else ["--repeats", str(repeats)]
    arguments = ["--bundle", ".", "--json", "--threads", str(placement.threads), *limit]
    arguments += ["--cpus", placement.cpus] if placement.cpus else []
    arguments += ["--profile"] if profile else []
    done = machine.shell(_script(place, arguments), timeout_seconds=_TIMEOUT_SECONDS)
    watched, mark, output = done.stdout.partition(f"{_OUTPUT}\n")
    if done.status != 0 or not mark:
        raise BoardError(
            f"the bundle's bench failed on {machine.name} ({done.why})",
            remedy="Run `edgewright verify` there; it says whether the bundle works at all.",
        )
    states = parse_states(watched)
    return _read(bundle, json.loads(output), states, placement)


def _script(place: str, arguments: Sequence[str]) -> str:
    """Start the program, print the machine's state once a second, then what the program said."""
    command = " ".join(shlex.quote(argument) for argument in arguments)
    return f"""{STATE_SCRIPT}
cd {shlex.quote(place)} || exit 3
output=$(mktemp) || exit 3
pid=
trap 'kill $pid 2>/dev/null; rm -f "$output" "$output.said"' EXIT
trap 'exit 3' HUP INT TERM PIPE
edgewright_state before
./bin/bench {command} >"$output" 2>"$output.said" &
pid=$!
nap=1 every=1 turn=0
if sleep 0.2 2>/dev/null; then nap=0.2 every=5; fi  # POSIX knows whole seconds only
while kill -0 $pid 2>/dev/null; do
  turn=$((turn + 1))
  if [ $((turn % every)) = 0 ]; then edgewright_state during; fi
  sleep $nap
done
wait $pid
status=$?
pid=
edgewright_state after
echo '{_OUTPUT}'
cat "$output"
cat "$output.said" >&2
exit $status
"""


def _read(
    bundle: BundleFolder,
    said: dict[str, Any],
    states: tuple[MachineState, ...],
    placement: Placement,
) -> Measured:
    timing = make_timing(
        "edgewright",
        said["threads"],
        said["warmup"],
        said["latency"]["samples_ms"],
        cpus=placement.cpus,
        load_ms=said["load_ms"],
        first_run_ms=said["first_run_ms"],
        peak_memory_bytes=said["peak_memory_bytes"],
        marks=marks_of(states, said["threads"]),
    )
    profile = said["profile"]
    if profile is None:
        return Measured(timing, states, (), None, None)
    layers = []
    most = profile["peak_gflops"] * said["threads"]
    for step, layer in zip(profile["steps"], bundle.manifest.layers, strict=True):
        seconds = step["median_ms"] / 1e3
        gflops = 2 * layer.macs / seconds / 1e9 if layer.macs and seconds else 0.0
        layers.append(
            LayerTime(
                layer.name,
                layer.op,
                layer.kernel,
                seconds * 1e6,
                step["share"],
                gflops,
                gflops / most,
            )
        )
    return Measured(timing, states, tuple(layers), profile["peak_gflops"], profile["cost_ms"])
