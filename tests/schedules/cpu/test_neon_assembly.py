"""The NEON microkernels keep their tiles in registers and multiply by lane."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from edgewright.schedules.cpu import conv2d_direct
from edgewright.schedules.cpu.conv2d_direct_config import Conv2dDirectConfig
from edgewright.schedules.kernel import Kernel
from edgewright.schedules.select import select_conv2d, select_dense
from edgewright.schedules.workload import Activation, Conv2dWorkload, DenseWorkload, Epilogue
from edgewright.spec.target import CORES
from tests.schedules.assembly import assembly, innermost_loops, multiply_adds, stack_references

A72 = CORES["cortex-a72"]
EPILOGUE = Epilogue(bias=True, activation=Activation("relu"))
BY_LANE = re.compile(r"fmla\s+v\d+\.4s, v\d+\.4s, v\d+\.s\[\d\]")


def loops_of(kernel: Kernel, core: str = "cortex-a72") -> list[list[str]]:
    """The kernel's innermost loops that multiply, the largest first."""
    loops = innermost_loops(assembly(kernel, CORES[core]))
    working = [loop for loop in loops if multiply_adds(loop)]
    assert working, "no innermost loop multiplies"
    return sorted(working, key=lambda loop: -len(multiply_adds(loop)))


# Tiles of 16 accumulators and more, which leave few registers to spare.
LARGE_TILES = [
    config for config in conv2d_direct.get_configs(A72) if config.tile_oc * config.tile_ow >= 16
]


@pytest.mark.parametrize("config", LARGE_TILES, ids=lambda c: f"oc{c.tile_oc}ow{c.tile_ow}")
def test_direct_tiles_stay_in_registers(config: Conv2dDirectConfig) -> None:
    full = replace(config, chunk_ic=64, chunk_rows=8)
    blocks = 4 * config.tile_oc
    w = Conv2dWorkload(1, 64, 8, 4 * config.tile_ow, blocks * 4, 1, 1, epilogue=EPILOGUE)
    kernel = conv2d_direct.build_kernel(w, full, A72, False, "tile", 0.0)
    loop = loops_of(kernel)[0]
    products = multiply_adds(loop)
    assert len(products) == 4 * config.tile_oc * config.tile_ow
    assert all(BY_LANE.match(line) for line in products)
    assert not stack_references(loop)
    # Loads come in pairs and addresses cost next to nothing: the rest is a quarter of the work.
    assert len(loop) <= 1.25 * len(products) + 8


CONVOLUTIONS = {
    "3x3": Conv2dWorkload(1, 64, 56, 56, 64, 3, 3, 1, 1, 1, 1, 1, 1, epilogue=EPILOGUE),
    "3x3 stride 2": Conv2dWorkload(1, 64, 56, 56, 128, 3, 3, 2, 2, 1, 1, 1, 1, epilogue=EPILOGUE),
    "3x3 small": Conv2dWorkload(1, 512, 7, 7, 512, 3, 3, 1, 1, 1, 1, 1, 1, epilogue=EPILOGUE),
    "1x1": Conv2dWorkload(1, 96, 28, 28, 64, 1, 1, epilogue=replace(EPILOGUE, residual=True)),
    "depthwise": Conv2dWorkload(
        1, 144, 56, 56, 144, 3, 3, 1, 1, 1, 1, 1, 1, groups=144, epilogue=EPILOGUE
    ),
    "depthwise stride 2": Conv2dWorkload(
        1, 144, 56, 56, 144, 3, 3, 2, 2, 1, 1, 1, 1, groups=144, epilogue=EPILOGUE
    ),
    "depthwise 5x5": Conv2dWorkload(
        1, 96, 28, 28, 96, 5, 5, 1, 1, 2, 2, 2, 2, groups=96, epilogue=EPILOGUE
    ),
}


@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a72", "cortex-a76"])
@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_chosen_convolutions_do_not_spill(layer: str, core: str) -> None:
    kernel = select_conv2d(CONVOLUTIONS[layer], CORES[core]).kernel
    assert kernel is not None
    # A depthwise tile is all taps at once, and may fetch its bias from the stack.
    allowed = 1 if kernel.algorithm == "depthwise" else 0
    for loop in loops_of(kernel, core):
        assert len(stack_references(loop)) <= allowed, "\n".join(loop)


def test_stem_reads_its_plain_input_as_vectors() -> None:
    w = Conv2dWorkload(1, 3, 224, 224, 32, 7, 7, 2, 2, 3, 3, 3, 3, epilogue=EPILOGUE)
    kernel = select_conv2d(w, A72, input_layout="NCHW").kernel
    assert kernel is not None
    loop = loops_of(kernel)[0]
    products = multiply_adds(loop)
    assert all(BY_LANE.match(line) for line in products)
    assert not stack_references(loop)
    assert len(loop) <= 1.3 * len(products)


@pytest.mark.parametrize("rows", [1, 16])
def test_dense_does_not_spill(rows: int) -> None:
    kernel = select_dense(DenseWorkload(rows, 1280, 1000, EPILOGUE), A72).kernel
    assert kernel is not None
    for loop in loops_of(kernel):
        assert not stack_references(loop)


@pytest.mark.parametrize("kind", ["silu", "tanh"])
@pytest.mark.parametrize("layer", ["3x3 stride 2", "3x3 small", "1x1"])
def test_an_exponential_behind_the_loop_changes_nothing_inside(layer: str, kind: str) -> None:
    w = CONVOLUTIONS[layer]
    smooth = replace(w, epilogue=replace(w.epilogue, activation=Activation(kind)))
    kernel, other = select_conv2d(w, A72).kernel, select_conv2d(smooth, A72).kernel
    assert kernel is not None and other is not None
    before, after = loops_of(kernel)[0], loops_of(other)[0]
    assert not stack_references(after), "\n".join(after)
    assert len(multiply_adds(after)) == len(multiply_adds(before))
    assert len(after) <= len(before) + 2


def test_smooth_activations_neither_divide_nor_call() -> None:
    w = replace(CONVOLUTIONS["1x1"], epilogue=Epilogue(activation=Activation("silu")))
    kernel = select_conv2d(w, A72).kernel
    assert kernel is not None
    text = assembly(kernel, A72)
    assert "frecpe" in text and "frecps" in text
    assert "fdiv" not in text and "expf" not in text
