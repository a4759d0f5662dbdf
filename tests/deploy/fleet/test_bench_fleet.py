"""A whole fleet on this machine: this machine itself, one board over loopback, and lost ones."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

import edgewright
from edgewright.cli.app import build_app
from edgewright.deploy.benchmark import read_benchmark
from edgewright.deploy.bundle import read_bundle
from edgewright.deploy.fleet.fleet_result import FleetResult
from edgewright.spec.errors import BundleError, OutputError, UnsupportedModelError
from edgewright.spec.json_schema import json_schema
from tests.deploy.transport.loopback_sshd import LoopbackSshd

NOWHERE = "ssh://127.0.0.1:1"  # nothing listens there


def write_fleet(folder: Path, boards: dict[str, tuple[str, str]], head: str) -> Path:
    """A file; ``boards`` by name: address and target, empty to leave it out."""
    text = f"{head}\n[bench]\nthreads = [1, 2]\nrepeats = 20\n"
    for name, (address, target) in boards.items():
        text += f"[[boards]]\nname = '{name}'\naddress = '{address}'\n"
        text += f"target = '{target}'\n" if target else ""
    path = folder / "fleet.toml"
    path.write_text(text)
    return path


@pytest.fixture
def ready(host_bundle: Path) -> str:
    return f"bundles = ['{host_bundle}']"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def test_two_boards_are_measured_side_by_side(
    sshd: LoopbackSshd, tmp_path: Path, ready: str, tree_of: Callable[[Path], set[str]]
) -> None:
    fleet = write_fleet(tmp_path, {"here": ("host", ""), "there": (sshd.address, "host")}, ready)
    told: dict[str, float] = {}
    result = edgewright.bench_fleet(
        fleet, output=tmp_path / "out", progress=lambda name, part: told.update({name: part})
    )
    assert [row.board for row in result.results] == ["here", "there"]
    assert result.lost == ()
    assert told == {"here": 1.0, "there": 1.0}
    assert [row.benchmark.on for row in result.results] == ["host", sshd.address]
    for row in result.results:
        assert [timing.threads for timing in row.benchmark.timings] == [1, 2]
        assert all(timing.repeats == 20 for timing in row.benchmark.timings)
        assert read_benchmark(tmp_path / "out" / f"{row.board}.json") == row.benchmark
    assert tree_of(tmp_path / "out") == {"here.json", "there.json"}
    there = result.results[1]
    timing = there.benchmark.timings[1]
    assert result.reference(there, timing) == result.results[0].benchmark.timings[1]
    jsonschema.validate(json.loads(json.dumps(result.to_dict())), json_schema(FleetResult))


def test_lost_boards_are_named_and_the_others_stand(
    sshd: LoopbackSshd, tmp_path: Path, ready: str
) -> None:
    boards = {
        "here": ("host", "host"),
        "off": (NOWHERE, "host"),
        "unknown": (sshd.address, ""),
        "other": (sshd.address.replace("//", "//root@"), "rpi0"),
    }
    fleet = write_fleet(tmp_path, boards, ready)
    done = run("bench", "--fleet", fleet, "--json", "-o", tmp_path / "out")
    assert done.exit_code == 3
    said = json.loads(done.stdout)
    assert [row["board"] for row in said["results"]] == ["here"]
    assert said["results"][0]["benchmark"]["timings"][0]["median_ms"] > 0
    lost = {row["board"]: (row["stage"], row["reason"]) for row in said["lost"]}
    assert list(lost) == ["off", "unknown", "other"]
    assert lost["off"][0] == "ask" and "refuses connections" in lost["off"][1]
    assert lost["unknown"][0] == "ask" and "no entry describes the board" in lost["unknown"][1]
    assert f"boards detect {sshd.address}" in lost["unknown"][1]
    assert lost["other"][0] == "compile" and "ready bundles is for 'rpi0'" in lost["other"][1]
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        "Lost off",
        "Lost unknown",
        "Lost other",
    ]
    assert os.listdir(tmp_path / "out") == ["here.json"]


def test_a_board_that_refuses_the_bundle_or_computes_other_numbers(
    sshd: LoopbackSshd, tmp_path: Path, rpi4_bundle: Path, host_bundle: Path
) -> None:
    wrong = with_other_golden(host_bundle, tmp_path / "wrong")
    boards = {"here": ("host", "host"), "there": (sshd.address, "host")}
    fleet = write_fleet(tmp_path, boards, f"bundles = ['{wrong}', '{host_bundle}']")
    result = edgewright.bench_fleet(fleet, output=tmp_path / "out")
    assert [(row.board, row.model, row.stage) for row in result.lost] == [
        ("here", "fake", "measure"),
        ("there", "fake", "measure"),
    ]
    assert all("computes other numbers than the reference" in row.reason for row in result.lost)
    assert [row.board for row in result.results] == ["here", "there"]  # of the sound bundle
    assert set(os.listdir(tmp_path / "out")) == {"here.fake.json", "there.fake.json"}
    fleet = write_fleet(tmp_path, {"pi": (sshd.address, "rpi4")}, f"bundles = ['{rpi4_bundle}']")
    (refused,) = edgewright.bench_fleet(fleet).lost
    assert refused.stage == "measure" and "aarch64" in refused.reason


def with_other_golden(bundle: Path, folder: Path) -> Path:
    """A sound bundle whose golden output is not what it computes."""
    shutil.copytree(bundle, folder)
    golden = folder / "golden" / "output0.bin"
    before = hashlib.sha256(golden.read_bytes()).hexdigest()
    golden.write_bytes(bytes(golden.stat().st_size))
    manifest = folder / "manifest.json"
    after = hashlib.sha256(golden.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(before, after))
    read_bundle(folder)
    return folder


class Compiler:
    """Stands in for the compiler: fails for one target, gives a ready bundle for the others."""

    def __init__(self, bundle: Path, fails_for: str) -> None:
        self.bundle, self.fails_for = bundle, fails_for
        self.calls: list[tuple[str, str]] = []

    def __call__(self, model: Path, target: Any, *, output: Path, **options: Any) -> None:
        self.calls.append((model.name, target.name))
        assert options["progress"] and options["conv_algorithm"] == "direct"
        if target.name == self.fails_for:
            raise UnsupportedModelError(f"no kernel for {target.name}", remedy="Take another.")
        shutil.copytree(self.bundle, output)


def test_each_distinct_target_is_compiled_for_once(
    sshd: LoopbackSshd, tmp_path: Path, host_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = Compiler(host_bundle, fails_for="rpi4")
    monkeypatch.setattr("edgewright.api.compile", compiler)
    (tmp_path / "fake.onnx").touch()
    boards = {
        "here": ("host", ""),
        "there": (sshd.address, "host"),
        "pi": (sshd.address.replace("//", "//root@"), "rpi4"),
        "off": (NOWHERE, "rpi5"),
    }
    head = "models = ['fake.onnx']\n[compile]\nconv_algorithm = 'direct'"
    fleet = write_fleet(tmp_path, boards, head)
    done = run("bench", "--fleet", fleet, "-o", tmp_path / "out")
    assert done.exit_code == 3
    # Nothing is compiled for a board that does not answer.
    assert compiler.calls == [("fake.onnx", "host"), ("fake.onnx", "rpi4")]
    assert "Lost pi (fake): no kernel for rpi4. Take another." in done.stderr
    assert "Lost off: " in done.stderr
    rows = [line.split()[:3] for line in done.stdout.splitlines() if " host " in line]
    assert [row[0] for row in rows] == ["here", "here", "there", "there"]
    assert "1.00x" in done.stdout
    assert set(os.listdir(tmp_path / "out")) == {"bundles", "here.json", "there.json"}
    assert os.listdir(tmp_path / "out" / "bundles") == ["fake-host"]


@pytest.fixture
def own_temporary_folder() -> Iterator[Path]:
    """With a short path: ssh keeps a socket there, whose path has 108 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="ew-", dir="/tmp") as folder:
        yield Path(folder)


def test_ctrl_c_leaves_nothing_behind(
    sshd: LoopbackSshd,
    tmp_path: Path,
    own_temporary_folder: Path,
    host_bundle: Path,
    tree_of: Callable[[Path], set[str]],
) -> None:
    own, work = own_temporary_folder, tmp_path / "work"
    work.mkdir()
    fleet = work / "fleet.toml"
    fleet.write_text(
        f"bundles = ['{host_bundle}']\n[bench]\nthreads = {list(range(1, 33))}\n"
        "[[boards]]\nname = 'here'\naddress = 'host'\n"
        f"[[boards]]\nname = 'there'\naddress = '{sshd.address}'\ntarget = 'host'\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "edgewright", "bench", "--fleet", fleet, "-o", work / "out"],
        env={**os.environ, "TMPDIR": str(own)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        places = [host_bundle, sshd.known_hosts.parent / "home"]
        deadline = time.monotonic() + 60
        while len(running := benches_in(places)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(running) == 2
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=30)
    assert program.returncode == 130
    assert said.strip() == "Interrupted; nothing was left behind."
    assert tree_of(work) == {"fleet.toml"}
    assert tree_of(own) == set()
    deadline = time.monotonic() + 30
    while (running := benches_in(places)) and time.monotonic() < deadline:
        time.sleep(0.1)  # the board's ends by itself
    assert running == []


def benches_in(places: list[Path]) -> list[str]:
    """Folders below these places in which a ``bench`` runs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program = (process / "cmdline").read_bytes().split(b"\0")[0]
            folder = Path(os.readlink(process / "cwd"))
        except OSError:  # it has ended
            continue
        if program == b"./bin/bench" and any(folder.is_relative_to(place) for place in places):
            found.append(str(folder))
    return found


def test_what_is_wrong_is_said_before_any_work(
    tmp_path: Path, ready: str, host_bundle: Path
) -> None:
    fleet = write_fleet(tmp_path, {"here": ("host", "")}, ready)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(OutputError, match="is not empty"):
        edgewright.bench_fleet(fleet, output=tmp_path / "full")
    shutil.copytree(host_bundle, tmp_path / "damaged")
    (tmp_path / "damaged" / "weights.bin").write_bytes(b"")
    fleet = write_fleet(tmp_path, {"here": ("host", "")}, "bundles = ['damaged']")
    with pytest.raises(BundleError, match="has a changed file"):
        edgewright.bench_fleet(fleet)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bundle", "--fleet", "fleet.toml"], "--fleet was given together with a bundle"),
        (["--fleet", "fleet.toml", "--on", "host"], "--fleet was given together with --on"),
        (["--fleet", "fleet.toml", "--threads", "1"], "together with --threads"),
        (["-o", "out"], "without --fleet"),
        (["--cluster", "tcp://127.0.0.1:1"], "without --fleet"),
        (["--fleet", "no.toml"], "'no.toml' cannot be read"),
    ],
)
def test_bad_use(arguments: list[str], words: str) -> None:
    done = run("bench", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
