"""Records without a machine."""

from __future__ import annotations

from collections.abc import Mapping

from edgewright.schedules.kernel import Offer
from edgewright.schedules.names import conv2d_key
from edgewright.schedules.records import Machine, Measured, Record, Records, Session, TunedTarget
from edgewright.schedules.workload import Conv2dWorkload
from edgewright.spec.target import CORES, Target

A72 = CORES["cortex-a72"]
MACHINE = Machine("Cortex-A72", 4, "performance", 1800.0, "Linux 6.12")
SESSION = Session("2026-11-22T00:00:00+00:00", "edgewright tune net.onnx", "0.1.0", "0.27", "22")
LAYER = Conv2dWorkload(1, 64, 14, 14, 64, 3, 3, 1, 1, 1, 1, 1, 1)


def record(
    times: Mapping[Offer, float],
    model_choice: Offer,
    workload: Conv2dWorkload = LAYER,
    target: Target = A72,
    threads: int = 4,
) -> Record:
    """A record of offers with their nanoseconds, the fastest the winner."""
    ordered = sorted(times, key=lambda offer: times[offer])
    return Record(
        workload=conv2d_key(workload, "blocked"),
        target=TunedTarget.of(target),
        threads=threads,
        rounds=100,
        session=0,
        kernel=ordered[0].name,
        config=ordered[0].config,
        model_choice=model_choice.name,
        measured=tuple(Measured(o.name, o.algorithm, o.config, times[o], o.cost) for o in ordered),
    )


def records(*entries: Record) -> Records:
    """A file of records."""
    return Records(MACHINE, (SESSION,), entries)
