"""Small workloads for property tests, edges and tails included."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from edgewright.schedules.workload import (
    Activation,
    Conv2dTransposedWorkload,
    Conv2dWorkload,
    Epilogue,
    Pool2dWorkload,
)

ACTIVATIONS = (
    Activation("relu"),
    Activation("clip", low=0.0, high=6.0),
    Activation("clip", low=-1.0, high=float("inf")),
    Activation("leaky_relu", alpha=0.1),
    Activation("hard_swish"),
    Activation("hard_sigmoid", alpha=0.2, beta=0.5),
    Activation("sigmoid"),
    Activation("silu"),
    Activation("swish", alpha=1.702),
    Activation("tanh"),
    Activation("gelu"),
    Activation("gelu", scale=2.0),
    Activation("gelu_tanh"),
    Activation("mish"),
)


def repeatable(examples: int) -> settings:
    """The same examples in every run, as many as the time allows."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def epilogues() -> SearchStrategy[Epilogue]:
    """Bias, residual and activation in every combination."""
    return st.builds(
        Epilogue,
        bias=st.booleans(),
        residual=st.booleans(),
        activation=st.none() | st.sampled_from(ACTIVATIONS),
    )


@st.composite
def windows(draw: DrawFn, max_kernel: int = 4) -> dict[str, int]:
    """Image, kernel, strides, asymmetric paddings and dilations that give at least one output."""
    window = {
        "in_h": draw(st.integers(1, 9)),
        "in_w": draw(st.integers(1, 40)),
        "kernel_h": draw(st.integers(1, max_kernel)),
        "kernel_w": draw(st.integers(1, max_kernel)),
        "stride_h": draw(st.integers(1, 3)),
        "stride_w": draw(st.integers(1, 3)),
        "dilation_h": draw(st.integers(1, 2)),
        "dilation_w": draw(st.integers(1, 2)),
        "pad_top": draw(st.integers(0, 3)),
        "pad_left": draw(st.integers(0, 3)),
        "pad_bottom": draw(st.integers(0, 3)),
        "pad_right": draw(st.integers(0, 3)),
    }
    for size, kernel, dilation, before, after in (
        ("in_h", "kernel_h", "dilation_h", "pad_top", "pad_bottom"),
        ("in_w", "kernel_w", "dilation_w", "pad_left", "pad_right"),
    ):
        reach = window[dilation] * (window[kernel] - 1) + 1
        assume(window[size] + window[before] + window[after] >= reach)
    return window


@st.composite
def convolutions(draw: DrawFn) -> Conv2dWorkload:
    """Ungrouped and grouped convolutions."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    return Conv2dWorkload(
        batch=draw(st.sampled_from([1, 1, 2])),
        in_channels=groups * draw(st.integers(1, 40)),
        out_channels=groups * draw(st.integers(1, 40)),
        groups=groups,
        epilogue=draw(epilogues()),
        **draw(windows()),
    )


@st.composite
def depthwise(draw: DrawFn) -> Conv2dWorkload:
    """Depthwise convolutions."""
    channels = draw(st.integers(2, 40))
    return Conv2dWorkload(
        batch=draw(st.sampled_from([1, 1, 2])),
        in_channels=channels,
        out_channels=channels,
        groups=channels,
        epilogue=draw(epilogues()),
        **draw(windows(max_kernel=7)),
    )


@st.composite
def transposed_convolutions(draw: DrawFn, *, depthwise: bool = False) -> Conv2dTransposedWorkload:
    """Transposed convolutions, with strides beyond their kernels and paddings within the output."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels = (groups * draw(st.integers(1, 24)), groups * draw(st.integers(1, 40)))
    if depthwise:
        groups = draw(st.integers(2, 40))
        channels = (groups, groups)
    window: dict[str, int] = {}
    for axis, before, after in (("h", "pad_top", "pad_bottom"), ("w", "pad_left", "pad_right")):
        window[f"in_{axis}"] = draw(st.integers(1, 6 if axis == "h" else 20))
        window[f"kernel_{axis}"] = draw(st.integers(1, 5))
        stride = window[f"stride_{axis}"] = draw(st.integers(1, 4))
        window[f"dilation_{axis}"] = draw(st.sampled_from([1, 1, 2, 3]))
        window[f"out_pad_{axis}"] = draw(st.integers(0, stride - 1))
        window[before], window[after] = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    workload = Conv2dTransposedWorkload(
        batch=draw(st.sampled_from([1, 1, 2])),
        in_channels=channels[0],
        out_channels=channels[1],
        groups=groups,
        epilogue=draw(epilogues()),
        **window,
    )
    assume(workload.out_h >= 1 and workload.out_w >= 1)
    return workload


@st.composite
def pools(draw: DrawFn) -> Pool2dWorkload:
    """Pooling windows whose every output sees a pixel, with and without ``ceil_mode``."""
    window = draw(windows())
    assume(window["pad_top"] < window["kernel_h"] and window["pad_bottom"] < window["kernel_h"])
    assume(window["pad_left"] < window["kernel_w"] and window["pad_right"] < window["kernel_w"])
    ceil = draw(st.booleans())
    outputs = []
    for axis, before, after in (("h", "pad_top", "pad_bottom"), ("w", "pad_left", "pad_right")):
        stride, size = window[f"stride_{axis}"], window[f"in_{axis}"]
        reach = window[f"dilation_{axis}"] * (window[f"kernel_{axis}"] - 1) + 1
        room = size + window[before] + window[after] - reach
        steps = -(-room // stride) if ceil else room // stride
        # ONNX: a window that begins beyond the input and its padding before it is dropped.
        if ceil and steps * stride >= size + window[before]:
            steps -= 1
        outputs.append(steps + 1)
    return Pool2dWorkload(
        kind=draw(st.sampled_from(["max", "average"])),
        batch=draw(st.sampled_from([1, 2])),
        channels=draw(st.integers(1, 40)),
        out_h=outputs[0],
        out_w=outputs[1],
        count_include_pad=draw(st.booleans()),
        **window,
    )
