"""A bundle for a GPU: compiled, checked, and run on the emulated one."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import edgewright
from edgewright.deploy.bundle import BundleFolder, hash_file, read_bundle
from edgewright.deploy.cuda.device_report import (
    REPORT_FILE,
    SOURCE_FILE,
    check_launches,
    is_for_gpu,
    read_report,
)
from edgewright.deploy.cuda.emulated_gpu import EmulatedGpuTransport
from edgewright.deploy.runner import SelftestRunner, open_runner
from edgewright.spec.errors import BundleError, ToolError, UsageError, VerificationError


def changed(bundle: edgewright.Bundle, folder: Path, file: str, old: str, new: str) -> BundleFolder:
    """A copy of a bundle with a text replaced, and the manifest's hash with it."""
    shutil.copytree(bundle.path, folder)
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][file] = {"sha256": hash_file(path), "size_bytes": path.stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return read_bundle(folder)


def test_the_bundle_has_code_headers_and_a_report(gpu_bundle: edgewright.Bundle) -> None:
    folder = read_bundle(gpu_bundle.path)
    assert is_for_gpu(folder)
    report = read_report(folder)
    assert report.arch == "sm_87" and report.compiler.startswith("nvcc ")
    assert {kernel.name for kernel in report.kernels} == {
        launch.kernel for launch in report.launches if launch.kernel
    }
    assert len(report.launches) == len(gpu_bundle.manifest.layers)
    assert report.misfits() == []
    assert all(kernel.spill_store_bytes == 0 for kernel in report.kernels)
    assert (gpu_bundle.path / "include" / "edgewright_cuda.h").exists()
    assert gpu_bundle.manifest.toolchain["nvcc"] in report.compiler
    assert sum(layer.macs for layer in gpu_bundle.manifest.layers) > 400_000


def test_the_library_asks_for_nothing_of_cuda(gpu_bundle: edgewright.Bundle) -> None:
    library = gpu_bundle.path / gpu_bundle.manifest.library.file
    from edgewright.deploy.elf_needs import read_needs

    needs = read_needs(library, library.name)
    assert needs is not None
    assert not [name for name in library.read_bytes().split(b"\0") if name == b"libcudart.so"]
    assert b"libcuda.so.1" in library.read_bytes()


def test_parity_on_the_emulated_gpu(gpu_bundle: edgewright.Bundle, lenet5: Path) -> None:
    verification = gpu_bundle.verify(lenet5, on="emulated-gpu")
    assert verification.on == "emulated sm_87"
    assert [case.name for case in verification.cases] == ["golden", "seed 1"]
    verification.check()
    assert verification.worst_of_largest < 1e-5


def test_no_barrier_is_missing(gpu_bundle: edgewright.Bundle) -> None:
    folder = read_bundle(gpu_bundle.path)
    golden = folder.golden()
    plain = open_runner(folder, "emulated-gpu").infer(golden.inputs)
    opposite = SelftestRunner(folder, EmulatedGpuTransport(folder, reversed_threads=True))
    for name, array in opposite.infer(golden.inputs).items():
        assert array.tobytes() == plain[name].tobytes()


def test_a_missing_barrier_shows(gpu_bundle: edgewright.Bundle, tmp_path: Path) -> None:
    racy = changed(gpu_bundle, tmp_path / "racy", SOURCE_FILE, "__syncthreads();", ";")
    with pytest.raises(VerificationError):
        edgewright.load(racy.path).verify(on="emulated-gpu").check()


def test_a_wrong_kernel_fails_the_verification(
    gpu_bundle: edgewright.Bundle, tmp_path: Path
) -> None:
    wrong = changed(gpu_bundle, tmp_path / "wrong", SOURCE_FILE, "tanhf(", "sqrtf(")
    with pytest.raises(VerificationError):
        edgewright.load(wrong.path).verify(on="emulated-gpu").check()


def test_a_kernel_that_writes_too_far_is_caught(
    gpu_bundle: edgewright.Bundle, tmp_path: Path
) -> None:
    far = changed(
        gpu_bundle, tmp_path / "far", SOURCE_FILE, "((int)blockIdx.x)", "(1000000+(int)blockIdx.x)"
    )
    with pytest.raises(ToolError, match="SIGSEGV"):
        open_runner(far, "emulated-gpu").infer(far.golden().inputs)


def test_another_plan_than_the_report_is_caught(
    gpu_bundle: edgewright.Bundle, tmp_path: Path
) -> None:
    report = json.loads((gpu_bundle.path / REPORT_FILE).read_text())
    report["launches"].pop()
    folder = tmp_path / "short"
    shutil.copytree(gpu_bundle.path, folder)
    (folder / REPORT_FILE).write_text(json.dumps(report))
    short = BundleFolder(folder, gpu_bundle.manifest)
    with pytest.raises(ToolError, match="its report plans"):
        open_runner(short, "emulated-gpu").infer(short.golden().inputs)


def test_a_launch_that_does_not_fit_fails_the_verification(
    gpu_bundle: edgewright.Bundle, tmp_path: Path
) -> None:
    text = (gpu_bundle.path / REPORT_FILE).read_text()
    registers = json.loads(text)["kernels"][0]["registers"]
    greedy = changed(
        gpu_bundle, tmp_path / "b", REPORT_FILE, f'"registers": {registers}', '"registers": 5000'
    )
    with pytest.raises(VerificationError, match="takes registers"):
        check_launches(greedy)
    with pytest.raises(VerificationError, match="takes registers"):
        edgewright.load(greedy.path).verify(on="emulated-gpu")


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"launches": [{"grid": [1]}]}'])
def test_a_broken_report_is_refused(
    gpu_bundle: edgewright.Bundle, tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(gpu_bundle.path, folder)
    (folder / REPORT_FILE).write_text(text)
    with pytest.raises(BundleError, match=REPORT_FILE):
        read_report(BundleFolder(folder, gpu_bundle.manifest))


def test_a_machine_without_a_driver_is_a_clear_message(gpu_bundle: edgewright.Bundle) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has NVIDIA's driver")
    with pytest.raises(ToolError) as caught:
        gpu_bundle.verify()
    assert "EW_NO_DRIVER" in str(caught.value) and "--on emulated-gpu" in str(caught.value)
    done = subprocess.run([str(gpu_bundle.path / "bin/selftest")], capture_output=True, text=True)
    assert done.returncode == 3 and "EW_NO_DRIVER" in done.stderr


def test_what_gpus_cannot_do_is_refused_by_name(
    gpu_bundle: edgewright.Bundle, host_bundle: Path
) -> None:
    with pytest.raises(UsageError, match="an emulated CPU has no GPU"):
        gpu_bundle.verify(on="qemu")
    with pytest.raises(UsageError, match="not done by instructions of a CPU"):
        gpu_bundle.cost()
    with pytest.raises(UsageError, match="An emulated time says nothing"):
        gpu_bundle.bench(on="emulated-gpu")
    with pytest.raises(UsageError, match="is for a CPU, and emulated-gpu"):
        edgewright.load(host_bundle).verify(on="emulated-gpu")


@pytest.mark.parametrize(
    "options", [{"conv_algorithm": "fft"}, {"max_error": 1e-3}, {"max_workspace": 1 << 20}]
)
def test_options_of_cpus_are_refused_by_name(lenet5: Path, options: dict[str, object]) -> None:
    from edgewright.deploy.cuda.nvcc import open_nvcc
    from edgewright.spec.gpu import Gpu
    from tests.deploy.cuda.nvcc_needed import need_nvcc

    need_nvcc()
    assert open_nvcc(Gpu("sm_87"))
    with pytest.raises(UsageError, match="was given for a GPU"):
        edgewright.compile(lenet5, "cuda:sm_87", **options)  # type: ignore[arg-type]


def test_embedded_weights(lenet5: Path, tmp_path: Path) -> None:
    import platform

    from tests.deploy.cuda.nvcc_needed import need_nvcc

    need_nvcc()
    target = f"cuda:sm_90:{platform.machine()}"
    bundle = edgewright.compile(lenet5, target, output=tmp_path / "b", weights="embed")
    assert not (bundle.path / "weights.bin").exists()
    bundle.verify(on="emulated-gpu").check()


def test_the_same_model_gives_the_same_bytes(
    gpu_bundle: edgewright.Bundle, lenet5: Path, tmp_path: Path
) -> None:
    import platform

    again = edgewright.compile(
        lenet5, f"cuda:sm_87:{platform.machine()}", output=tmp_path / "again"
    )
    assert again.manifest.files == gpu_bundle.manifest.files


def test_another_host_is_refused_with_the_way_out(lenet5: Path, tmp_path: Path) -> None:
    import platform

    from tests.deploy.cuda.nvcc_needed import need_nvcc

    need_nvcc()
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    bundle = edgewright.compile(lenet5, f"cuda:sm_87:{other}", output=tmp_path / "b")
    with pytest.raises(UsageError, match=f"--target cuda:sm_87:{platform.machine()}"):
        bundle.verify(on="emulated-gpu")
