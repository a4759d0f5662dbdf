from __future__ import annotations

import pytest
from rich.console import Console

from edgewright.compiler.verify.compare import OutputComparison, Tolerance
from edgewright.compiler.verify.verification import Case, Verification
from edgewright.deploy.benchmark import Benchmark, Conditions, LayerTime, Timing
from edgewright.report import tables


def printed(table: object) -> str:
    console = Console(width=200, record=True, quiet=False, file=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (13_421_772, "12.8 MiB"),
        (3 << 30, "3.00 GiB"),
    ],
)
def test_sizes_have_binary_units(count: int, text: str) -> None:
    assert tables.format_bytes(count) == text


@pytest.mark.parametrize(
    ("kernel", "family"),
    [
        ("f32_conv2d_direct_oc2ow14u4__avx512_n1c3", "f32_conv2d_direct"),
        ("f32_conv2d_direct_nchw_oc2__neon", "f32_conv2d_direct_nchw"),
        ("f32_dense_o7r1p2c1__neon", "f32_dense"),
        ("copy", "copy"),
        ("fused_softmax", "scheduled by rule"),
    ],
)
def test_a_kernels_family_is_its_name_before_the_tile(kernel: str, family: str) -> None:
    assert tables._family(kernel) == family


def test_stages_end_in_their_sum() -> None:
    text = printed(tables.stage_table({"load": 0.25, "link": 1.5}))
    assert "load" in text
    assert text.splitlines()[-1].split() == ["total", "1.75"]


def test_a_verification_shows_what_failed_and_what_would_pass() -> None:
    rows = (
        OutputComparison("y", True, "", elems=4, passing_atol=1e-3, passing_rtol=2e-2),
        OutputComparison("z", False, "the output is missing"),
    )
    verification = Verification("host", Tolerance(), (Case("golden", "onnxruntime 1", rows),))
    text = printed(tables.verification_table(verification))
    assert "atol 0.001 or rtol 0.02" in text
    assert "FAIL: the output is missing" in text
    assert "0.0001 of the output's largest value" in text


def test_a_benchmark_names_its_conditions_and_the_ratio() -> None:
    benchmark = Benchmark(
        "host",
        "net",
        "0" * 64,
        "rpi4",
        "edgewright 1",
        Conditions("Cortex-A72", 4, "performance", 1500),
        (
            Timing("edgewright", 2, 5, 100, 2.0, 2.5, 3.0, 1.5, 3.5, 2.1, load_ms=7.7),
            Timing("onnxruntime 1", 2, 5, 100, 3.0, 3.5, 4.0, 2.5, 4.5, 3.1, marks=("noisy",)),
        ),
        layers=(LayerTime("conv1", "conv2d", "f32_conv2d", 120.0, 0.6, 12.5, 0.87),),
        peak_gflops=14.4,
        profile_cost_ms=0.012,
    )
    text = printed(tables.benchmark_table(benchmark))
    for part in ("Cortex-A72", "governor performance", "1500 MHz", "2.000", "1.50", "7.7", "noisy"):
        assert part in text
    layers = printed(tables.layer_table(benchmark))
    assert "60.0%" in layers
    for part in ("12.5", "87%", "14.4 GFLOP/s", "0.012 ms"):
        assert part in layers
    assert benchmark.ratio(2) == pytest.approx(1.5)
    assert benchmark.ratio(1) is None
