from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgewright.deploy.bundle import is_bundle, read_bundle
from edgewright.spec.errors import BundleError
from tests.deploy.fake_compiled import write_fake_bundle


@pytest.fixture
def bundle(host_bundle: Path, tmp_path: Path) -> Path:
    """A bundle to break."""
    return Path(shutil.copytree(host_bundle, tmp_path / "bundle"))


def test_a_bundle_has_the_layout_of_the_design(host_bundle: Path) -> None:
    files = {p.relative_to(host_bundle).as_posix() for p in host_bundle.rglob("*") if p.is_file()}
    assert files == {
        "manifest.json",
        "lib/libfake.so",
        "lib/libfake.a",
        "include/fake.h",
        "include/edgewright.h",
        "weights.bin",
        "bin/selftest",
        "bin/bench",
        "golden/input0.bin",
        "golden/input1.bin",
        "golden/output0.bin",
        "golden/output1.bin",
        "python/edgewright_runtime.py",
    }
    for program in ("selftest", "bench"):
        assert os.access(host_bundle / "bin" / program, os.X_OK)


def test_the_manifest_tells_what_is_there(host_bundle: Path) -> None:
    manifest = json.loads((host_bundle / "manifest.json").read_text())
    model = host_bundle.parent / "fake.onnx"
    assert manifest["schema_version"] == 1
    assert manifest["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert manifest["inputs"][1] == {"name": "bias", "shape": [5], "dtype": "int32"}
    assert [layer["kernel"] for layer in manifest["layers"]] == ["f32_double", "f32_add", "i32"]
    assert manifest["library"] == {"file": "lib/libfake.so", "symbol": "fake_program"}
    assert manifest["toolchain"]["version"].startswith("zig ")
    for name, entry in manifest["files"].items():
        content = (host_bundle / name).read_bytes()
        assert entry["size_bytes"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, host_bundle: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    again = write_fake_bundle(tmp_path / "elsewhere" / "other-name", "host").path
    for path in sorted(host_bundle.rglob("*")):
        twin = again / path.relative_to(host_bundle)
        assert path.stat().st_mode == twin.stat().st_mode, path.name
        if path.is_file():
            assert path.read_bytes() == twin.read_bytes(), path.name


def test_no_path_of_this_machine_is_in_a_bundle(host_bundle: Path) -> None:
    marks = [str(host_bundle.parent), str(Path(__file__).resolve().parents[2]), str(Path.home())]
    for path in host_bundle.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert [mark for mark in marks if mark.encode() in content] == [], path.name


def test_a_sound_bundle_is_read(host_bundle: Path) -> None:
    folder = read_bundle(host_bundle)
    golden = folder.golden()
    assert list(golden.inputs) == ["x", "bias"]
    np.testing.assert_array_equal(golden.outputs["z"], golden.inputs["bias"] + 1)
    assert folder.library.is_file()
    assert folder.weights == host_bundle / "weights.bin"


def test_embedded_weights_have_no_file(tmp_path: Path) -> None:
    folder = write_fake_bundle(tmp_path / "out", "host", embed_weights=True)
    assert not (tmp_path / "out" / "weights.bin").exists()
    assert folder.weights is None
    assert folder.manifest.weights == "embed"


def test_a_changed_file_is_named(bundle: Path) -> None:
    weights = bundle / "weights.bin"
    content = bytearray(weights.read_bytes())
    content[10] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BundleError, match=r"has a changed file, 'weights\.bin'"):
        read_bundle(bundle)


def test_a_shortened_file_is_named(bundle: Path) -> None:
    os.truncate(bundle / "lib" / "libfake.so", 100)
    with pytest.raises(BundleError, match=r"has a changed file, 'lib/libfake\.so'"):
        read_bundle(bundle)


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / "bin" / "selftest").unlink()
    with pytest.raises(BundleError, match="lacks the file 'bin/selftest'"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["extra.txt", "golden/input9.bin", "new/deep/file"])
def test_an_extra_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_text("x")
    with pytest.raises(BundleError, match=f"has a file that is not its own, '{name}'"):
        read_bundle(bundle)


def test_an_extra_folder_behind_a_link_is_named(bundle: Path, tmp_path: Path) -> None:
    (bundle / "link").symlink_to(tmp_path)
    with pytest.raises(BundleError, match="not its own, 'link'"):
        read_bundle(bundle)


def test_pythons_caches_are_no_part_of_it(bundle: Path) -> None:
    (bundle / "python" / "__pycache__").mkdir()
    (bundle / "python" / "__pycache__" / "edgewright_runtime.cpython-311.pyc").write_text("x")
    read_bundle(bundle)


def test_a_changed_manifest_that_names_other_files_is_found(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace("weights.bin", "weight.bin"))
    with pytest.raises(BundleError, match=r"lacks the file 'weight\.bin'"):
        read_bundle(bundle)


def test_a_file_outside_the_bundle_cannot_be_listed(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace('"weights.bin"', '"../outside"'))
    with pytest.raises(BundleError, match=r"lacks the file '\.\./outside'"):
        read_bundle(bundle)


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is no bundle: its manifest.json cannot be read"):
        read_bundle(tmp_path)
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(BundleError, match="cannot be read"):
        read_bundle(tmp_path)


def test_only_our_bundles_may_be_replaced(
    bundle: Path, tmp_path: Path, tree_of: Callable[[Path], set[str]]
) -> None:
    assert is_bundle(bundle)
    (bundle / "weights.bin").unlink()
    assert is_bundle(bundle)  # a broken one too: compiling again is the remedy
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text('{"name": "a web page"}')
    assert not is_bundle(other)
    assert not is_bundle(tmp_path / "absent")
