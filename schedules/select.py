"""Chooses a kernel for a workload: every family answers with an offer or a reason.

A family is a module of ``schedules.cpu`` with a function that offers; it is registered here and
nowhere else. TVM is loaded with the families, on the first call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgewright.schedules.cost import direct_error
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer, Selection
from edgewright.schedules.workload import Conv2dWorkload, DenseWorkload, Pool2dWorkload

if TYPE_CHECKING:
    from edgewright.spec.target import Target

__all__ = ["CONV_ALGORITHMS", "INPUT_LAYOUTS", "select_conv2d", "select_dense", "select_pool2d"]

#: Algorithms that some family of convolutions offers; ``Limits.algorithm`` takes them and ``auto``.
CONV_ALGORITHMS = ("direct", "depthwise", "winograd")
#: Input layouts of :func:`select_conv2d`.
INPUT_LAYOUTS = ("blocked", "NCHW")

_ConvFamily = Callable[[Conv2dWorkload, "Target", Limits, str], Offer | Declined]


def _conv2d_families() -> tuple[_ConvFamily, ...]:
    from edgewright.schedules.cpu import conv2d_depthwise, conv2d_direct, conv2d_winograd

    return (conv2d_direct.offer, conv2d_depthwise.offer, conv2d_winograd.offer)


def select_conv2d(
    workload: Conv2dWorkload,
    target: Target,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    input_layout: str = "blocked",
) -> Selection:
    """The cheapest convolution kernel that the limits allow.

    Args:
        workload: the convolution and what is fused behind it.
        target: the core.
        limits: forced algorithm, largest error, largest scratch memory. A forced algorithm that
            does not apply to the workload gives way to the others; the reason is in ``declined``.
        input_layout: ``blocked``: the kernel reads ``float32[N, ceil(C/c), H, W, c]``;
            ``NCHW``: it reads ``float32[N, C, H, W]`` of any alignment.

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
    return _choose(answers, limits)


def select_dense(
    workload: DenseWorkload,
    target: Target,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Selection:
    """The cheapest kernel of a fully connected layer; plain row-major input and output.

    Args:
        workload: the layer and what is fused behind it.
        target: the core.
        limits: largest scratch memory; the algorithm is that of convolutions and not looked at.
    """
    from edgewright.schedules.cpu import dense

    return _choose([dense.offer(workload, target)], replace(limits, algorithm="auto"))


def select_pool2d(workload: Pool2dWorkload, target: Target) -> Selection:
    """The cheapest pooling kernel over blocked activations."""
    from edgewright.schedules.cpu import pool2d

    offers = [pool2d.offer_global(workload, target), pool2d.offer_window(workload, target)]
    return _choose(offers, Limits())


def _choose(answers: Sequence[Offer | Declined], limits: Limits) -> Selection:
    """Ranks the offers by cost; what loses or breaks a limit is recorded as declined."""
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
    best, others = ranked[0], [offer for offer in offers if offer is not ranked[0]]
    declined += [Declined(other.algorithm, _defeat(other, best, bool(forced))) for other in others]
    kernel = best.build()
    return Selection(replace(kernel, reason=_reason(kernel, others, bool(forced))), tuple(declined))


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


def _reason(kernel: Kernel, others: Sequence[Offer], forced: bool) -> str:
    if forced:
        return f"{kernel.reason}; asked for"
    return f"{kernel.reason}; {'cheapest of the offers' if others else 'the only offer'}"
