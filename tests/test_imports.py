"""The direction of imports: spec <- models, schedules <- compiler <- deploy <- edgewright."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: What each floor may import from.
FLOORS = {
    "spec": set(),
    "models": {"spec"},
    "schedules": {"spec"},
    "compiler": {"spec", "schedules"},
    "deploy": {"spec", "schedules", "compiler"},
    "edgewright": {"spec", "models", "schedules", "compiler", "deploy", "api", "cli", "report"},
}
#: Runs on the board without Edgewright, so it may import nothing of it.
BOARD_FILES = {"edgewright_runtime.py"}
HEAVY = {
    "tvm",
    "tvm_ffi",
    "torch",
    "onnx",
    "onnx_ir",
    "onnxruntime",
    "onnxscript",
    "numpy",
    "sympy",
}


def python_files(floor: str) -> list[Path]:
    return sorted(path for path in (ROOT / floor).rglob("*.py") if "__pycache__" not in path.parts)


def imported_modules(path: Path) -> list[str]:
    """Every module that the file imports anywhere, relative imports with a leading dot."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
            if node.module == "edgewright":
                names += [f"edgewright.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_only_from_those_below(floor: str) -> None:
    files = python_files(floor)
    assert files, f"the floor {floor} has no Python file"
    wrong = []
    for path in files:
        for name in imported_modules(path):
            parts = name.split(".")
            if parts[0] != "edgewright" or len(parts) == 1:
                continue
            if floor != "edgewright" and parts[1] != floor and parts[1] not in FLOORS[floor]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_are_absolute_and_through_the_package(floor: str) -> None:
    wrong = []
    for path in python_files(floor):
        for name in imported_modules(path):
            if name.startswith(".") or name.split(".")[0] in set(FLOORS) - {"edgewright"}:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
            if path.name in BOARD_FILES and name.split(".")[0] == "edgewright":
                wrong.append(f"{path.relative_to(ROOT)} runs on boards, but imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["boards", "list"], ["compile", "--help"], ["models", "list"]],
    ids=" ".join,
)
def test_the_command_line_starts_without_heavy_packages(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from edgewright.__main__ import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"heavy = sorted({HEAVY!r} & set(sys.modules))\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, edgewright; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
