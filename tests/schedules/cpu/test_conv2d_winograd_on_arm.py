"""Winograd kernels on emulated ARM cores, where they multiply by lane and read through streams."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from edgewright.schedules.cpu.conv2d_winograd import build_kernel, register_tiles
from edgewright.schedules.cpu.conv2d_winograd_config import Conv2dWinogradConfig, Geometry
from edgewright.schedules.cpu.conv2d_winograd_cost import error_factor
from edgewright.schedules.workload import Activation, Conv2dWorkload, Epilogue
from edgewright.spec.target import CORES
from tests.schedules import references
from tests.schedules.emulation import Launch, run_emulated
from tests.schedules.execution import F32, F64, blocked, plain

RESIDUAL_RELU = Epilogue(bias=True, residual=True, activation=Activation("relu"))
BASE = Conv2dWinogradConfig(
    outputs=4,
    tile_oc=1,
    tile_t=1,
    block_rows=2,
    block_cols=4,
    short_rows=True,
    short_cols=True,
    chunk_oc=2,
    chunk_ic=0,
    group_oc=1,
)


def workload(channels: int, outputs: int, extent: int, kernel: int) -> Conv2dWorkload:
    pad = kernel // 2
    return Conv2dWorkload(
        1,
        channels,
        extent,
        extent + 2,
        outputs,
        kernel,
        kernel,
        pad_top=pad,
        pad_left=pad,
        pad_bottom=pad,
        pad_right=pad,
        epilogue=RESIDUAL_RELU,
    )


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a53"])
def test_every_register_tile(core: str) -> None:
    target = CORES[core]
    lanes = target.isa.vec_lanes
    launches: list[Launch] = []
    expected: list[tuple[Conv2dWorkload, F64, float]] = []
    for number, (tile_oc, tile_t) in enumerate(register_tiles(target).items()):
        kernel_size, channels = (3, 5)[number % 2], (22, 32, 19)[number % 3]
        w = workload(channels, (2 * tile_oc + 1) * lanes - 1, 13 + number, kernel_size)
        outputs = 4 if kernel_size == 3 else 2
        chunk_ic = 16 if channels == 32 else channels
        config = replace(
            BASE,
            outputs=outputs,
            tile_oc=tile_oc,
            tile_t=tile_t,
            chunk_ic=chunk_ic,
            short_rows=w.out_h % outputs > 0,
            short_cols=w.out_w % outputs > 0,
        )
        rng = np.random.default_rng(number)
        x, weights, bias, residual = (
            rng.standard_normal(shape).astype(np.float32)
            for shape in (
                (1, channels, w.in_h, w.in_w),
                (w.out_channels, channels, kernel_size, kernel_size),
                (w.out_channels,),
                (1, w.out_channels, w.out_h, w.out_w),
            )
        )
        kernel = build_kernel(w, config, target, f"tile_{tile_oc}x{tile_t}", 0.0)
        assert kernel.pack_weights is not None and kernel.pack_bias is not None
        scratch: F32 = np.full(kernel.scratch_bytes // 4, np.nan, np.float32)
        inputs = [
            blocked(x, lanes),
            kernel.pack_weights(weights),
            kernel.pack_bias(bias),
            blocked(residual, lanes),
            scratch,
        ]
        shape = (1, math.ceil(w.out_channels / lanes), w.out_h, w.out_w, lanes)
        launches.append(Launch(kernel, inputs, shape, scratch=True))
        error = error_factor(Geometry(w, config, lanes))
        expected.append((w, references.conv2d(w, x, weights, bias, residual), error))
    for (w, y, error), found in zip(expected, run_emulated(launches, target), strict=True):
        terms = w.in_channels * w.kernel_h * w.kernel_w
        bound = 4e-7 * (1 + math.sqrt(terms)) * error * float(np.abs(y).max())
        assert np.abs(plain(found, w.out_channels) - y).max() <= bound
