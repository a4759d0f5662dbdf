"""What an operator asks of a kernel: shapes, strides and the work fused behind it.

Extents are elements, layouts are ``NCHW`` and ``OIHW`` unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "FUSED_ACTIVATIONS",
    "Activation",
    "Conv2dTransposedWorkload",
    "Conv2dWorkload",
    "DenseWorkload",
    "Epilogue",
    "Pool2dWorkload",
    "Resize2dWorkload",
]

#: Activations that kernels apply before they store; the others stay operators of their own.
FUSED_ACTIVATIONS = (
    *("relu", "clip", "leaky_relu", "hard_swish", "hard_sigmoid"),
    *("sigmoid", "silu", "swish", "tanh", "gelu", "gelu_tanh", "mish"),
)


@dataclass(frozen=True)
class Activation:
    """An elementwise function of one element.

    Attributes:
        kind: one of :data:`FUSED_ACTIVATIONS`; ``schedules.activations`` defines them.
        low: lower bound of ``clip``.
        high: upper bound of ``clip``.
        alpha: slope of ``leaky_relu`` below zero; slope of ``hard_sigmoid``; factor of the
            argument of the sigmoid in ``swish``.
        beta: offset of ``hard_sigmoid``.
        scale: factor of the result.
    """

    kind: str
    low: float = 0.0
    high: float = 0.0
    alpha: float = 0.0
    beta: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Epilogue:
    """Work done on the register tile before it is stored: ``activation(tile + bias + residual)``.

    Attributes:
        bias: adds a vector over output channels.
        residual: adds a tensor of the output's shape and layout.
        activation: applied last, or None.
    """

    bias: bool = False
    residual: bool = False
    activation: Activation | None = None

    @property
    def refusal(self) -> str:
        """Why no kernel computes it on the register tile; empty where they do."""
        if self.activation is None or self.activation.kind in FUSED_ACTIVATIONS:
            return ""
        return f"activation '{self.activation.kind}' is not fused"


@dataclass(frozen=True)
class Conv2dWorkload:
    """A 2-d convolution. A 1-d convolution is one with height 1.

    Attributes:
        pad_top, pad_left, pad_bottom, pad_right: zeros around the input.
        groups: groups of channels; ``in_channels`` of them make it depthwise.
    """

    batch: int
    in_channels: int
    in_h: int
    in_w: int
    out_channels: int
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pad_bottom: int = 0
    pad_right: int = 0
    dilation_h: int = 1
    dilation_w: int = 1
    groups: int = 1
    epilogue: Epilogue = Epilogue()

    @property
    def out_h(self) -> int:
        """Output height."""
        reach = self.dilation_h * (self.kernel_h - 1) + 1
        return (self.in_h + self.pad_top + self.pad_bottom - reach) // self.stride_h + 1

    @property
    def out_w(self) -> int:
        """Output width."""
        reach = self.dilation_w * (self.kernel_w - 1) + 1
        return (self.in_w + self.pad_left + self.pad_right - reach) // self.stride_w + 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the direct algorithm, padding counted as work."""
        taps = self.in_channels // self.groups * self.kernel_h * self.kernel_w
        return self.batch * self.out_channels * self.out_h * self.out_w * taps

    @property
    def is_depthwise(self) -> bool:
        """One input channel for each group."""
        return self.groups > 1 and self.groups == self.in_channels


@dataclass(frozen=True)
class Conv2dTransposedWorkload:
    """A 2-d transposed convolution, the gradient of a convolution by its input.

    ``y[n, o, ih*stride_h + kh*dilation_h - pad_top, …]`` collects ``x[n, i, ih, iw] * w[i, o, kh,
    kw]``. Weights are ``IOHW``: ``(in_channels, out_channels / groups, kernel_h, kernel_w)``.

    Attributes:
        pad_top, pad_left, pad_bottom, pad_right: rows and columns cut off the output.
        out_pad_h, out_pad_w: rows and columns more at the output's end.
        groups: groups of channels.
    """

    batch: int
    in_channels: int
    in_h: int
    in_w: int
    out_channels: int
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pad_bottom: int = 0
    pad_right: int = 0
    dilation_h: int = 1
    dilation_w: int = 1
    out_pad_h: int = 0
    out_pad_w: int = 0
    groups: int = 1
    epilogue: Epilogue = Epilogue()

    @property
    def out_h(self) -> int:
        """Output height."""
        reach = self.dilation_h * (self.kernel_h - 1) + 1
        cut = self.pad_top + self.pad_bottom
        return (self.in_h - 1) * self.stride_h + reach - cut + self.out_pad_h

    @property
    def out_w(self) -> int:
        """Output width."""
        reach = self.dilation_w * (self.kernel_w - 1) + 1
        cut = self.pad_left + self.pad_right
        return (self.in_w - 1) * self.stride_w + reach - cut + self.out_pad_w

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those that the padding cuts off included."""
        taps = self.out_channels // self.groups * self.kernel_h * self.kernel_w
        return self.batch * self.in_channels * self.in_h * self.in_w * taps

    @property
    def is_depthwise(self) -> bool:
        """One input and one output channel for each group."""
        return self.groups > 1 and self.groups == self.in_channels == self.out_channels


@dataclass(frozen=True)
class DenseWorkload:
    """``y[rows, out_features] = x[rows, in_features] @ w.T``, plain row-major layout."""

    rows: int
    in_features: int
    out_features: int
    epilogue: Epilogue = Epilogue()

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.rows * self.in_features * self.out_features


@dataclass(frozen=True)
class Pool2dWorkload:
    """A 2-d pooling window over a blocked activation.

    Attributes:
        kind: ``max`` or ``average``.
        out_h, out_w: output extents; given, since ``ceil_mode`` makes them no function of the rest.
        count_include_pad: whether ``average`` divides by the window's whole size.
    """

    kind: str
    batch: int
    channels: int
    in_h: int
    in_w: int
    out_h: int
    out_w: int
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pad_bottom: int = 0
    pad_right: int = 0
    dilation_h: int = 1
    dilation_w: int = 1
    count_include_pad: bool = False


@dataclass(frozen=True)
class Resize2dWorkload:
    """A resampling of the height and width of a blocked activation.

    Attributes:
        method: ``nearest`` or ``linear``.
        coordinates: ONNX's ``coordinate_transformation_mode``.
        rounding: ONNX's ``nearest_mode``; of no meaning to ``linear``.
    """

    batch: int
    channels: int
    in_h: int
    in_w: int
    out_h: int
    out_w: int
    method: str
    coordinates: str
    rounding: str = "round_prefer_floor"
