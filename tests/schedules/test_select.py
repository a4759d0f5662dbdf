from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest

from edgewright.schedules.cost import direct_error
from edgewright.schedules.cpu import conv2d_direct
from edgewright.schedules.kernel import Declined, Kernel, Limits, Offer
from edgewright.schedules.select import (
    CONV_ALGORITHMS,
    _choose,
    select_conv2d,
    select_dense,
    select_pool2d,
)
from edgewright.schedules.workload import (
    Activation,
    Conv2dWorkload,
    DenseWorkload,
    Epilogue,
    Pool2dWorkload,
)
from edgewright.spec.target import CORES, Target

A72 = CORES["cortex-a72"]
PLAIN = Conv2dWorkload(1, 64, 14, 14, 64, 3, 3, 1, 1, 1, 1, 1, 1)
DEPTHWISE = replace(PLAIN, groups=64)
LARGE_KERNEL = Conv2dWorkload(1, 64, 28, 28, 64, 21, 21, 1, 1, 10, 10, 10, 10)


def chosen(workload: Conv2dWorkload, target: Target = A72, algorithm: str = "auto") -> Kernel:
    kernel = select_conv2d(workload, target, Limits(algorithm)).kernel
    assert kernel is not None
    return kernel


def test_each_convolution_gets_its_family_and_hears_why_the_others_declined() -> None:
    for workload, winner in (
        (PLAIN, "winograd"),
        (replace(PLAIN, stride_h=2, stride_w=2), "direct"),
        (DEPTHWISE, "depthwise"),
        (LARGE_KERNEL, "fft"),
        (replace(LARGE_KERNEL, groups=64), "fft"),
    ):
        selection = select_conv2d(workload, A72)
        assert selection.kernel is not None
        assert selection.kernel.algorithm == winner
        losers = set(CONV_ALGORITHMS) - {winner}
        assert {declined.family for declined in selection.declined} == losers
        for declined in selection.declined:
            assert str(declined).startswith(f"{declined.family}: ") and declined.reason
        assert "offer" in selection.kernel.reason


def test_a_forced_algorithm_that_does_not_apply_gives_way() -> None:
    assert chosen(DEPTHWISE, algorithm="direct").algorithm == "depthwise"
    assert chosen(PLAIN, algorithm="direct").algorithm == "direct"
    assert "asked for" in chosen(PLAIN, algorithm="direct").reason
    assert chosen(PLAIN, algorithm="im2col").algorithm == "im2col"
    assert chosen(PLAIN, algorithm="fft").algorithm == "fft"
    assert chosen(replace(PLAIN, stride_w=2), algorithm="fft").algorithm == "direct"
    assert CONV_ALGORITHMS[:3] == ("direct", "depthwise", "winograd")
    assert {"im2col", "fft"} < set(CONV_ALGORITHMS)


def test_the_error_limit_is_a_share_of_the_output() -> None:
    """The direct convolution's own error is what a share is measured by, and always allowed."""
    own = direct_error(64 * 9)

    def algorithm(max_error: float) -> str:
        kernel = select_conv2d(PLAIN, A72, Limits(max_error=max_error)).kernel
        assert kernel is not None
        return kernel.algorithm

    assert algorithm(8 * own) == "winograd"
    assert algorithm(own / 10) == "direct"


def test_unknown_algorithms_and_layouts_are_refused() -> None:
    with pytest.raises(ValueError, match="'magic' is no convolution algorithm; there are auto, d"):
        select_conv2d(PLAIN, A72, Limits("magic"))
    with pytest.raises(ValueError, match="input layout 'NHWC' is none of blocked, NCHW"):
        select_conv2d(PLAIN, A72, input_layout="NHWC")


def test_nobody_takes_what_cannot_be_fused() -> None:
    elu = replace(PLAIN, epilogue=Epilogue(activation=Activation("elu")))
    selection = select_conv2d(elu, A72)
    assert selection.kernel is None
    assert len(selection.declined) == len(CONV_ALGORITHMS)
    assert "'elu' is not fused" in str(selection.declined[0])


def _offer(algorithm: str, cost: float, *, scratch: int = 0, error: float = 0.0) -> Offer:
    def build() -> Kernel:
        return Kernel(algorithm, algorithm, None, cost=cost)

    return Offer(algorithm, algorithm, cost, build, scratch, error)


def test_the_cheapest_offer_within_the_limits_wins() -> None:
    offers = [
        _offer("greedy", 1.0, scratch=1000),
        _offer("sloppy", 2.0, error=9.0),
        _offer("good", 3.0),
        _offer("slow", 4.0),
    ]
    selection = _choose(offers, Limits(max_error=3.0, max_workspace_bytes=500))
    assert selection.kernel is not None
    assert selection.kernel.name == "good"
    reasons = {declined.family: declined.reason for declined in selection.declined}
    assert reasons == {
        "greedy": "1000 bytes of scratch memory are above the limit of 500",
        "sloppy": "its error, 9 times the direct convolution's, is above the limit of 3 times",
        "slow": "4 cycles estimated, good 3",
    }
    forced = _choose(offers, Limits("slow"))
    assert forced.kernel is not None
    assert forced.kernel.name == "slow"
    assert Declined("good", "'slow' is asked for") in forced.declined


def test_dense_and_pools_are_selected() -> None:
    dense = select_dense(DenseWorkload(1, 64, 10), A72).kernel
    whole = select_pool2d(Pool2dWorkload("average", 1, 64, 7, 7, 1, 1, 7, 7), A72).kernel
    window = select_pool2d(Pool2dWorkload("max", 1, 64, 8, 8, 4, 4, 2, 2, 2, 2), A72).kernel
    names = [kernel.algorithm for kernel in (dense, whole, window) if kernel is not None]
    assert names == ["dense", "pool_global", "pool_window"]


VARIANTS = [
    PLAIN,
    replace(PLAIN, batch=2),
    replace(PLAIN, in_w=15),
    replace(PLAIN, stride_w=2),
    replace(PLAIN, pad_left=0),
    replace(PLAIN, pad_right=2),
    replace(PLAIN, dilation_h=2),
    replace(PLAIN, groups=2),
    replace(PLAIN, out_channels=60),
    replace(PLAIN, in_channels=60),
    replace(PLAIN, epilogue=Epilogue(bias=True)),
    replace(PLAIN, epilogue=Epilogue(residual=True)),
    *[
        replace(PLAIN, epilogue=Epilogue(activation=activation))
        for activation in (
            Activation("relu"),
            Activation("clip", low=0.0, high=6.0),
            Activation("clip", low=-0.5, high=6.0),
            Activation("clip", low=0.0, high=float("inf")),
            Activation("leaky_relu", alpha=0.1),
            Activation("leaky_relu", alpha=1e-10),
            Activation("hard_sigmoid", alpha=0.2, beta=0.5),
            Activation("hard_sigmoid", alpha=0.2, beta=0.25),
        )
    ],
]


def test_names_are_c_identifiers_and_tell_kernels_apart() -> None:
    names = [
        chosen(variant, target).name for variant in VARIANTS for target in (A72, CORES["arm926"])
    ]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"f32_[a-z0-9_]+", name) for name in names), names


def test_the_layouts_of_an_input_have_kernels_of_their_own() -> None:
    stem = Conv2dWorkload(1, 3, 32, 32, 16, 3, 3, 2, 2, 1, 1, 1, 1)
    blocked = select_conv2d(stem, A72).kernel
    plain = select_conv2d(stem, A72, input_layout="NCHW").kernel
    assert blocked is not None
    assert plain is not None
    assert blocked.name != plain.name
    assert "_nchw_" in plain.name


def test_generation_repeats_itself() -> None:
    first = chosen(PLAIN, algorithm="direct").prim_func.script()
    conv2d_direct.build_kernel.cache_clear()
    second = chosen(PLAIN, algorithm="direct").prim_func.script()
    assert first == second


def test_equal_workloads_share_one_kernel() -> None:
    assert chosen(PLAIN).prim_func.same_as(chosen(replace(PLAIN)).prim_func)


def test_every_core_has_kernels() -> None:
    workloads = [
        PLAIN,
        DEPTHWISE,
        Conv2dWorkload(1, 320, 7, 7, 1280, 1, 1),
        Conv2dWorkload(1, 3, 2, 2, 5, 2, 2),
    ]
    for target in CORES.values():
        for workload in workloads:
            assert chosen(workload, target).cost > 0


def test_tvm_is_loaded_with_the_first_selection_only() -> None:
    code = "import sys, edgewright.schedules.select; sys.exit('tvm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_work_is_cut_for_the_cores_there_are() -> None:
    def tasks(target: Target, workload: Conv2dWorkload) -> int:
        found = re.search(
            r"v in T.parallel\((\d+)\)", chosen(workload, target, "direct").prim_func.script()
        )
        assert found is not None
        return int(found.group(1))

    layer = Conv2dWorkload(1, 64, 56, 56, 64, 3, 3, 1, 1, 1, 1, 1, 1)
    for cores in (1, 2, 4, 8):
        assert tasks(replace(A72, num_cores=cores), layer) >= 2 * cores
    tiny = Conv2dWorkload(1, 4, 4, 4, 4, 1, 1)
    assert tasks(replace(A72, num_cores=8), tiny) == 1
