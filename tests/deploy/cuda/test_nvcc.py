"""Finding nvcc, and what it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.deploy.cuda import nvcc as module
from edgewright.deploy.cuda.nvcc import NVCC_VARIABLE, open_nvcc
from edgewright.spec.errors import ToolError
from edgewright.spec.gpu import Gpu
from tests.deploy.cuda.nvcc_needed import need_nvcc

KERNEL = 'extern "C" __global__ void fill(float* y) { y[threadIdx.x] = blockIdx.x; }\n'


def fake_nvcc(folder: Path, release: str, known: str) -> Path:
    program = folder / "nvcc"
    program.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = --version ] && echo "Cuda compilation tools, release {release}, V{release}.1"\n'
        f'[ "$1" = --list-gpu-code ] && printf "{known}"\nexit 0\n'
    )
    program.chmod(0o755)
    return program


def test_too_new_a_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = fake_nvcc(tmp_path, "13.0", "sm_75\\nsm_87\\n")
    monkeypatch.setenv(NVCC_VARIABLE, str(program))
    with pytest.raises(ToolError) as caught:
        open_nvcc(Gpu("sm_72"))
    message = str(caught.value)
    assert f"nvcc 13.0 ('{program}') does not compile for sm_72" in message
    assert "sm_75, sm_87" in message and "CUDA 12.9 is the last that does" in message
    assert NVCC_VARIABLE in message


def test_too_old_a_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NVCC_VARIABLE, str(fake_nvcc(tmp_path, "11.2", "sm_80\\n")))
    with pytest.raises(ToolError, match="CUDA 11.8 is the first that does"):
        open_nvcc(Gpu("sm_90"))


def test_the_path_comes_before_the_usual_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_nvcc(tmp_path, "12.6", "sm_87\\n")
    monkeypatch.delenv(NVCC_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = open_nvcc(Gpu("sm_87"))
    assert (found.version, found.describe()) == ("12.6", "nvcc 12.6")


def test_no_compiler_is_a_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in (NVCC_VARIABLE, "CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "_DEFAULT", tmp_path / "nvcc")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="nvcc, NVIDIA's compiler, is not on the PATH"):
        open_nvcc(Gpu("sm_87"))


def test_something_else_than_nvcc_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NVCC_VARIABLE, "/bin/true")
    with pytest.raises(ToolError, match="does not say which nvcc it is"):
        open_nvcc(Gpu("sm_87"))


@pytest.mark.parametrize("arch", ["sm_87", "sm_90"])
def test_kernels_are_compiled_and_reported(arch: str, tmp_path: Path) -> None:
    need_nvcc()
    (tmp_path / "fill.cu").write_text(KERNEL)
    (kernel,) = open_nvcc(Gpu(arch)).compile(tmp_path, "fill.cu", "fill.fatbin")
    assert (kernel.name, kernel.arch) == ("fill", arch)
    assert 0 < kernel.registers < 32
    assert (tmp_path / "fill.fatbin").read_bytes()[:4] == bytes.fromhex("50ed55ba")


def test_a_bad_kernel_is_said_with_the_compilers_words(tmp_path: Path) -> None:
    need_nvcc()
    (tmp_path / "bad.cu").write_text("__global__ void f() { nonsense(); }\n")
    with pytest.raises(ToolError, match="nonsense"):
        open_nvcc(Gpu("sm_87")).compile(tmp_path, "bad.cu", "bad.fatbin")


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    need_nvcc()
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "fill.cu").write_text(KERNEL)
        open_nvcc(Gpu("sm_87")).compile(folder, "fill.cu", "fill.fatbin")
        made.append((folder / "fill.fatbin").read_bytes())
    assert made[0] == made[1]
