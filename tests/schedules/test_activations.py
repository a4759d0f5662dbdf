"""Fused activations against float64: over their whole range, at its ends, on every kind of core."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tvm.tirx.script.builder import ir as builder

from edgewright.schedules import microkernel as mk
from edgewright.schedules.activations import activated
from edgewright.schedules.kernel import Kernel
from edgewright.schedules.vector_forms import Arithmetic
from edgewright.schedules.workload import FUSED_ACTIVATIONS, Activation
from edgewright.spec.target import CORES, Target
from tests.schedules import execution
from tests.schedules.emulation import Launch, run_emulated
from tests.schedules.execution import F32, TARGETS, each_target
from tests.schedules.strategies import ACTIVATIONS

SMOOTH = [
    activation
    for activation in ACTIVATIONS
    if activation.kind in ("sigmoid", "silu", "swish", "tanh", "gelu", "gelu_tanh", "mish")
]
#: Largest relative error. The tails of these are exact to an absolute error only: gelu subtracts
#: numbers around one, and the others round the argument of an exponential.
RELATIVE = 1e-6
ABSOLUTE = {"gelu": 2e-7, "swish": 1e-9, "gelu_tanh": 1e-9}
NEGLIGIBLE = 2e-36
ENDS = np.float32([0.0, -0.0, 1e-38, -1e-38, 88.0, -88.0, 89.0, -89.0, 1e4, -1e4, 1e30, -1e30])


def kernel_of(activation: Activation, size: int, target: Target) -> Kernel:
    """``y = activation(x)`` of flat tensors of ``size`` elements, a multiple of 16."""
    simd = mk.simd_of(target)

    def emit() -> None:
        x, y = mk.declare("x", (size,)), mk.declare("y", (size,))
        with builder.parallel(0, size // simd.lanes) as task:
            place = (task * simd.lanes,)
            value = mk.load(x, place, simd.lanes)
            mk.store(y, place, mk.activate(value, activation, simd), simd.lanes)

    name = f"activation_{activation.kind}"
    return Kernel(name, "elementwise", mk.kernel_function(name, emit))


def samples() -> F32:
    """The ends of the range, then values of every size."""
    generator = np.random.default_rng(5)
    near = generator.uniform(-20, 20, 8000)
    tiny = generator.uniform(-1, 1, 4000) * 10.0 ** generator.uniform(-30, 0, 4000)
    far = generator.uniform(-87, 87, 4000)
    values = np.concatenate([ENDS, near, tiny, far]).astype(np.float32)
    return np.resize(values, -(-values.size // 16) * 16)


def check(activation: Activation, x: F32, y: F32) -> None:
    """Within the accuracy that is promised, wherever no factor of the result is denormal."""
    with np.errstate(over="ignore"):
        exact = execution.activated(x.astype(np.float64), activation)
    absolute = ABSOLUTE.get(activation.kind, 0.0) * activation.scale
    bound = RELATIVE * np.abs(exact) + absolute * np.minimum(1.0, np.abs(x))
    error = np.abs(y.astype(np.float64) - exact)
    # The sigmoid of -88 is denormal, which 32-bit NEON does not have; silu is 88 times that.
    beyond = np.where(error < NEGLIGIBLE, 0.0, error - bound)
    worst = np.argmax(beyond)
    assert beyond[worst] <= 0.0, (x[worst], y[worst], exact[worst])


@each_target
@pytest.mark.parametrize("activation", SMOOTH, ids=lambda a: f"{a.kind}{a.scale:g}")
def test_smooth_activations_are_exact(activation: Activation, target: Target) -> None:
    x = samples()
    check(activation, x, execution.run(kernel_of(activation, x.size, target), target, [x], x.shape))


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a7", "arm1176", "arm926"])
def test_smooth_activations_are_exact_on_arm(core: str) -> None:
    x, target = samples(), CORES[core]
    odd = np.resize(np.float32([np.nan, np.inf, -np.inf, np.nan]), 16)
    launches = [Launch(kernel_of(a, x.size, target), [x], x.shape) for a in SMOOTH]
    launches += [Launch(kernel_of(a, 16, target), [odd], (16,), finite=False) for a in SMOOTH]
    found = run_emulated(launches, target)
    for activation, y in zip(SMOOTH, found, strict=False):
        check(activation, x, y)
    for activation, y in zip(SMOOTH, found[len(SMOOTH) :], strict=True):
        check_ends(activation, y)


def check_ends(activation: Activation, y: F32) -> None:
    """Results of NaN, infinity and minus infinity, in this order."""
    at_infinity = 1.0 if activation.kind in ("sigmoid", "tanh") else math.inf
    assert np.isnan(y[0]) and y[1] == at_infinity, y[:3]
    if activation.kind in ("sigmoid", "tanh"):
        assert y[2] == {"sigmoid": 0.0, "tanh": -1.0}[activation.kind]


@each_target
@pytest.mark.parametrize("activation", SMOOTH, ids=lambda a: f"{a.kind}{a.scale:g}")
def test_nan_stays_and_infinity_saturates(activation: Activation, target: Target) -> None:
    odd = np.resize(np.float32([np.nan, np.inf, -np.inf, 0.0]), 16)
    kernel = kernel_of(activation, 16, target)
    check_ends(activation, execution.run(kernel, target, [odd], (16,), finite=False))


def test_every_fused_activation_is_tested() -> None:
    assert {activation.kind for activation in ACTIVATIONS} == set(FUSED_ACTIVATIONS)


def test_unknown_activations_are_refused() -> None:
    x = mk.constant(0.0, 4)
    with pytest.raises(ValueError, match="'softsign' cannot be fused"):
        activated(x, Activation("softsign"), Arithmetic(lambda value: value))


def test_arm_divides_by_estimates() -> None:
    assert mk.simd_of(CORES["cortex-a72"]).estimate == "llvm.aarch64.neon.frecp"
    assert mk.simd_of(CORES["cortex-a7"]).estimate == "llvm.arm.neon.vrecp"
    assert not mk.simd_of(CORES["cortex-a72"]).scalar().estimate
    assert not mk.simd_of(TARGETS[0]).estimate or TARGETS[0].arch != "x86_64"
