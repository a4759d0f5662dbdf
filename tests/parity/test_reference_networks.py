"""Every reference network on every target agrees with onnxruntime and with torch.

Bundles for ARM run under QEMU, which executes each instruction as the board would; how long it
takes says nothing about the board.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import edgewright
from edgewright.deploy.boards.registry import resolve
from edgewright.models.export import export
from edgewright.models.registry import build
from edgewright.spec.target import host_target

Array = npt.NDArray[Any]

NETWORKS = ("lenet5", "squeezenet1_1", "mobilenet_v2", "mobilenet_v1", "resnet18", "vgg16")
#: Cores with SIMD, by the names users give. armv6 and armv5te compute one number at a time (and
#: armv5te in software), so two networks are enough of the emulator's time.
SIMD_TARGETS = ("host", "rpi5", "rpi4", "rpi3", "rpi2")
SCALAR_TARGETS = ("rpi0", "arm926")
#: Of the largest value of the output.
TOLERANCE = 1e-4

CASES = [
    *((network, target) for network in NETWORKS for target in SIMD_TARGETS),
    *((network, target) for network in ("lenet5", "mobilenet_v1") for target in SCALAR_TARGETS),
]


def cases() -> list[Any]:
    """One worker takes all of a network, so that it is exported once."""
    return [
        pytest.param(
            network, target, marks=pytest.mark.xdist_group(network), id=f"{network}-{target}"
        )
        for network, target in CASES
    ]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exported models by network, filled as they are asked for."""
    return {"": tmp_path_factory.mktemp("exported")}


def model_file(exported: dict[str, Path], network: str) -> Path:
    if network not in exported:
        for stale in [name for name in exported if name]:
            exported.pop(stale).unlink()  # VGG-16 alone takes half a gigabyte
        exported[network] = exported[""] / f"{network}.onnx"
        export(network, exported[network])
    return exported[network]


def relative_error(actual: Mapping[str, Array], expected: Mapping[str, Array]) -> float:
    """Largest difference, as a share of the output's largest value."""
    worst = 0.0
    for name, reference in expected.items():
        assert actual[name].shape == reference.shape
        assert np.isfinite(actual[name]).all()
        difference = np.abs(actual[name].astype(np.float64) - reference)
        worst = max(worst, float(difference.max() / np.abs(reference).max()))
    return worst


def torch_outputs(network: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
    import torch

    with torch.no_grad():
        logits = build(network)(torch.from_numpy(inputs["input"].copy()))
    return {"logits": logits.numpy()}


@pytest.mark.parametrize(("network", "target"), cases())
def test_parity(network: str, target: str, exported: dict[str, Path]) -> None:
    bundle = edgewright.compile(model_file(exported, network), target)
    golden = bundle.golden()
    on = "host" if resolve(target)[0].name == host_target().name else "qemu"
    actual = bundle.run(golden.inputs, on=on)
    against_onnxruntime = relative_error(actual, golden.outputs)
    against_torch = relative_error(actual, torch_outputs(network, golden.inputs))
    print(f"{network} on {target}: {against_onnxruntime:.1e} / {against_torch:.1e}")
    assert against_onnxruntime < TOLERANCE
    assert against_torch < TOLERANCE


@pytest.mark.xdist_group("mobilenet_v2")
def test_verify_agrees_with_the_comparison_above(exported: dict[str, Path]) -> None:
    model = model_file(exported, "mobilenet_v2")
    verification = edgewright.compile(model, "rpi4").verify(model, on="qemu")
    assert verification.passed
    assert len(verification.cases) == 2


@pytest.mark.xdist_group("mobilenet_v2")
def test_mobilenet_v2_takes_less_than_400_kb_without_its_weights(exported: dict[str, Path]) -> None:
    bundle = edgewright.compile(model_file(exported, "mobilenet_v2"), "rpi4")
    (library,) = (bundle.path / "lib").glob("*.so")
    assert library.stat().st_size < 400_000
    assert (bundle.path / "weights.bin").stat().st_size > 13_000_000


@pytest.mark.parametrize(
    "network", [pytest.param(n, marks=pytest.mark.xdist_group(n)) for n in NETWORKS[:-1]]
)
def test_no_batch_normalization_is_left(network: str, exported: dict[str, Path]) -> None:
    from edgewright.compiler.onnx_passes import load_model, prepare

    prepared = prepare(load_model(model_file(exported, network)))
    assert [node.name for node in prepared.graph if node.op_type == "BatchNormalization"] == []
