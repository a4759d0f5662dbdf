"""Trained networks: held-out digits are recognised alike before and after compiling."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import edgewright
from edgewright.models.export import export_module
from edgewright.models.train.prune import prune_groups
from tests.trained_digits import NAMES, digits, sparse_network, trained_network

#: The held-out digits are seven of these: emulation is slow, and starts anew for each.
BATCH = 64
#: Of the largest score.
TOLERANCE = 1e-4


def compiled(network: nn.Sequential, target: str) -> edgewright.Bundle:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.onnx"
        export_module(network, torch.zeros(BATCH, 1, 8, 8), path)
        return edgewright.compile(path, target)


@functools.cache
def whole(name: str, target: str) -> edgewright.Bundle:
    """The trained network with all of its channels."""
    return compiled(trained_network(name), target)


def check(bundle: edgewright.Bundle, target: str, network: nn.Sequential) -> None:
    """Torch's answers sample by sample, torch's scores, and an accuracy that was worth training."""
    with torch.no_grad():
        expected = network(digits().held_out_images)
    on = "host" if target == "host" else "qemu"
    batches = digits().held_out_images.split(BATCH)
    results = [bundle.run({"input": batch.numpy()}, on=on)["logits"] for batch in batches]
    actual = torch.from_numpy(np.concatenate(results))
    assert torch.equal(actual.argmax(1), expected.argmax(1))
    assert float((actual - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())
    assert float((actual.argmax(1) == digits().held_out_labels).double().mean()) > 0.95


@pytest.mark.parametrize("target", ["host", "rpi4"])
@pytest.mark.parametrize("name", NAMES)
def test_held_out_digits_are_recognised_as_by_torch(name: str, target: str) -> None:
    check(whole(name, target), target, trained_network(name))


@pytest.mark.parametrize("target", ["host", "rpi4"])
@pytest.mark.parametrize("name", NAMES)
def test_pruned_groups_are_smaller_kernels(name: str, target: str) -> None:
    network = sparse_network(name)
    pruned = prune_groups(network)
    with torch.no_grad():
        images = digits().held_out_images
        assert torch.equal(pruned(images).argmax(1), network(images).argmax(1))
    bundle, before = compiled(pruned, target), whole(name, target).manifest
    macs = [sum(layer.macs for layer in found.layers) for found in (bundle.manifest, before)]
    assert 0 < macs[0] < 0.8 * macs[1]
    assert bundle.manifest.memory.weights_bytes < 0.8 * before.memory.weights_bytes
    check(bundle, target, pruned)
