"""Counts of whole networks, layer by layer, against PyTorch's counter; and how they are shown."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

import edgewright
from edgewright.cli.app import build_app
from edgewright.compiler.analysis import ModelAnalysis
from edgewright.models.export import export
from edgewright.models.registry import find_model

#: Standard, grouped, depthwise and strided convolutions, dense layers; concatenated and residual.
NAMES = ("googlenet", "lenet5", "mobilenet_v1", "shufflenet_v2")


@pytest.fixture(scope="module")
def analyses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelAnalysis]:
    """What is found in the exported networks."""
    folder = tmp_path_factory.mktemp("counts")
    for name in NAMES:
        export(name, folder / f"{name}.onnx")
    return {name: edgewright.inspect(folder / f"{name}.onnx").analysis for name in NAMES}


def counted(name: str) -> dict[str, tuple[int, int]]:
    """Multiply-accumulates and parameters of each layer with weights, by PyTorch, by its name."""
    entry = find_model(name)
    with torch.device("meta"):
        builder: Any = importlib.import_module(entry.builder.partition(":")[0])
        network: nn.Module = builder.build().eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(entry.inputs[0].shape))
    totals = {key: sum(value.values()) // 2 for key, value in counter.get_flop_counts().items()}
    return {
        key: (
            totals[f"{type(network).__name__}.{key}"],
            sum(parameter.numel() for parameter in layer.parameters()),
        )
        for key, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }


def module_name(node: str) -> str:
    """``blocks.0.conv`` of the node ``/blocks/blocks.0/conv/Conv``."""
    names: list[str] = []
    for part in node.split("/")[1:-1]:
        if names and part.startswith(f"{names[-1]}."):
            names.pop()
        names.append(part)
    return ".".join(names)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_counts_what_pytorch_counts(
    name: str, analyses: dict[str, ModelAnalysis]
) -> None:
    analysis = analyses[name]
    assert analysis.macs == find_model(name).macs
    ours = {module_name(n.name): (n.macs, n.parameters) for n in analysis.nodes if n.macs}
    assert ours == counted(name)


def test_mobilenets_pairs_save_what_the_paper_says(analyses: dict[str, ModelAnalysis]) -> None:
    pairs = analyses["mobilenet_v1"].separable
    # Howard et al., 2017, arXiv:1704.04861, table 1 and section 3.1: 13 blocks, 8 to 9 times less.
    outputs = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    assert [pair.reduction for pair in pairs] == [
        pytest.approx(1 / (1 / channels + 1 / 9)) for channels in outputs
    ]


def test_the_table_and_json_hold_every_layer(tmp_path: Path) -> None:
    path = tmp_path / "shown.onnx"
    export("shufflenet_v2", path)
    app = build_app()
    plain = CliRunner().invoke(app, ["inspect", str(path)])
    assert plain.exit_code == 0 and "FLOP/byte" not in plain.stdout
    shown = CliRunner().invoke(app, ["inspect", str(path), "--layers"])
    assert shown.exit_code == 0, shown.stderr
    assert "FLOP/byte" in shown.stdout and "separable: " in shown.stdout
    assert "depthwise: 58 times" in shown.stdout
    report = json.loads(CliRunner().invoke(app, ["inspect", str(path), "--json"]).stdout)
    assert len(report["nodes"]) == sum(report["operators"].values())
    assert {"outputs", "macs", "parameters", "activation_bytes", "intensity", "reduction"} <= set(
        report["nodes"][0]
    )
    assert report["separable"][0]["reduction"] > 1
