"""Every reference network on every target agrees with onnxruntime and with torch.

Bundles for ARM run under QEMU, which executes each instruction as the board would; how long it
takes says nothing about the board.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import edgewright
from edgewright.deploy.boards.registry import resolve
from edgewright.models.export import export_module
from edgewright.models.registry import build, find_model, list_models
from edgewright.spec.target import host_target

Array = npt.NDArray[Any]

NETWORKS = ("lenet5", "squeezenet1_1", "mobilenet_v2", "mobilenet_v1", "resnet18", "vgg16")
#: Cores with SIMD, by the names users give. armv6 and armv5te compute one number at a time (and
#: armv5te in software), so two networks are enough of the emulator's time.
SIMD_TARGETS = ("host", "rpi5", "rpi4", "rpi3", "rpi2")
SCALAR_TARGETS = ("rpi0", "arm926")
#: Of the largest value of the output.
TOLERANCE = 1e-4

#: The others, on two of the targets, and the height and width they run with: where the emulator
#: would take minutes, not the registry's.
EXTENTS: dict[str, tuple[int, ...]] = {
    "alexnet": (),
    "deeplab_v3": (129, 129),
    "densenet121": (96, 96),
    "ds_cnn": (),
    "dssd": (),
    "efficientnet_b0": (),
    "go_policy": (),
    "googlenet": (),
    "inception_v3": (107, 107),
    "mobilenet_v3": (),
    "nin": (),
    "osnet": (128, 64),
    "resnet50": (96, 96),
    "resnext50": (96, 96),
    "segnet": (),
    "shufflenet_v1": (),
    "shufflenet_v2": (),
    "style_transfer": (64, 64),
    "unet": (),
    "xception": (107, 107),
}

CASES = [
    *((network, target) for network in NETWORKS for target in SIMD_TARGETS),
    *((network, target) for network in ("lenet5", "mobilenet_v1") for target in SCALAR_TARGETS),
    *((network, target) for network in EXTENTS for target in ("host", "rpi4")),
]


@dataclass(frozen=True)
class Exported:
    """A network with its weights, and the model file it was written to."""

    network: torch.nn.Module
    path: Path


def cases() -> list[Any]:
    """One worker takes all of a network, so that it is exported once."""
    return [
        pytest.param(
            network, target, marks=pytest.mark.xdist_group(network), id=f"{network}-{target}"
        )
        for network, target in CASES
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


@pytest.fixture(scope="module")
def exported() -> dict[str, Exported]:
    """The network that was asked for last: VGG-16 alone takes half a gigabyte."""
    return {}


def export_once(exported: dict[str, Exported], folder: Path, name: str) -> Exported:
    if name not in exported:
        for stale in list(exported):
            exported.pop(stale).path.unlink()
        entry, network, path = find_model(name), build(name), folder / f"{name}.onnx"
        extents = EXTENTS.get(name, ())
        shapes = [value.shape[: 4 - len(extents)] + extents for value in entry.inputs]
        export_module(
            network,
            tuple(torch.zeros(shape) for shape in shapes),
            path,
            input_names=[value.name for value in entry.inputs],
            output_names=entry.outputs,
            name=name,
        )
        exported[name] = Exported(network, path)
    return exported[name]


def relative_error(actual: Mapping[str, Array], expected: Mapping[str, Array]) -> float:
    """Largest difference, as a share of the output's largest value."""
    worst = 0.0
    for name, reference in expected.items():
        assert actual[name].shape == reference.shape
        assert np.isfinite(actual[name]).all()
        difference = np.abs(actual[name].astype(np.float64) - reference)
        worst = max(worst, float(difference.max() / np.abs(reference).max()))
    return worst


def torch_outputs(name: str, network: torch.nn.Module, inputs: Mapping[str, Array]) -> Any:
    with torch.no_grad():
        answer = network(*(torch.from_numpy(np.array(value)) for value in inputs.values()))
    answers = answer if isinstance(answer, tuple) else (answer,)
    names = find_model(name).outputs
    return {key: value.numpy() for key, value in zip(names, answers, strict=True)}


def test_every_convolutional_network_is_compared() -> None:
    images = {
        entry.name
        for entry in list_models("network")
        if len(entry.inputs) == 1 and len(entry.inputs[0].shape) == 4
    }
    assert images == {*NETWORKS, *EXTENTS}


@pytest.mark.parametrize(("network", "target"), cases())
def test_parity(network: str, target: str, exported: dict[str, Exported], folder: Path) -> None:
    source = export_once(exported, folder, network)
    bundle = edgewright.compile(source.path, target)
    golden = bundle.golden()
    on = "host" if resolve(target)[0].name == host_target().name else "qemu"
    actual = bundle.run(golden.inputs, on=on)
    against_onnxruntime = relative_error(actual, golden.outputs)
    by_torch = torch_outputs(network, source.network, golden.inputs)
    against_torch = relative_error(actual, by_torch)
    print(f"{network} on {target}: {against_onnxruntime:.1e} / {against_torch:.1e}")
    assert against_onnxruntime < TOLERANCE
    assert against_torch < TOLERANCE


@pytest.mark.xdist_group("mobilenet_v2")
def test_verify_agrees_with_the_comparison_above(
    exported: dict[str, Exported], folder: Path
) -> None:
    model = export_once(exported, folder, "mobilenet_v2").path
    verification = edgewright.compile(model, "rpi4").verify(model, on="qemu")
    assert verification.passed
    assert len(verification.cases) == 2


@pytest.mark.xdist_group("mobilenet_v2")
def test_mobilenet_v2_takes_less_than_400_kb_without_its_weights(
    exported: dict[str, Exported], folder: Path
) -> None:
    bundle = edgewright.compile(export_once(exported, folder, "mobilenet_v2").path, "rpi4")
    (library,) = (bundle.path / "lib").glob("*.so")
    assert library.stat().st_size < 400_000
    assert (bundle.path / "weights.bin").stat().st_size > 13_000_000


@pytest.mark.parametrize(
    "network", [pytest.param(n, marks=pytest.mark.xdist_group(n)) for n in NETWORKS[:-1]]
)
def test_no_batch_normalization_is_left(
    network: str, exported: dict[str, Exported], folder: Path
) -> None:
    from edgewright.compiler.onnx_passes import load_model, prepare

    prepared = prepare(load_model(export_once(exported, folder, network).path))
    assert [node.name for node in prepared.graph if node.op_type == "BatchNormalization"] == []
