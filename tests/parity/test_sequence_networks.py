"""Sequence networks give the same tokens on the host and for a Raspberry Pi 4 as the references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import edgewright
from edgewright.models.export import export
from edgewright.models.registry import build, find_model, list_models

#: Of the largest value of an output that is no token.
TOLERANCE = 1e-4
NETWORKS = ("attention_translation", "dcnn", "pointer_network")

Feeds = dict[str, np.ndarray]


def test_every_sequence_network_is_compared() -> None:
    sequences = {
        entry.name
        for entry in list_models("network")
        if not (len(entry.inputs) == 1 and len(entry.inputs[0].shape) == 4)
    }
    assert sequences == {*NETWORKS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sequence_networks")


def sentences(name: str) -> list[Feeds]:
    """Inputs of all lengths, those of 0 and of the whole extent among them."""
    made = []
    for seed in range(6):
        random = np.random.default_rng(seed)
        feeds: Feeds = {}
        for value in find_model(name).inputs:
            if value.dtype == "float32":
                feeds[value.name] = random.standard_normal(value.shape, dtype=np.float32)
            elif value.name.startswith("length"):
                longest = value.below - 1
                feeds[value.name] = np.array([(0, 1, longest)[seed] if seed < 3 else longest // 2])
            else:
                feeds[value.name] = random.integers(value.low, value.below, value.shape)
        made.append(feeds)
    return made


def agree(actual: Feeds, expected: Feeds) -> None:
    for name, reference in expected.items():
        assert actual[name].shape == reference.shape and actual[name].dtype == reference.dtype
        if reference.dtype.kind != "f":
            assert np.array_equal(actual[name], reference), name
            continue
        error = np.abs(actual[name].astype(np.float64) - reference).max()
        assert error <= TOLERANCE * np.abs(reference).max(), name


@pytest.mark.parametrize("target", ["host", "rpi4"])
@pytest.mark.parametrize("name", NETWORKS)
def test_same_tokens(name: str, target: str, folder: Path) -> None:
    path = folder / f"{name}.onnx"
    export(name, path)
    network, outputs = build(name), find_model(name).outputs
    bundle = edgewright.compile(path, target)
    on = "host" if target == "host" else "qemu"
    golden = bundle.golden()
    agree(bundle.run(golden.inputs, on=on), dict(golden.outputs))
    distinct = set()
    for feeds in sentences(name):
        with torch.no_grad():
            answer = network(*(torch.from_numpy(value) for value in feeds.values()))
        answers = answer if isinstance(answer, tuple) else (answer,)
        by_torch = {key: value.numpy() for key, value in zip(outputs, answers, strict=True)}
        agree(bundle.run(feeds, on=on), by_torch)
        distinct.add(by_torch[outputs[0]].tobytes())
    assert len(distinct) > 3, "the answers depend on the input"
