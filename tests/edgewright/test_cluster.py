"""Compilations on a Dask cluster of two worker processes on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from distributed import LocalCluster
from typer.testing import CliRunner

import edgewright
from edgewright import cluster as cluster_module
from edgewright.cli.app import build_app
from edgewright.cluster import compile_on_cluster, read_job
from edgewright.cluster_job import PACKAGES, compile_cluster_job, installed_versions, version_clash
from edgewright.compile_jobs import CompileJob, compile_here
from edgewright.deploy.boards.registry import load_board
from edgewright.deploy.bundle import files_of, read_bundle
from edgewright.spec.errors import ToolError, UsageError
from edgewright.spec.target import host_target
from tests.edgewright.small_network import save_network

#: One worker of the test run has the cluster.
pytestmark = pytest.mark.xdist_group("cluster")

#: A busy machine starts a worker's Python within.
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers keep what they work on."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def dask(scratch: Path) -> Iterator[LocalCluster]:
    """A scheduler and two workers, in processes that are started again when they are lost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(scratch))  # until the end: workers are started again
        with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            local_directory=str(scratch),
        ) as started:
            yield started


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("network") / "net.onnx")


@pytest.fixture(scope="module")
def made_here(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of :func:`job` as this process makes it."""
    folder = tmp_path_factory.mktemp("here")
    assert compile_here([job(network)], folder, silent) == {"net-host": folder / "net-host"}
    return folder / "net-host"


def job(model: Path, label: str = "net-host", **options: Any) -> CompileJob:
    return CompileJob(label, model, host_target(), options)


def contents(bundle: Path) -> dict[str, tuple[bytes, bool]]:
    """Every file: its bytes, and whether it may be run."""
    return {
        name: ((bundle / name).read_bytes(), os.access(bundle / name, os.X_OK))
        for name in files_of(bundle)
    }


def silent(label: str, fraction: float) -> None:
    pass


def test_a_clusters_bundles_are_those_of_this_machine(
    dask: LocalCluster, network: Path, made_here: Path, tmp_path: Path, scratch: Path
) -> None:
    jobs = [job(network), CompileJob("net-pi", network, load_board("rpi4"), {"weights": "embed"})]
    told: list[tuple[str, float]] = []
    there = compile_on_cluster(
        dask.scheduler_address, jobs, tmp_path / "there", lambda *said: told.append(said)
    )
    compile_here(jobs[1:], tmp_path / "here", silent)
    assert there == {name: tmp_path / "there" / name for name in ("net-host", "net-pi")}
    assert contents(tmp_path / "there" / "net-host") == contents(made_here)
    assert contents(tmp_path / "there" / "net-pi") == contents(tmp_path / "here" / "net-pi")
    assert {("net-host", 1.0), ("net-pi", 1.0)} <= set(told)
    assert read_bundle(tmp_path / "there" / "net-pi").manifest.board == "rpi4"
    assert list(scratch.glob("edgewright-*")) == []


class KilledInTheMiddle:
    """Kills the worker process that compiles, once, some time after it has begun.

    Args:
        dask: its workers.
        scratch: where their jobs have their folders.
    """

    def __init__(self, dask: LocalCluster, scratch: Path) -> None:
        self._dask, self._scratch = dask, scratch
        self._thread = threading.Thread(target=self._kill)
        self.killed: list[int] = []

    def __enter__(self) -> KilledInTheMiddle:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.join()
        for folder in self._folders():  # a killed process cannot clean up
            shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return list(self._scratch.glob("edgewright-cluster-*"))

    def _kill(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._folders():
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        time.sleep(0.2)
        workers = self._dask.scheduler.workers.values()
        busy = [worker.name for worker in workers if worker.processing]
        if len(busy) == 1 and self._folders():
            pid = self._dask.workers[busy[0]].pid
            os.kill(pid, signal.SIGKILL)
            self.killed.append(pid)


def test_a_lost_workers_job_is_done_again(
    dask: LocalCluster, network: Path, made_here: Path, tmp_path: Path, scratch: Path
) -> None:
    with KilledInTheMiddle(dask, scratch) as victim:
        outcomes = compile_on_cluster(dask.scheduler_address, [job(network)], tmp_path, silent)
    assert len(victim.killed) == 1
    assert outcomes == {"net-host": tmp_path / "net-host"}
    assert contents(tmp_path / "net-host") == contents(made_here)


def test_a_job_that_loses_every_worker_is_given_up(
    dask: LocalCluster, network: Path, tmp_path: Path, scratch: Path
) -> None:
    before, dask.scheduler.allowed_failures = dask.scheduler.allowed_failures, 0
    try:
        with KilledInTheMiddle(dask, scratch) as victim:
            outcomes = compile_on_cluster(dask.scheduler_address, [job(network)], tmp_path, silent)
    finally:
        dask.scheduler.allowed_failures = before
    assert len(victim.killed) == 1
    reason = outcomes["net-host"]
    assert isinstance(reason, str)
    assert "each worker that tried it was lost" in reason
    assert list(tmp_path.iterdir()) == []


def test_a_job_fails_by_its_own_error_once_and_alone(
    dask: LocalCluster, network: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    jobs = [job(network), job(network, "other", conv_algorithm="magic"), job(broken, "broken")]
    there = compile_on_cluster(dask.scheduler_address, jobs, tmp_path / "there", silent)
    here = compile_here(jobs[1:], tmp_path / "here", silent)
    assert there["net-host"] == tmp_path / "there" / "net-host"
    assert isinstance(there["other"], str) and "magic" in there["other"]
    assert there["other"] == here["other"]
    assert there["broken"] == here["broken"]
    assert sorted(os.listdir(tmp_path / "there")) == ["net-host"]


def test_a_fleet_measures_what_the_cluster_compiled(
    dask: LocalCluster, network: Path, made_here: Path, tmp_path: Path
) -> None:
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        f"models = ['{network}']\n[bench]\nrepeats = 20\n"
        "[[boards]]\nname = 'here'\naddress = 'host'\ntarget = 'host'\n"
    )
    result = edgewright.bench_fleet(fleet, output=tmp_path / "out", cluster=dask.scheduler_address)
    assert [row.benchmark.timings[0].repeats for row in result.results] == [20]
    assert contents(tmp_path / "out" / "bundles" / "net-host") == contents(made_here)


def test_an_interruption_takes_the_jobs_back(
    dask: LocalCluster, network: Path, tmp_path: Path
) -> None:
    def interrupt(label: str, fraction: float) -> None:
        if any(worker.processing for worker in dask.scheduler.workers.values()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_on_cluster(dask.scheduler_address, [job(network)], tmp_path, interrupt)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while dask.scheduler.tasks and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not dask.scheduler.tasks
    assert list(tmp_path.iterdir()) == []


#: A scheduler on a machine without Edgewright.
BARE_SCHEDULER = """
import sys
sys.modules["edgewright"] = None
from distributed.cli.dask_scheduler import main
main()
"""


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a cluster of other programs, and its scheduler."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    place = ["--host", "127.0.0.1", "--no-dashboard"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    started = []
    with (tmp_path / "log").open("wb") as log:
        for arguments in (
            ["-c", BARE_SCHEDULER, *place, f"--port={port}"],
            ["-m", "dask", "worker", address, *place, "--no-nanny", "--nthreads", "1"],
        ):
            program = subprocess.Popen(
                [sys.executable, *arguments],
                env=environment,
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            started.append(program)
    wait_for_port(port)
    yield address, started[0]
    for program in started:
        program.kill()
        program.wait()


def test_a_scheduler_needs_no_edgewright_and_is_named_when_it_is_lost(
    own_cluster: tuple[str, subprocess.Popen[bytes]],
    network: Path,
    made_here: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address, scheduler = own_cluster
    compile_on_cluster(address, [job(network)], tmp_path / "first", silent)
    assert contents(tmp_path / "first" / "net-host") == contents(made_here)
    capfd.readouterr()
    began: list[float] = []

    def kill_while_it_works(label: str, fraction: float) -> None:
        began.append(time.monotonic())
        if began[-1] - began[0] > 0.3:
            scheduler.kill()

    with pytest.raises(ToolError, match=f"the scheduler at '{address}' was lost"):
        compile_on_cluster(address, [job(network)], tmp_path / "second", kill_while_it_works)
    assert not (tmp_path / "second").exists()
    assert capfd.readouterr().err == ""  # Dask's own words about it are kept back


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


def test_external_data_travels_with_the_model(network: Path, tmp_path: Path) -> None:
    model = onnx.load(network)
    (tmp_path / "split").mkdir()
    path = tmp_path / "split" / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    sent = read_job(job(path))
    assert set(sent.files) == {"net.onnx", "net.bin"}
    assert sent.files["net.bin"] == (path.parent / "net.bin").read_bytes()
    assert compile_cluster_job(sent)


def test_a_worker_with_other_versions_is_refused() -> None:
    ours = installed_versions()
    assert set(ours) == set(PACKAGES) and all(ours.values())
    assert version_clash("tcp://w", ours, ours) is None
    clash = version_clash("tcp://w", {**ours, "edgewright": "0.0.1", "ziglang": None}, ours)
    assert isinstance(clash, ToolError)
    version = edgewright.__version__
    assert f"tcp://w has edgewright 0.0.1 instead of {version}, ziglang missing" in str(clash)


def test_versions_are_compared_before_any_work(
    dask: LocalCluster, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {**installed_versions(), "edgewright": "9.9"}
    monkeypatch.setattr(cluster_module, "installed_versions", lambda: ours)
    with pytest.raises(ToolError, match=r"worker tcp://\S+ has edgewright .* instead of 9\.9"):
        compile_on_cluster(dask.scheduler_address, [job(network)], tmp_path / "there", silent)
    sent = read_job(job(network))
    with pytest.raises(ToolError, match="the cluster's worker that took the job has edgewright"):
        compile_cluster_job(sent)


def test_a_scheduler_that_is_not_there_is_named_within_seconds(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    fleet = tmp_path / "fleet.toml"
    fleet.write_text("models = ['net.onnx']\n[[boards]]\nname = 'here'\naddress = 'host'\n")
    start = time.monotonic()
    arguments = ["bench", "--fleet", str(fleet), "--cluster", "tcp://127.0.0.1:1"]
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == 3, done.stderr
    assert time.monotonic() - start < 60
    assert "the scheduler at 'tcp://127.0.0.1:1' cannot be reached within 5 seconds" in done.stderr
    assert "dask scheduler" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("address", ["nonsense://x:1", "tcp://127.0.0.1:port"])
def test_a_malformed_address(address: str, network: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of the cluster cannot be read"):
        compile_on_cluster(address, [job(network)], tmp_path / "there", silent)


def test_a_cluster_without_workers_is_named(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_WORKER_SECONDS", 0.2)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty,
        pytest.raises(ToolError, match="has had no worker") as caught,
    ):
        compile_on_cluster(empty.scheduler_address, [job(network)], tmp_path / "there", silent)
    assert f"dask worker {empty.scheduler_address}" in caught.value.remedy
