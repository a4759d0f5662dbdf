"""Benchmarks of the fake bundle on this machine, directly and over ssh."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import onnx
import pytest

from edgewright.deploy.bench_bundle import bench_bundle
from edgewright.deploy.benchmark import Benchmark
from edgewright.deploy.bundle import BundleFolder, read_bundle
from edgewright.deploy.deploy import deploy_bundle
from edgewright.deploy.runner import open_runner
from edgewright.deploy.transport.open_machine import open_machine
from edgewright.spec.errors import BoardError, UsageError
from edgewright.spec.json_schema import json_schema
from tests.deploy.fake_compiled import fake_model, write_fake_bundle
from tests.deploy.transport.loopback_sshd import LoopbackSshd


@pytest.fixture
def bundle(host_bundle: Path) -> BundleFolder:
    return read_bundle(host_bundle)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "fake.onnx"
    onnx.save(fake_model(), path)
    return path


@pytest.mark.parametrize("where", ["host", "ssh"])
def test_everything_that_a_latency_means_nothing_without(
    bundle: BundleFolder, where: str, request: pytest.FixtureRequest
) -> None:
    on = "host" if where == "host" else request.getfixturevalue("sshd").address
    done = bench_bundle(bundle, on=on, threads=(1, 2), repeats=50, profile=True)
    assert (done.on, done.model, done.target) == (on, "fake", bundle.manifest.board)
    for timing, threads in zip(done.timings, (1, 2), strict=True):
        assert (timing.threads, timing.repeats) == (threads, 50)
        assert 0 < timing.min_ms <= timing.median_ms <= timing.p90_ms <= timing.max_ms
        assert timing.load_ms and timing.first_run_ms and timing.peak_memory_bytes
    assert [layer.name for layer in done.layers] == [row.name for row in bundle.manifest.layers]
    assert done.peak_gflops and done.peak_gflops > 0.1 and done.profile_cost_ms is not None
    assert [state.when for state in done.states if state.when != "during"] == [
        "before",
        "after",
    ] * 2
    assert done.conditions.cores >= 1 and done.conditions.cpu != "unknown"
    jsonschema.validate(json.loads(json.dumps(done.to_dict())), json_schema(Benchmark))


def test_the_schema_refuses_another_shape(bundle: BundleFolder) -> None:
    raw = json.loads(json.dumps(bench_bundle(bundle, repeats=5).to_dict()))
    raw["timings"][0]["median_ms"] = "fast"
    with pytest.raises(jsonschema.ValidationError, match="'fast' is not of type 'number'"):
        jsonschema.validate(raw, json_schema(Benchmark))


def test_a_sweep_recommends(bundle: BundleFolder) -> None:
    done = bench_bundle(bundle, sweep=True, repeats=20)
    assert done.recommendation.startswith("Use ")
    assert [timing.cpus for timing in done.timings if timing.cpus]


@pytest.mark.parametrize("where", ["host", "ssh"])
def test_onnxruntime_takes_turns(
    bundle: BundleFolder, model: Path, where: str, request: pytest.FixtureRequest
) -> None:
    on = "host" if where == "host" else request.getfixturevalue("sshd").address
    done = bench_bundle(bundle, on=on, versus="onnxruntime", model=model, repeats=30, profile=True)
    assert [timing.engine.split()[0] for timing in done.timings] == ["edgewright", "onnxruntime"]
    assert done.ratio(1) and done.layers


def test_a_board_without_onnxruntime_is_named(
    bundle: BundleFolder, model: Path, sshd: LoopbackSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgewright.deploy.bench_bundle._VERSUS", _without_packages(model.parent))
    with pytest.raises(BoardError, match="cannot run onnxruntime .*No module named") as caught:
        bench_bundle(bundle, on=sshd.address, versus="onnxruntime", model=model)
    assert "pip install onnxruntime" in caught.value.remedy


def _without_packages(folder: Path) -> Path:
    """A comparison whose Python has no onnxruntime."""
    path = folder / "bench_versus.py"
    path.write_text("import sys\nprint('No module named x', file=sys.stderr)\nsys.exit(4)\n")
    return path


def test_what_was_deployed_is_measured_where_it_is(
    bundle: BundleFolder, tmp_path: Path, sshd: LoopbackSshd
) -> None:
    place = tmp_path / "net"
    with open_machine(sshd.address) as machine:
        deploy_bundle(bundle, machine, str(place))
    assert bench_bundle(bundle, on=f"{sshd.address}{place}", repeats=5).timings
    other = write_fake_bundle(tmp_path / "other", "host", embed_weights=True)
    with pytest.raises(BoardError, match="is not the one in"):
        bench_bundle(other, on=f"{sshd.address}{place}", repeats=5)
    with pytest.raises(BoardError, match="there is no bundle at"):
        bench_bundle(bundle, on=f"{sshd.address}{place}-not", repeats=5)


def test_a_board_computes_the_golden_outputs(bundle: BundleFolder, sshd: LoopbackSshd) -> None:
    golden = bundle.golden()
    with open_runner(bundle, sshd.address, threads=2) as runner:
        assert runner.name == f"{sshd.address}, 2 threads"
        outputs = runner.infer(golden.inputs)
    for name, expected in golden.outputs.items():
        assert abs(outputs[name] - expected).max() < 1e-6


def test_a_bench_that_fails_is_reported(bundle: BundleFolder, tmp_path: Path) -> None:
    broken = write_fake_bundle(tmp_path / "out", "host")
    (broken.path / "weights.bin").write_bytes(b"")
    with pytest.raises(BoardError, match="the bundle's bench failed on host"):
        bench_bundle(broken, repeats=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on": "qemu"}, "a benchmark on 'qemu' was asked for"),
        ({"threads": ()}, "numbers of threads"),
        ({"threads": (0,)}, "numbers of threads"),
        ({"repeats": 0}, "0 repeats"),
        ({"versus": "abacus"}, "unknown engine 'abacus'"),
        ({"versus": "onnxruntime"}, "without the model"),
        ({"versus": "onnxruntime", "sweep": True}, "together with another engine"),
        ({"on": "ssh://a b"}, "cannot be read"),
    ],
)
def test_bad_use(bundle: BundleFolder, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bench_bundle(bundle, **arguments)  # type: ignore[arg-type]


def test_another_architecture_is_refused(rpi4_bundle: Path) -> None:
    folder = read_bundle(rpi4_bundle)
    manifest = dataclasses.replace(
        folder.manifest, target=dataclasses.replace(folder.manifest.target, mtriple="riscv64-linux")
    )
    with pytest.raises(Exception, match="riscv64"):
        bench_bundle(BundleFolder(folder.path, manifest))
