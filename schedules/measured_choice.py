"""Which kernel a tuning record chooses among those that may be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgewright.schedules.kernel import Offer
from edgewright.schedules.records import Record

__all__ = ["MeasuredChoice", "choose_measured"]


@dataclass(frozen=True)
class MeasuredChoice:
    """The kernel that a record chooses.

    Attributes:
        offer: the kernel.
        reason: its time, and that of the cost model's choice.
        record: what was measured.
    """

    offer: Offer
    reason: str
    record: Record

    def loss_of(self, loser: Offer) -> str:
        """Why another family lost, by what was measured of it; empty if nothing was."""
        times = [m.median_ns for m in self.record.measured if m.algorithm == loser.algorithm]
        if not times:
            return ""
        best = self.record.median_ns(self.offer.name)
        assert best is not None  # a record chooses what it measured
        return f"{_time(min(times))} measured, {self.offer.algorithm} {_time(best)}"


def choose_measured(
    record: Record, allowed: Mapping[str, Offer], model: Offer
) -> MeasuredChoice | str:
    """The fastest measured kernel that may be used, or why the record does not count.

    Case 1: the winner may be used: it is chosen.
    Case 2: it may not, being out of a limit or gone from this version: the fastest of the measured
    kernels that may be used is chosen if the model's choice is one of them, so that it is known to
    be no slower.
    Case 3: otherwise the record does not count.

    Args:
        record: what was measured for the workload.
        allowed: the offers within the limits by name, every tile size among them.
        model: the cost model's choice within the limits.
    """
    model_ns = record.median_ns(model.name)
    name = record.kernel
    if name not in allowed:
        if model_ns is None:
            return f"the measured winner, {name}, may not be used here or is no longer offered"
        usable = [measured for measured in record.measured if measured.kernel in allowed]
        name = min(usable, key=lambda measured: measured.median_ns).kernel
    best_ns = record.median_ns(name)
    assert best_ns is not None  # a record measures its winner
    reason = f"measured: {_time(best_ns)}"
    if name == model.name:
        reason += ", the model's choice too"
    elif model_ns is None:
        reason += ", the model's choice was not measured"
    else:
        reason += f", model's choice {_time(model_ns)}"
    return MeasuredChoice(allowed[name], reason, record)


def _time(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e3:.3g} us" if nanoseconds < 1e5 else f"{nanoseconds / 1e3:.0f} us"
