"""``edgewright verify --data`` on a network that learned digits, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

import edgewright
from edgewright.cli.app import build_app
from edgewright.models.export import export_module
from edgewright.models.train.fit import predict
from edgewright.spec.errors import DatasetError
from tests.models.datasets.writers import make_images, write_mnist
from tests.trained_digits import digits, trained_network

Verify = Callable[..., Result]
BATCH = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as ``digits.onnx`` and as a bundle, and held-out digits in MNIST's format."""
    folder = tmp_path_factory.mktemp("digits")
    model = folder / "digits.onnx"
    export_module(trained_network("plain"), torch.zeros(BATCH, 1, 8, 8), model)
    edgewright.compile(model, "host", output=folder / "bundle")
    pixels = (digits().held_out_images[:, 0] * 255).round().to(torch.uint8).numpy()
    write_mnist(folder / "samples", pixels, digits().held_out_labels.numpy(), suffix=".gz")
    return folder


@pytest.fixture
def verify(folder: Path) -> Verify:
    def run(*arguments: object) -> Result:
        given = [str(argument) for argument in arguments]
        return CliRunner().invoke(build_app(), ["verify", str(folder / "bundle"), *given])

    return run


def options(folder: Path) -> tuple[object, ...]:
    return "--model", folder / "digits.onnx", "--data", folder / "samples"


def test_held_out_digits_are_recognised_by_both(folder: Path, verify: Verify) -> None:
    result = verify(*options(folder), "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    found = report["data"]
    pixels = (digits().held_out_images * 255).round() / 255
    right = int((predict(trained_network("plain"), pixels) == digits().held_out_labels).sum())
    assert found["samples"] == 448 and found["accuracy"] == right / 448 > 0.95
    assert found["reference_accuracy"] == found["accuracy"] and found["agreement"] == 1
    assert found["disagreements"] == [] and found["failed_samples"] == 0
    assert report["passed"] is True and len(report["cases"]) == 2


def test_the_table_shows_accuracy_agreement_and_parity(folder: Path, verify: Verify) -> None:
    result = verify(*options(folder), "--samples", 100, "--format", "mnist")
    assert result.exit_code == 0, result.stderr
    assert "100 labelled samples on host, 1 thread" in result.stdout
    assert "accuracy of the bundle" in result.stdout and "accuracy of onnxruntime" in result.stdout
    assert "100.00%" in result.stdout and "largest error of 'logits'" in result.stdout
    everything = verify(*options(folder), "--samples", 0)
    assert "448 labelled samples" in everything.stdout


def test_numbers_beyond_the_tolerance_fail_with_status_1(folder: Path, verify: Verify) -> None:
    result = verify(*options(folder), "--atol", 0, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["passed"] is False and report["data"]["passed"] is False
    assert report["data"]["failed_samples"] > 0
    shown = verify(*options(folder), "--atol", 0)
    assert shown.exit_code == 1 and "FAIL: " in shown.stdout


def test_the_samples_alone_can_fail(folder: Path, verify: Verify) -> None:
    # Large inputs make large differences: what the seeded ones pass, these do not.
    seeded = json.loads(verify("--model", folder / "digits.onnx", "--json").stdout)
    atol = 1.5 * max(row["max_abs"] for case in seeded["cases"] for row in case["outputs"])
    result = verify(*options(folder), "--atol", atol, "--std", 1e-4)
    assert result.exit_code == 1
    assert "for labelled samples" in result.stderr and "samples are in such" in result.stderr


def test_other_preprocessing_is_seen_in_the_accuracy(folder: Path) -> None:
    bundle = edgewright.load(folder / "bundle")
    model, samples = folder / "digits.onnx", folder / "samples"
    good = bundle.classify(model, samples, limit=90)
    inverted = bundle.classify(model, samples, limit=90, mean=[1.0])
    assert good.samples == inverted.samples == 90
    assert inverted.accuracy < 0.5 < good.accuracy and inverted.passed


def test_what_does_not_fit_is_one_paragraph(folder: Path, verify: Verify, tmp_path: Path) -> None:
    result = verify("--data", folder / "samples")
    assert result.exit_code == 2 and "were given without the model" in result.stderr
    model = ("--model", folder / "digits.onnx")
    result = verify(*model, "--data", tmp_path / "absent")
    assert result.exit_code == 2 and "nothing is there" in result.stderr
    write_mnist(tmp_path / "large", make_images(2, 28, 28), np.arange(2))
    result = verify(*model, "--data", tmp_path / "large")
    assert result.exit_code == 2 and "The model takes 1x8x8" in result.stderr
    write_mnist(tmp_path / "classes", make_images(2, 8, 8), np.array([3, 40]))
    result = verify(*model, "--data", tmp_path / "classes")
    assert result.exit_code == 2 and "of class 40, and the model has 10" in result.stderr
    for option, message in (
        (("--mean", "a"), "'a' of --mean cannot be read"),
        (("--std", "0"), "the deviation of the pixels is 0.0"),
        (("--format", "coco"), "unknown format of samples, 'coco'"),
        (("--samples", "-1"), "-1 samples were asked for"),
    ):
        result = verify(*options(folder), *option)
        assert result.exit_code == 2 and message in result.stderr, result.stderr
    with pytest.raises(DatasetError):
        edgewright.load(folder / "bundle").classify(folder / "digits.onnx", tmp_path)
