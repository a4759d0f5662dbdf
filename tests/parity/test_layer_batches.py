"""Layers in which the images of a batch could get mixed up, on batches of three."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import edgewright
from edgewright.models.export import export
from edgewright.models.registry import build

#: Of the largest value of the output.
TOLERANCE = 1e-4
BATCH = 3


@pytest.mark.parametrize(
    "name",
    [
        "channel_wise_convolution",
        "conditional_convolution",
        "deformable_convolution",
        "dynamic_convolution",
        "dynamic_k_max_pooling",
        "dynet_convolution",
        "max_unpooling",
        "overlapping_max_unpooling",
        "sort_pooling",
        "switchable_normalization",
    ],
)
def test_parity_of_a_batch(name: str, tmp_path: Path) -> None:
    export(name, tmp_path / "layer.onnx", batch=BATCH)
    bundle = edgewright.compile(tmp_path / "layer.onnx", "host")
    golden = bundle.golden()
    actual = bundle.run(golden.inputs, on="host")
    layer = build(name)
    for n in range(BATCH):
        # Image by image, so that nothing of its neighbours can have helped.
        alone = [torch.from_numpy(np.array(value[n : n + 1])) for value in golden.inputs.values()]
        with torch.no_grad():
            answer = layer(*alone)
        answers = answer if isinstance(answer, tuple) else (answer,)
        for (key, expected), by_torch in zip(golden.outputs.items(), answers, strict=True):
            assert actual[key].shape == expected.shape
            for reference in (expected[n : n + 1], by_torch.numpy()):
                error = np.abs(actual[key][n : n + 1].astype(np.float64) - reference).max()
                assert error <= TOLERANCE * np.abs(reference).max(), key
