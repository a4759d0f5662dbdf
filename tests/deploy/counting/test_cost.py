"""The cost of whole bundles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from edgewright.deploy.bundle import BundleFolder, read_bundle
from edgewright.deploy.counting import cost as cost_module
from edgewright.deploy.counting.cost import SCHEMA_VERSION, Cost, count_bundle
from edgewright.deploy.counting.counts import CLASSES, Counts, Mark
from edgewright.deploy.transport.transport import Completed
from edgewright.spec.errors import BundleError, ToolError, UsageError
from tests.deploy.fake_compiled import write_fake_bundle

#: What a mark of a step adds, at most: two readings of the clock and the call of the hook.
MARK_INSTRUCTIONS = 150


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> BundleFolder:
    """LeNet-5 for cortex-a72, the whole way."""
    from edgewright import api
    from edgewright.models.export import export

    folder = tmp_path_factory.mktemp("lenet")
    export("lenet5", folder / "lenet5.onnx")
    api.compile(folder / "lenet5.onnx", "cortex-a72", output=folder / "bundle")
    return read_bundle(folder / "bundle")


@pytest.fixture(scope="module")
def lenet_cost(lenet: BundleFolder) -> Cost:
    return count_bundle(lenet, layers=True)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> BundleFolder:
    """Three steps written by hand, for a core without SIMD."""
    return write_fake_bundle(tmp_path_factory.mktemp("fake") / "bundle", "arm1176")


def test_every_run_counts_the_same(lenet: BundleFolder, lenet_cost: Cost) -> None:
    for again in (count_bundle(lenet), count_bundle(lenet, inferences=3)):
        for name in ("total", *CLASSES):
            expected = getattr(lenet_cost.counts, name)
            assert getattr(again.counts, name) == pytest.approx(expected, rel=0.002, abs=2), name


def test_the_layers_sum_up_to_the_total(lenet_cost: Cost) -> None:
    layers = sum(layer.counts.total for layer in lenet_cost.layers)
    whole = layers + lenet_cost.outside_layers.total
    assert whole == pytest.approx(lenet_cost.counts.total, rel=0.01)
    extra = whole - lenet_cost.counts.total
    assert 0 < extra < MARK_INSTRUCTIONS * len(lenet_cost.layers)
    assert sum(layer.counts.simd_mac for layer in lenet_cost.layers) == lenet_cost.counts.simd_mac


def test_the_multiply_accumulates_are_those_of_the_model(
    lenet: BundleFolder, lenet_cost: Cost
) -> None:
    assert lenet_cost.macs == sum(layer.macs for layer in lenet.manifest.layers)
    assert [layer.name for layer in lenet_cost.layers] == [
        layer.name for layer in lenet.manifest.layers
    ]
    for layer in lenet_cost.layers:
        if "conv2d_direct" in layer.kernel:
            # Padded lanes and edges may add some, and tanh, fused behind a convolution of few
            # channels, is a polynomial; only the padding of the border may take away.
            most = 2.2 if "tanh" in layer.kernel else 1.6
            assert 0.8 * layer.macs < layer.counts.mac_lanes < most * layer.macs, layer.name


def test_another_core_of_the_architecture_executes_the_same(
    lenet: BundleFolder, lenet_cost: Cost
) -> None:
    other = count_bundle(lenet, cpu="cortex-a53")
    assert other.cpu == "cortex-a53" and lenet_cost.cpu == "cortex-a72"
    assert other.counts.total == pytest.approx(lenet_cost.counts.total, rel=0.002)


def test_the_json_holds_everything(lenet_cost: Cost) -> None:
    row = json.loads(json.dumps(lenet_cost.to_dict()))
    assert row["schema_version"] == SCHEMA_VERSION
    assert set(row) == {"schema_version", *(f.name for f in dataclasses.fields(Cost))}
    assert row["counts"]["total"] == sum(row["counts"][name] for name in CLASSES)
    assert len(row["layers"]) == len(lenet_cost.layers)
    for layer in row["layers"]:
        assert set(layer) == {"name", "op", "kernel", "macs", "counts"}
        assert layer["counts"]["total"] == sum(layer["counts"][name] for name in CLASSES)
    assert not any("latency" in key or "ms" in key.split("_") for key in row)


def test_the_command_line_shows_both_tables(lenet: BundleFolder) -> None:
    result = CliRunner().invoke(application(), ["cost", str(lenet.path), "--layers"])
    assert result.exit_code == 0, result.output
    assert "SIMD multiply-accumulate" in result.stdout
    for layer in lenet.manifest.layers:
        assert layer.name[:30] in result.stdout


def test_the_command_line_writes_json(fake: BundleFolder) -> None:
    result = CliRunner().invoke(application(), ["cost", str(fake.path), "--json"])
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    assert row["cpu"] == "arm1176" and row["counts"]["total"] > 0 and row["layers"] == []


def application() -> object:
    """The program with this verb only."""
    import typer

    from edgewright.cli.cost import register

    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    register(app)
    return app


def test_a_core_without_simd_is_counted(fake: BundleFolder) -> None:
    told: list[tuple[str, float]] = []
    cost = count_bundle(fake, layers=True, progress=lambda *told_of: told.append(told_of))
    assert cost.counts.simd_mac == 0 and cost.counts.unknown == 0
    assert [layer.name for layer in cost.layers] == ["double", "add", "count"]
    doubled, added, counted = (layer.counts for layer in cost.layers)
    # 74 floats are read; the third step works on five integers in core registers.
    assert doubled.bytes_loaded >= 4 * 74 and added.float_other >= 74
    assert counted.scalar_other + counted.scalar_load + counted.scalar_store >= 10
    assert told[-1] == ("count", 1.0)
    assert all(stage == "count" and 0 <= fraction <= 1 for stage, fraction in told)


def test_a_core_of_another_architecture_is_refused(fake: BundleFolder) -> None:
    with pytest.raises(UsageError, match=r"'cortex-a72' was asked for.*arm1176 \(arm\).*cortex-a7"):
        count_bundle(fake, cpu="cortex-a72")


def test_a_number_of_inferences_out_of_range_is_refused(fake: BundleFolder) -> None:
    with pytest.raises(UsageError, match="0 inferences"):
        count_bundle(fake, inferences=0)


def test_a_bundle_for_x86_is_refused(fake: BundleFolder) -> None:
    target = dataclasses.replace(fake.manifest.target, mtriple="x86_64-linux-gnu", name="host")
    manifest = dataclasses.replace(fake.manifest, target=target)
    with pytest.raises(UsageError, match=r"host \(x86_64\).*--target cortex-a72"):
        count_bundle(dataclasses.replace(fake, manifest=manifest))


class StubEmulator:
    """Ends as it is told to."""

    done = Completed(0, "", "")
    marks: tuple[Mark, ...] = ()

    def __init__(self, arch: str, cpu: str) -> None:
        pass

    def run(self, *_: object, **__: object) -> tuple[Completed, tuple[Mark, ...]]:
        return self.done, self.marks

    def version(self) -> str:
        return "stub 1"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StubEmulator]]:
    monkeypatch.setattr(cost_module, "CountingEmulator", StubEmulator)
    yield StubEmulator
    StubEmulator.done, StubEmulator.marks = Completed(0, "", ""), ()


def test_an_older_bundle_is_told_to_be_compiled_again(
    fake: BundleFolder, stub: type[StubEmulator]
) -> None:
    stub.done = Completed(2, "", "error: unknown argument '--count'.\nusage: ...")
    with pytest.raises(BundleError, match="cannot count.*Compile the model again"):
        count_bundle(fake)


def test_an_illegal_instruction_points_at_the_core(
    fake: BundleFolder, stub: type[StubEmulator]
) -> None:
    stub.done = Completed(-4, "", "")
    with pytest.raises(ToolError, match=r"emulated arm1176 \(killed by SIGILL\).*--cpu"):
        count_bundle(fake)


@pytest.mark.parametrize(
    ("points", "expected"),
    [([0xFFFF, 0xFFFE], "2 marks, not 4"), ([0xFFFF, 0xFFFE, 0xFFFE, 0xFFFF], "another order")],
)
def test_marks_that_do_not_fit_are_refused(
    fake: BundleFolder, stub: type[StubEmulator], points: list[int], expected: str
) -> None:
    stub.marks = tuple(Mark(point, Counts()) for point in points)
    with pytest.raises(ToolError, match=expected):
        count_bundle(fake)


def test_steps_out_of_order_are_refused(fake: BundleFolder, stub: type[StubEmulator]) -> None:
    points = [0xFFFF, 0xFFFE] * 2 + [0xFFFF, 0, 2, 1, 0xFFFE]
    stub.marks = tuple(Mark(point, Counts()) for point in points)
    with pytest.raises(ToolError, match="another order"):
        count_bundle(fake, layers=True)
