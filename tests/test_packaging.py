"""The wheel holds what the tree holds, and pyproject.toml names what the code imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS: dict[str, str] = PROJECT["tool"]["setuptools"]["package-dir"]
#: Distribution of an import name, where the two differ.
DISTRIBUTIONS = {
    "MNN": "mnn",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "ai_edge_litert": "ai-edge-litert",
    "tvm": "apache-tvm",
    "tvm_ffi": "apache-tvm-ffi",
    "onnx_ir": "onnx-ir",
    "elftools": "pyelftools",
    "tomllib": "tomli",
    "typing_extensions": None,  # only under TYPE_CHECKING
    "google": "protobuf",
}
#: Declared, though nothing imports them by name.
NOT_IMPORTED = {
    "apache-tvm-ffi",  # pinned: tvm imports it
    "onnxscript",  # torch.onnx.export imports it
    "ziglang",  # run as a program
    "setuptools",  # builds the wheel that this file tests
    "mypy",
    "ruff",
    "pytest-timeout",
    "pytest-xdist",
    "pnnx",  # its program is run
}


def tracked_files() -> set[str]:
    """Every file of the five floors as the wheel should name it."""
    files = set()
    for package, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                inside = path.relative_to(ROOT / folder).as_posix()
                files.add(f"{package.replace('.', '/')}/{inside}")
    return files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tree, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", *FOLDERS.values()):
        (source / name).symlink_to(ROOT / name)
    code = "import setuptools.build_meta as b; print(b.build_wheel('../dist'))"
    (folder / "dist").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return next((folder / "dist").glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == tracked_files()


def test_every_folder_with_python_is_a_named_package() -> None:
    named = set(PROJECT["tool"]["setuptools"]["packages"])
    present = set()
    for package, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            if "__pycache__" not in path.parts:
                inside = path.parent.relative_to(ROOT / folder).parts
                present.add(".".join((package, *inside)))
    assert present == named


def test_the_versions_agree() -> None:
    import edgewright

    assert edgewright.__version__ == PROJECT["project"]["version"]
    assert f"## {edgewright.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0].lower() for line in requirements}


def third_party_imports(folder: Path) -> set[str]:
    """Distributions that a folder's files import, those of the standard library aside."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                first = name.split(".")[0]
                if first == "tomllib" or first not in sys.stdlib_module_names | {"edgewright"}:
                    found.add(DISTRIBUTIONS.get(first, first))
    return {name for name in found if name}


def test_every_import_is_declared_and_every_declaration_is_used() -> None:
    project = PROJECT["project"]
    required = requirement_names(project["dependencies"])
    extras = ("models", "datasets", "cluster")
    models = requirement_names(
        [line for extra in extras for line in project["optional-dependencies"][extra]]
    )
    test = requirement_names(project["optional-dependencies"]["test"])
    product = set().union(*(third_party_imports(ROOT / folder) for folder in FOLDERS.values()))
    # protobuf comes with onnx, always; bench_versus.py runs beside a bundle's own module.
    assert product <= required | models | {"protobuf", "edgewright_runtime"}
    tests = third_party_imports(ROOT / "tests")
    assert tests - {"protobuf"} <= required | models | test | local_modules() | {"tests"}
    assert (required | models) - NOT_IMPORTED <= product
    bench = requirement_names(project["optional-dependencies"]["bench"])
    benchmarks = third_party_imports(ROOT / "benchmarks")
    ours = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    inside_mnn = {"_tools"}
    assert benchmarks <= required | models | bench | ours | inside_mnn
    assert test - NOT_IMPORTED <= tests | benchmarks  # what tests of the benchmarks need
    assert bench - NOT_IMPORTED <= benchmarks


def local_modules() -> set[str]:
    """Modules that tests import from each other."""
    return {path.stem for path in (ROOT / "tests").rglob("*.py")}


def test_constraints_pin_every_declared_package() -> None:
    pinned = requirement_names(
        [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    )
    project = PROJECT["project"]
    declared = requirement_names(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        declared |= requirement_names(extra)
    assert declared <= pinned


def test_constraints_name_no_place_and_no_local_version() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    pattern = r'[a-z0-9-]+==[0-9][0-9a-z.]*(; python_version (<|>=) "3\.[0-9]+")?'
    assert [line for line in pins if not re.fullmatch(pattern, line)] == []
