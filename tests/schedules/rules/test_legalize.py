"""Transposed convolutions by phases against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm.relax import op

from edgewright.spec.target import Target, host_target
from tests.schedules.rules.legalized import (
    Tensor,
    legalized,
    prim_funcs,
    relax_module,
    run,
    scheduled,
)

RELAX = {1: op.nn.conv1d_transpose, 2: op.nn.conv2d_transpose, 3: op.nn.conv3d_transpose}
TORCH: dict[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def _check(
    extents: tuple[int, ...],
    kernel: tuple[int, ...],
    target: Target,
    *,
    channels: tuple[int, int] = (4, 6),
    groups: int = 1,
    **attrs: tuple[int, ...],
) -> None:
    rank = len(extents)
    stride, padding = attrs.get("stride", (1,) * rank), attrs.get("padding", (0,) * rank)
    extra, dilation = attrs.get("extra", (0,) * rank), attrs.get("dilation", (1,) * rank)
    inputs = [
        Tensor((2, channels[0], *extents)),
        Tensor((channels[0], channels[1] // groups, *kernel)),
    ]

    def build(x: Any, w: Any) -> Any:
        return RELAX[rank](
            x,
            w,
            strides=stride,
            padding=(*padding, *padding),
            output_padding=extra,
            dilation=dilation,
            groups=groups,
        )

    lowered = legalized(relax_module(build, inputs), target)
    assert "conv_transpose" in prim_funcs(lowered), "the custom legalization was not used"
    module, _ = scheduled(lowered, target)
    generator = np.random.default_rng(1)
    x, w = (tensor.draw(generator) for tensor in inputs)
    (found,) = run(module, target, [x, w])
    expected = TORCH[rank](
        torch.from_numpy(x).double(),
        torch.from_numpy(w).double(),
        stride=stride,
        padding=padding,
        output_padding=extra,
        groups=groups,
        dilation=dilation,
    ).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_each_rank(rank: int, host: Target) -> None:
    _check((5,) * rank, (4,) * rank, host, stride=(2,) * rank, padding=(1,) * rank)


def test_groups(host: Target) -> None:
    _check((5, 7), (3, 3), host, stride=(2, 2), padding=(1, 1), groups=2, extra=(1, 1))


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_stride_padding_and_dilation(data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, 4), "stride")
    kernel = data.draw(st.integers(1, 5), "kernel")
    dilation = data.draw(st.integers(1, 3), "dilation")
    extent = data.draw(st.integers(1, 7), "extent")
    reach = dilation * (kernel - 1) + 1
    padding = data.draw(st.integers(0, (reach - 1) // 2), "padding")
    extra = data.draw(st.integers(0, stride - 1), "extra")
    if (extent - 1) * stride + reach + extra <= 2 * padding:
        padding = 0
    _check(
        (extent,),
        (kernel,),
        host_target(),
        stride=(stride,),
        padding=(padding,),
        dilation=(dilation,),
        extra=(extra,),
    )
