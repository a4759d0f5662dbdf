"""The whole way through the Python API, on a small network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import edgewright
from tests.edgewright.small_network import save_network

IMAGE = np.random.default_rng(5).standard_normal((1, 3, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("model") / "small.onnx")


@pytest.fixture(scope="module")
def bundle(model: Path) -> edgewright.Bundle:
    return edgewright.compile(model)


def test_the_host_computes_what_onnxruntime_does(bundle: edgewright.Bundle, model: Path) -> None:
    outputs = bundle.run({"image": IMAGE})
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"image": IMAGE})
    np.testing.assert_allclose(outputs["scores"], expected, atol=1e-5)
    verification = bundle.verify(model, threads=2, seed=9)
    assert verification.passed
    assert [case.name for case in verification.cases] == ["golden", "seed 9"]
    assert 0 <= verification.worst_of_largest < 1e-5
    verification.check()


def test_given_inputs_can_be_verified(bundle: edgewright.Bundle, model: Path) -> None:
    verification = bundle.verify(model, inputs={"image": IMAGE})
    assert [case.name for case in verification.cases] == ["golden", "given"]
    assert verification.passed
    with pytest.raises(edgewright.UsageError, match="inputs were given without the model"):
        bundle.verify(inputs={"image": IMAGE})


def test_a_verification_that_fails_says_where(bundle: edgewright.Bundle, model: Path) -> None:
    verification = bundle.verify(model, atol=0, rtol=0)
    assert not verification.passed
    with pytest.raises(edgewright.VerificationError, match="'scores' differs from onnxruntime"):
        verification.check()


def test_the_way_is_timed_by_stage(bundle: edgewright.Bundle) -> None:
    stages = list(bundle.stage_seconds)
    assert stages[:2] == ["load", "prepare"]
    assert stages[-2:] == ["reference", "link"]
    assert all(seconds >= 0 for seconds in bundle.stage_seconds.values())


def test_the_manifest_covers_every_node(bundle: edgewright.Bundle) -> None:
    nodes = [node for layer in bundle.manifest.layers for node in layer.nodes]
    assert {"conv1", "conv2"} <= set(nodes)
    assert sum(layer.macs for layer in bundle.manifest.layers) >= 8 * 27 * 256 + 12 * 8 * 256


def test_a_temporary_bundle_goes_with_its_object_and_a_saved_one_stays(
    model: Path, tmp_path: Path
) -> None:
    bundle = edgewright.compile(model)
    path = bundle.path
    saved = bundle.save(tmp_path / "kept" / "bundle")
    with pytest.raises(edgewright.OutputError, match="is not empty"):
        bundle.save(saved.path)
    bundle.save(saved.path, force=True)
    del bundle
    assert not path.exists()
    loaded = edgewright.load(saved.path)
    assert loaded.manifest == saved.manifest
    assert loaded.verify().passed


def test_the_same_model_gives_the_same_bytes(
    bundle: edgewright.Bundle, model: Path, tmp_path: Path
) -> None:
    """In another process, folder and hash order, from another folder."""
    code = "import sys, edgewright; edgewright.compile(sys.argv[1], output=sys.argv[2])"
    (tmp_path / "other").mkdir()
    subprocess.run(
        [sys.executable, "-c", code, str(model), str(tmp_path / "other" / "bundle")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"},
        check=True,
    )
    for path in sorted(bundle.path.rglob("*")):
        twin = tmp_path / "other" / "bundle" / path.relative_to(bundle.path)
        assert path.is_dir() or path.read_bytes() == twin.read_bytes(), path.name


def test_embedded_weights_compute_the_same(bundle: edgewright.Bundle, model: Path) -> None:
    embedded = edgewright.compile(model, weights="embed")
    assert not (embedded.path / "weights.bin").exists()
    np.testing.assert_array_equal(
        embedded.run({"image": IMAGE})["scores"], bundle.run({"image": IMAGE})["scores"]
    )


def test_a_mapping_is_a_target(model: Path) -> None:
    bundle = edgewright.compile(
        model, {"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a53"}, name="small_a53"
    )
    assert bundle.manifest.board == "cortex-a53"
    assert bundle.verify(on="qemu").passed


def test_symbolic_dimensions_are_bound(tmp_path: Path) -> None:
    model = save_network(tmp_path / "symbolic.onnx", batch="N")
    bundle = edgewright.compile(model, input_shapes={"image": (2, 3, 16, 16)})
    assert bundle.manifest.inputs[0].shape == (2, 3, 16, 16)
    assert bundle.verify(model).passed


def test_progress_is_told(model: Path) -> None:
    seen: list[tuple[str, float]] = []
    edgewright.compile(model, progress=lambda stage, fraction: seen.append((stage, fraction)))
    assert ("load", 0.0) in seen
    assert ("link", 1.0) in seen
    assert all(0 <= fraction <= 1 for _, fraction in seen)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"weights": "cloud"}, edgewright.UsageError, "weights is 'cloud'. It is file or embed"),
        ({"toolchain": "msvc"}, edgewright.UsageError, "toolchain is 'msvc'"),
        ({"name": "9lives"}, edgewright.UsageError, "the name '9lives' cannot be used"),
        ({"target": "rpi44"}, edgewright.TargetError, "unknown target 'rpi44'"),
        ({"conv_algorithm": "magic"}, edgewright.UsageError, "magic"),
    ],
)
def test_arguments_that_are_wrong_are_named(
    model: Path, arguments: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        edgewright.compile(model, **arguments)
    assert message in str(caught.value)


def test_an_unusable_output_is_found_before_the_work(
    model: Path, tmp_path: Path, tree_of: Callable[[Path], set[str]]
) -> None:
    stages: list[str] = []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    for output in (tmp_path / "full", tmp_path / "full" / "file" / "below"):
        for force in (False, True):
            with pytest.raises(edgewright.OutputError):
                edgewright.compile(
                    model, output=output, force=force, progress=lambda s, f: stages.append(s)
                )
    assert stages == []
    assert tree_of(tmp_path) == {"full", "full/file"}


def test_inspecting_says_what_compiling_would_meet(model: Path, tmp_path: Path) -> None:
    inspection = edgewright.inspect(model, "rpi0")
    assert inspection.analysis.macs >= 8 * 27 * 256 + 12 * 8 * 256
    assert inspection.refusals == ()
    assert inspection.memory_note.endswith("MiB of rpi0")
    refused = edgewright.inspect(save_network(tmp_path / "refused.onnx", head="LRN", size=2))
    assert [refusal.operator for refusal in refused.refusals] == ["LRN"]
    assert refused.to_dict()["compiles"] is False
