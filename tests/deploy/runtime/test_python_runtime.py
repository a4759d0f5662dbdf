"""edgewright_runtime.py: the stand-alone Python module that a bundle ships."""

from __future__ import annotations

import ast
import json
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgewright.deploy.runtime import edgewright_runtime as runtime
from tests.deploy.runtime.conftest import HERE, LIBRARY, RUNTIME, fake_weights, gcc


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "lib").mkdir()
    gcc("-shared", "-fPIC", HERE / "fake_model.c", *(RUNTIME / name for name in LIBRARY),
        "-pthread", "-o", folder / "lib" / "libfake.so")  # fmt: skip
    (folder / "weights.bin").write_bytes(fake_weights().tobytes())
    library = {"file": "lib/libfake.so", "symbol": "fake_program"}
    (folder / "manifest.json").write_text(
        json.dumps({"library": library, "target": {"num_cores": 4}})
    )
    return folder


def feed(seed: float = 0) -> dict[str, np.ndarray]:
    x = np.linspace(seed, seed + 1, 74, dtype=np.float32).reshape(2, 37)
    return {"x": x, "bias": np.arange(5, dtype=np.int32)}


def check(inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> None:
    assert list(outputs) == ["y", "z"]
    np.testing.assert_array_equal(outputs["y"], 2 * inputs["x"] + fake_weights().reshape(2, 37))
    np.testing.assert_array_equal(outputs["z"], inputs["bias"] + 1)
    assert outputs["y"].dtype == np.float32 and outputs["z"].dtype == np.int32


@pytest.mark.parametrize("threads", [None, 0, 1, 3])
def test_infer(bundle: Path, threads: int | None) -> None:
    with runtime.Model(bundle, threads=threads) as model:
        for seed in range(3):
            check(feed(seed), model.infer(feed(seed)))
        assert model.threads >= 1 and threads in (None, 0, model.threads)


def test_description(bundle: Path) -> None:
    with runtime.Model(str(bundle)) as model:
        assert [str(t) for t in model.inputs] == ["'x' float32[2, 37]", "'bias' int32[5]"]
        assert [t.name for t in model.outputs] == ["y", "z"]
        assert model.steps[0] == ("double", "f32_double")


def test_arrays_need_not_be_contiguous_or_aligned(bundle: Path) -> None:
    inputs = feed()
    wide = np.zeros((2, 74), dtype=np.float32)
    wide[:, ::2] = inputs["x"]
    raw = np.zeros(4 * 5 + 1, dtype=np.uint8)
    unaligned = raw[1:].view(np.int32)
    unaligned[:] = inputs["bias"]
    with runtime.Model(bundle) as model:
        check(inputs, model.infer({"x": wide[:, ::2], "bias": unaligned}))


def test_profile(bundle: Path) -> None:
    with runtime.Model(bundle) as model:
        steps = model.profile(feed())
        assert [kernel for _, kernel, _ in steps] == ["f32_double", "f32_add", "i32_increment"]
        assert all(0 < seconds < 1 for _, _, seconds in steps)
        check(feed(), model.infer(feed()))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"bias": None}, "the input 'bias' is missing"),
        ({"image": np.zeros(1)}, "no input 'image'. Its inputs are 'x' float32"),
        ({"x": np.zeros((2, 37))}, r"dtype float64. Convert it with .astype\('float32'\)"),
        ({"x": np.zeros((37, 2), np.float32)}, r"given with shape \[37, 2\]"),
        ({"bias": np.zeros(5, ">i4")}, "was given with dtype >i4"),
    ],
)
def test_wrong_input(bundle: Path, changes: dict[str, np.ndarray | None], part: str) -> None:
    inputs = {k: v for k, v in {**feed(), **changes}.items() if v is not None}
    with runtime.Model(bundle) as model, pytest.raises(runtime.InputError, match=part):
        model.infer(inputs)


def test_failing_kernel_is_reported(bundle: Path) -> None:
    inputs = feed()
    inputs["x"][0, 0] = -1000
    with runtime.Model(bundle) as model:
        with pytest.raises(runtime.RuntimeFailure, match="EW_KERNEL_FAILED: step 0 'double'"):
            model.infer(inputs)
        check(feed(), model.infer(feed()))


def test_bound_arrays_are_read_and_written_in_place(bundle: Path) -> None:
    inputs = feed()
    with runtime.Model(bundle) as model:
        run, outputs = model.bind(inputs)
        for seed in (0, 5):
            inputs["x"][...] = feed(seed)["x"]
            run()
            check(inputs, outputs)
    with pytest.raises(runtime.RuntimeFailure, match="closed"):
        run()


def test_a_closed_model_is_unloaded(bundle: Path) -> None:
    library = str(bundle / "lib" / "libfake.so")

    def mapped() -> bool:
        return library in Path("/proc/self/maps").read_text()

    first, second = runtime.Model(bundle), runtime.Model(bundle)
    first.close()
    check(feed(), second.infer(feed()))
    assert mapped()
    second.close()
    assert not mapped()


def test_closed_model_refuses(bundle: Path) -> None:
    model = runtime.Model(bundle)
    model.close()
    model.close()
    with pytest.raises(runtime.RuntimeFailure, match="closed"):
        model.infer(feed())


def test_models_in_several_threads(bundle: Path) -> None:
    problems: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            with runtime.Model(bundle, threads=2) as model:
                for _ in range(30):
                    check(feed(seed), model.infer(feed(seed)))
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


@pytest.mark.parametrize(
    ("manifest", "part"),
    [
        (None, "cannot be read .No such file"),
        ("{", "not an Edgewright manifest"),
        ("[]", "not an Edgewright manifest"),
        ('{"library": {"file": 3}}', "library.file is not a text"),
        ('{"library": {"file": "gone.so", "symbol": "a_program"}}', "gone.so' cannot be loaded"),
    ],
)
def test_broken_bundle(tmp_path: Path, manifest: str | None, part: str) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(runtime.RuntimeFailure, match=part):
        runtime.Model(tmp_path)


def test_missing_weights(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").symlink_to(bundle / "lib")
    (tmp_path / "manifest.json").write_text((bundle / "manifest.json").read_text())
    with pytest.raises(runtime.RuntimeFailure, match=r"EW_WEIGHTS_MISSING.*weights.bin"):
        runtime.Model(tmp_path)


def test_module_stands_alone() -> None:
    """It imports numpy and the standard library, and is Python 3.8."""
    tree = ast.parse(Path(str(runtime.__file__)).read_text(), feature_version=(3, 8))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    assert isinstance(runtime, ModuleType)
    assert names - set(sys.stdlib_module_names) == {"numpy"}
