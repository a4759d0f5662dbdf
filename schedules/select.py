"""Chooses a kernel for a workload: every family answers with an offer or a reason.

A family is a module of ``schedules.cpu`` with a function that offers; it is registered here and
nowhere else. An offer's ``others`` are what tuning measures beside it. TVM is loaded with the
families, on the first call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgewright.schedules.cost import direct_error
from edgewright.schedules.kernel import Declined, Limits, Offer, Selection
from edgewright.schedules.measured_choice import MeasuredChoice, choose_measured
from edgewright.schedules.names import conv2d_key, dense_key
from edgewright.schedules.records import Record, Records
from edgewright.schedules.workload import (
    Conv2dTransposedWorkload,
    Conv2dWorkload,
    DenseWorkload,
    Pool2dWorkload,
    Resize2dWorkload,
)

if TYPE_CHECKING:
    from edgewright.spec.target import Target

__all__ = [
    "CONV_ALGORITHMS",
    "INPUT_LAYOUTS",
    "candidates",
    "select_conv2d",
    "select_conv2d_transposed",
    "select_dense",
    "select_pool2d",
    "select_resize2d",
]

#: Algorithms that some family of convolutions offers; ``Limits.algorithm`` takes them and ``auto``.
CONV_ALGORITHMS = ("direct", "depthwise", "winograd", "strassen", "im2col", "fft")
#: Input layouts of :func:`select_conv2d`.
INPUT_LAYOUTS = ("blocked", "NCHW")
#: A family whose best estimate is this many times the best of all: few of it are measured; none.
FAR_FAMILY = 1.5
HOPELESS_FAMILY = 4.0
#: A configuration whose estimate is this many times its family's best is not measured.
FAR_CONFIG = 2.0

_ConvFamily = Callable[[Conv2dWorkload, "Target", Limits, str], Offer | Declined]


def _conv2d_families() -> tuple[_ConvFamily, ...]:
    from edgewright.schedules.cpu import (
        conv2d_depthwise,
        conv2d_direct,
        conv2d_fft,
        conv2d_im2col,
        conv2d_strassen,
        conv2d_winograd,
    )

    return (
        conv2d_direct.offer,
        conv2d_depthwise.offer,
        conv2d_winograd.offer,
        conv2d_strassen.offer,
        conv2d_im2col.offer,
        conv2d_fft.offer,
    )


def select_conv2d(
    workload: Conv2dWorkload,
    target: Target,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    input_layout: str = "blocked",
    records: Records | None = None,
) -> Selection:
    """The cheapest convolution kernel that the limits allow, or the fastest that was measured.

    Args:
        workload: the convolution and what is fused behind it.
        target: the core.
        limits: forced algorithm, largest error, largest scratch memory. A forced algorithm that
            does not apply to the workload gives way to the others; the reason is in ``declined``.
        input_layout: ``blocked``: the kernel reads ``float32[N, ceil(C/c), H, W, c]``;
            ``NCHW``: it reads ``float32[N, C, H, W]`` of any alignment.
        records: kernels measured on a machine, which override the cost model.

    Returns:
        The kernel, whose parameters are input, packed weights, bias (where the epilogue has one),
        residual (where it has one), output; or None and every family's reason.

    Raises:
        ValueError: ``limits.algorithm`` or ``input_layout`` is not one of those that exist.
    """
    if limits.algorithm not in ("auto", *CONV_ALGORITHMS):
        raise ValueError(
            f"'{limits.algorithm}' is no convolution algorithm; there are auto, "
            f"{', '.join(CONV_ALGORITHMS)}"
        )
    if input_layout not in INPUT_LAYOUTS:
        raise ValueError(f"input layout '{input_layout}' is none of {', '.join(INPUT_LAYOUTS)}")
    if limits.max_error is not None:  # to families, a multiple of the direct convolution's error
        products = workload.in_channels // workload.groups * workload.kernel_h * workload.kernel_w
        limits = replace(limits, max_error=limits.max_error / direct_error(products))
    answers = [family(workload, target, limits, input_layout) for family in _conv2d_families()]
    found = None
    if records is not None:
        found = records.find(conv2d_key(workload, input_layout), target)
    return _choose(answers, limits, found)


def select_dense(
    workload: DenseWorkload,
    target: Target,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    records: Records | None = None,
) -> Selection:
    """The best kernel of a fully connected layer; plain row-major input and output.

    Args:
        workload: the layer and what is fused behind it.
        target: the core.
        limits: largest scratch memory; the algorithm is that of convolutions and not looked at.
        records: kernels measured on a machine, which override the cost model.
    """
    from edgewright.schedules.cpu import dense

    found = records.find(dense_key(workload), target) if records is not None else None
    answers = [dense.offer(workload, target)]
    return _choose(answers, replace(limits, algorithm="auto"), found)


def candidates(
    workload: Conv2dWorkload | DenseWorkload, target: Target, input_layout: str, count: int
) -> list[Offer]:
    """Kernels of a workload that are worth measuring, the cost model's choice first.

    Of a family the ``count`` most promising configurations, a quarter of them if its best estimate
    is far above that of another family.
    """
    if isinstance(workload, DenseWorkload):
        from edgewright.schedules.cpu import dense

        answers = [dense.offer(workload, target)]
    else:
        families = _conv2d_families()
        answers = [family(workload, target, Limits(), input_layout) for family in families]
    offers = [answer for answer in answers if isinstance(answer, Offer)]
    offers.sort(key=lambda offer: (offer.cost, offer.name))
    found = []
    for offer in offers:
        if offer.cost > HOPELESS_FAMILY * offers[0].cost:
            break
        share = count if offer.cost <= FAR_FAMILY * offers[0].cost else max(1, count // 4)
        others = [other for other in offer.others() if other.cost <= FAR_CONFIG * offer.cost]
        found += [offer, *others[: share - 1]]
    return found


def select_pool2d(workload: Pool2dWorkload, target: Target) -> Selection:
    """The cheapest pooling kernel over blocked activations."""
    from edgewright.schedules.cpu import pool2d

    offers = [pool2d.offer_global(workload, target), pool2d.offer_window(workload, target)]
    return _choose(offers, Limits())


def select_resize2d(workload: Resize2dWorkload, target: Target) -> Selection:
    """The kernel of a resampling over blocked activations; its parameters are x, table, y."""
    from edgewright.schedules.cpu import resize2d

    return _choose([resize2d.offer(workload, target)], Limits())


def select_conv2d_transposed(
    workload: Conv2dTransposedWorkload,
    target: Target,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Selection:
    """The cheapest transposed convolution over blocked activations.

    Args:
        workload: the transposed convolution and what is fused behind it.
        target: the core.
        limits: largest scratch memory; the algorithm is that of convolutions and not looked at.
    """
    from edgewright.schedules.cpu import conv2d_transposed, conv2d_transposed_depthwise

    families = (conv2d_transposed, conv2d_transposed_depthwise)
    answers = [family.offer(workload, target) for family in families]
    return _choose(answers, replace(limits, algorithm="auto", max_error=None))


def _choose(
    answers: Sequence[Offer | Declined], limits: Limits, record: Record | str | None = None
) -> Selection:
    """Ranks the offers by cost; what loses or breaks a limit is recorded as declined.

    A record overrides the ranking within the limits; a text says why there is none.
    """
    declined = [answer for answer in answers if isinstance(answer, Declined)]
    offers = []
    for answer in answers:
        if isinstance(answer, Offer):
            broken = _broken_limit(answer, limits)
            if broken:
                declined.append(Declined(answer.algorithm, broken))
            else:
                offers.append(answer)
    forced = [offer for offer in offers if offer.algorithm == limits.algorithm]
    ranked = sorted(forced or offers, key=lambda offer: (offer.cost, offer.name))
    if not ranked:
        return Selection(None, tuple(declined))
    best, measured = ranked[0], None
    if record is not None:
        chosen = _measured(record, ranked, limits)
        if isinstance(chosen, MeasuredChoice):
            best, measured = chosen.offer, chosen
        else:
            declined.append(Declined("records", chosen))
    others = [offer for offer in offers if offer.algorithm != best.algorithm]
    for other in others:
        lost = measured.loss_of(other) if measured else ""
        declined.append(Declined(other.algorithm, lost or _defeat(other, best, bool(forced))))
    kernel = best.build()
    reason = f"{kernel.reason}; {_reason(others, bool(forced), measured)}"
    return Selection(replace(kernel, reason=reason), tuple(declined))


def _measured(
    record: Record | str, ranked: Sequence[Offer], limits: Limits
) -> MeasuredChoice | str:
    """What a record chooses among all tile sizes of the offers, or why it does not count."""
    if isinstance(record, str):
        return record
    every = [offer for best in ranked for offer in (best, *best.others())]
    allowed = {offer.name: offer for offer in every if not _broken_limit(offer, limits)}
    return choose_measured(record, allowed, ranked[0])


def _broken_limit(offer: Offer, limits: Limits) -> str:
    if limits.max_error is not None and offer.error > limits.max_error:
        return (
            f"its error, {offer.error:.2g} times the direct convolution's, is above the limit of "
            f"{limits.max_error:.2g} times"
        )
    room = limits.max_workspace_bytes
    if room is not None and offer.scratch_bytes > room:
        return f"{offer.scratch_bytes} bytes of scratch memory are above the limit of {room}"
    return ""


def _defeat(loser: Offer, winner: Offer, forced: bool) -> str:
    if forced:
        return f"'{winner.algorithm}' is asked for"
    return f"{loser.cost:.0f} cycles estimated, {winner.algorithm} {winner.cost:.0f}"


def _reason(others: Sequence[Offer], forced: bool, measured: MeasuredChoice | None) -> str:
    if measured is not None:
        return f"asked for; {measured.reason}" if forced else measured.reason
    if forced:
        return "asked for"
    return "cheapest of the offers" if others else "the only offer"
