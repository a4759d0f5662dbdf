"""Seeded weights and batch-norm statistics that behave like a trained network's.

An untrained network is a poor test of a compiler: batch norms of mean 0 and variance 1 fold into
nothing, and activations that vanish or grow with depth hide errors or invent them. Here

1. convolution and linear weights have the variance of He et al., 2015, arXiv:1502.01852,
   equation 10, ``2 / fan_in``, drawn uniformly (faster than the paper's normal distribution, and
   with no logarithm that differs between machines);
2. a few seeded inputs then run through the network in float64, and each layer is calibrated by what
   reaches it, in the order in which they run:

   * a batch norm takes the mean and variance of its input as running statistics, each perturbed by
     noise, as if the training set had differed; its scale is 0.5 to 1.5, one in eight negative;
   * a convolution (a transposed one too) or linear layer with a bias is scaled to an output
     variance of 1 (Mishkin and Matas, 2015, arXiv:1511.06422) and its bias takes away the mean,
     plus noise; a convolution that gives one place an image, as within squeeze and excitation, by
     the mean and variance of the layer, not of each channel, of which a few inputs tell nothing;

3. of any other layer, matrices have the variance ``1 / fan_in``, vectors called ``bias…`` are small
   noise around 0, and other vectors small noise around 1.

Numbers come from NumPy's PCG64, which is the same everywhere, and float64 keeps what depends on the
machine (the order of a sum) far below the last bit of the float32 that is stored.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from edgewright.models.entry import ModelInput

__all__ = ["calibration_input", "seed_weights", "unfilled_weights"]

#: Inputs of the calibration: few, because it is most of the time that building a network takes.
CALIBRATION_BATCH = 2
#: Cells a side of the coarse pattern in a calibration input.
COARSE_CELLS = 7
#: Mean shift of a batch norm. At 0 half of what a ReLU is given is lost, the next batch norm scales
#: the rest up again, and a rounding error with it: 1.2 times a layer, 1e-5 after 27 of them.
MEAN_SHIFT = 0.5
#: Standard deviation of a bias' and a shift's noise, in standard deviations of the output.
SHIFT_NOISE = 0.2
#: Standard deviation of the logarithm of a running variance's noise.
LOG_VARIANCE_NOISE = 0.3
#: Standard deviation of vectors of layers that are not calibrated.
PLAIN_NOISE = 0.1
#: Share of batch-norm scales that are negative.
NEGATIVE_SCALES = 1 / 8

#: Weights of a linear layer that are float64 at a time.
WIDE_ELEMS = 2**20

_Transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_Weighted = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, *_Transposed)
_Normed = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def seed_weights(network: nn.Module, inputs: Sequence[ModelInput], seed: int) -> None:
    """Fill every parameter and running statistic of ``network``, in place, and set eval mode.

    Args:
        network: any layers.
        inputs: what it takes, in order.
        seed: what the numbers follow from; not negative.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    network.eval()
    for layer in network.modules():
        _draw_weights(layer, rng)
    examples = [calibration_input(value, rng) for value in inputs]
    with torch.no_grad(), _in_float64(network):
        hooks = list(_calibration_hooks(network, rng))
        network(*examples)
        for hook in hooks:
            hook.remove()


class unfilled_weights(TorchFunctionMode):
    """Layers made in this context draw no random weights: they keep what lies in memory.

    For networks whose every weight :func:`seed_weights` fills: PyTorch's own initialisation of
    VGG-16 takes longer than that.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def calibration_input(value: ModelInput, rng: np.random.Generator) -> Tensor:
    """An input of ``CALIBRATION_BATCH`` elements; floats have mean 0 and variance 1.

    Images (rank 4) go from white noise alone to a pattern of coarse cells alone: white noise looks
    the same everywhere once pooled, photographs do not, and the networks get both. Other floats are
    noise, integers any that the input may hold.

    Returns:
        float64 or the integers' own type, of the input's shape but for axis 0.
    """
    shape = (CALIBRATION_BATCH, *value.shape[1:])
    if not value.dtype.startswith("float"):
        return torch.from_numpy(rng.integers(value.low, value.below, shape, dtype=value.dtype))
    fine = rng.standard_normal(shape)
    if len(shape) != 4:
        return torch.from_numpy(fine)
    _, channels, height, width = shape
    coarse = rng.standard_normal((CALIBRATION_BATCH, channels, COARSE_CELLS, COARSE_CELLS))
    rows = np.arange(height) * COARSE_CELLS // height
    columns = np.arange(width) * COARSE_CELLS // width
    share = np.linspace(0.0, 1.0, CALIBRATION_BATCH).reshape(-1, 1, 1, 1)
    mixed = np.sqrt(1.0 - share) * fine + np.sqrt(share) * coarse[:, :, rows][:, :, :, columns]
    return torch.from_numpy(mixed)


def _draw_weights(layer: nn.Module, rng: np.random.Generator) -> None:
    if isinstance(layer, _Normed):
        return
    own = dict(layer.named_parameters(recurse=False))
    if isinstance(layer, _Weighted):
        layer.weight.data = _uniform(layer.weight.shape, 2.0, rng, _fan_in(layer))
        if layer.bias is not None:
            layer.bias.data.zero_()
        return
    for name, parameter in own.items():
        if parameter.ndim > 1:
            parameter.data = _uniform(parameter.shape, 1.0, rng, math.prod(parameter.shape[1:]))
        else:
            middle = 0.0 if "bias" in name else 1.0
            drawn = middle + PLAIN_NOISE * rng.standard_normal(parameter.shape)
            parameter.data = torch.from_numpy(drawn.astype(np.float32))


def _fan_in(layer: Any) -> float:
    """Elements of the input that one of the output sums."""
    if not isinstance(layer, _Transposed):
        return float(math.prod(layer.weight.shape[1:]))
    # Of the taps, every stride-th one along each axis meets an element.
    taps = math.prod(layer.kernel_size) / math.prod(layer.stride)
    channels: float = layer.in_channels / layer.groups
    return channels * taps


def _uniform(shape: Sequence[int], gain: float, rng: np.random.Generator, fan_in: float) -> Tensor:
    """float32 of variance ``gain / fan_in``."""
    # Uniform on [-a, a) has the variance a**2 / 3.
    drawn = rng.random(tuple(shape), dtype=np.float32)
    drawn -= np.float32(0.5)
    drawn *= np.float32(2.0 * math.sqrt(3.0 * gain / fan_in))
    return torch.from_numpy(drawn)


def _calibration_hooks(network: nn.Module, rng: np.random.Generator) -> Iterator[Any]:
    for layer in network.modules():
        if isinstance(layer, _Normed):
            scales = rng.uniform(0.5, 1.5, layer.num_features)
            scales *= np.where(rng.random(layer.num_features) < NEGATIVE_SCALES, -1.0, 1.0)
            noise = rng.standard_normal((3, layer.num_features))
            yield layer.register_forward_pre_hook(_NormCalibration(scales, noise))
        elif isinstance(layer, _Weighted) and layer.bias is not None:
            noise = rng.standard_normal(layer.bias.numel())
            yield layer.register_forward_hook(_BiasCalibration(noise))


@contextmanager
def _in_float64(network: nn.Module) -> Iterator[None]:
    """The network computes in float64, but the weights of linear layers stay float32.

    Most weights of VGG-16 are in those: to widen and narrow them takes longer than to run it.
    """
    dense = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    others = [layer for layer in network.modules() if not isinstance(layer, nn.Linear)]
    for layer in dense:
        layer.forward = functools.partial(_wide_linear, layer)  # type: ignore[method-assign]
    _convert(others, torch.float64)
    try:
        yield
    finally:
        for layer in dense:
            del layer.forward
        _convert(others, torch.float32)


def _convert(layers: Sequence[nn.Module], dtype: torch.dtype) -> None:
    """Gives the layers' own floating-point parameters and statistics another type."""
    for layer in layers:
        own = (*layer.parameters(recurse=False), *layer.buffers(recurse=False))
        for tensor in own:
            if tensor.is_floating_point():
                tensor.data = tensor.data.to(dtype)


def _wide_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """What ``layer`` gives in float64, its weights widened a few rows at a time."""
    rows = -(-WIDE_ELEMS // layer.in_features)
    y = torch.cat(
        [linear(x, weights.double()) for weights in torch.split(layer.weight, rows)], dim=-1
    )
    return y if layer.bias is None else y + layer.bias.double()


class _NormCalibration:
    """Forward pre-hook: statistics of the batch norm's input become the running statistics.

    Of the first input, where a network runs the layer more than once; so of a bias, below.
    """

    def __init__(self, scales: np.ndarray, noise: np.ndarray) -> None:
        self.scales = torch.from_numpy(scales)
        self.mean_noise, self.log_variance_noise, self.shifts = torch.from_numpy(noise)
        self.calibrated = False

    def __call__(self, layer: Any, args: tuple[Tensor, ...]) -> None:
        if self.calibrated:
            return
        self.calibrated = True
        mean, variance = _channel_statistics(args[0], axis=1)
        layer.running_mean.copy_(mean + SHIFT_NOISE * variance.sqrt() * self.mean_noise)
        layer.running_var.copy_(variance * torch.exp(LOG_VARIANCE_NOISE * self.log_variance_noise))
        layer.weight.copy_(self.scales)
        layer.bias.copy_(MEAN_SHIFT + SHIFT_NOISE * self.shifts)


class _BiasCalibration:
    """Forward hook: the layer's output gets variance 1 and, but for noise, mean 0 a channel."""

    def __init__(self, noise: np.ndarray) -> None:
        self.noise = torch.from_numpy(noise)
        self.calibrated = False

    def __call__(self, layer: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if self.calibrated:
            return output
        self.calibrated = True
        # The bias is still 0. Scaling the output stands for running the scaled layer again.
        axis = output.ndim - 1 if isinstance(layer, nn.Linear) else 1
        mean, variance = _channel_statistics(output, axis)
        if output.ndim > 2 and output[0, 0].numel() == 1:
            mean, variance = output.mean(), output.var(correction=0)
        # A float32 scale: its products round the same however this machine summed the variance.
        scale = (1.0 / variance.mean().sqrt()).float().double()
        layer.weight.mul_(scale)
        bias = SHIFT_NOISE * self.noise - mean * scale
        layer.bias.copy_(bias)
        along = [1] * output.ndim
        along[axis] = -1
        return output.mul_(scale).add_(bias.reshape(along))


def _channel_statistics(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Mean and variance over all axes but ``axis``, float64[extent of axis] each.

    Where a channel has one element an image, its variance is the mean of all channels': the few
    inputs may be equal in one of them by chance.
    """
    others = [other for other in range(x.ndim) if other != axis]
    mean, variance = x.mean(dim=others), x.var(dim=others, correction=0)
    if x[0].numel() == x.shape[axis]:
        variance = variance.mean().expand_as(variance)
    return mean, variance
