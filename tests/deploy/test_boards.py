"""Boards, and what a target's name stands for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.deploy.boards import registry
from edgewright.deploy.boards.registry import list_boards, load_board, resolve
from edgewright.spec.errors import TargetError
from edgewright.spec.target import CORES

NAMES = ("arm926", "rpi0", "rpi2", "rpi3", "rpi4", "rpi5")
#: Core, triple, level 1 and 2 caches in KiB, threads, glibc.
EXPECTED = {
    "rpi5": ("cortex-a76", "aarch64-unknown-linux-gnu", 64, 512, 4, "2.36"),
    "rpi4": ("cortex-a72", "aarch64-unknown-linux-gnu", 32, 1024, 4, "2.31"),
    "rpi3": ("cortex-a53", "aarch64-unknown-linux-gnu", 32, 512, 4, "2.31"),
    "rpi2": ("cortex-a7", "armv7l-unknown-linux-gnueabihf", 32, 512, 4, "2.28"),
    "rpi0": ("arm1176", "armv6-unknown-linux-gnueabihf", 16, 128, 1, "2.28"),
    "arm926": ("arm926", "armv5te-unknown-linux-gnueabi", 16, 0, 1, "2.28"),
}
#: What /proc/cpuinfo must name for code of that core to run.
NEEDED_FEATURES = {
    "cortex-a76": {"asimd", "asimddp"},
    "cortex-a72": {"asimd"},
    "cortex-a53": {"asimd"},
    "cortex-a7": {"neon", "vfpv4"},
    "arm1176": {"vfp"},
    "arm926": {"edsp"},
}


def test_boards_are_listed_by_name() -> None:
    assert tuple(board.name for board in list_boards()) == NAMES
    assert len({board.title for board in list_boards()}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_board_is_a_target(name: str) -> None:
    board = load_board(name)
    target = board.target
    got = (target.name, target.mtriple, target.l1_bytes >> 10, target.l2_bytes >> 10)
    assert (*got, target.num_cores, board.glibc) == EXPECTED[name]
    core = CORES[board.clusters[board.default_cluster].core]
    assert (target.mcpu, target.mattr, target.isa) == (core.mcpu, core.mattr, core.isa)
    assert (target.float_abi, target.qemu_cpu) == (core.float_abi, core.qemu_cpu)


@pytest.mark.parametrize("name", NAMES)
def test_a_board_does_not_contradict_itself(name: str) -> None:
    board = load_board(name)
    cluster = board.clusters[board.default_cluster]
    assert 1 <= board.default_threads <= cluster.count
    assert all(cluster.core in CORES and cluster.clock_mhz > 0 for cluster in board.clusters)
    assert board.memory_mb >= 64
    assert NEEDED_FEATURES[cluster.core] <= set(board.features)
    assert board.glibc in {image.glibc for image in board.images}


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_has_a_source(name: str) -> None:
    sources = load_board(name).sources
    assert set(sources) == {"soc", "clusters", "caches", "memory_mb", "features", "images"}
    assert all(source.startswith("https://") for source in sources.values())


def test_the_oldest_glibc_is_by_number_not_by_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(registry.__file__).parent / "rpi5.toml").read_text()
    (tmp_path / "aged.toml").write_text(text.replace('glibc = "2.39"', 'glibc = "2.9"'))
    (tmp_path / "broken.toml").write_text(text.replace("soc =", "chip =", 1))
    (tmp_path / "coreless.toml").write_text(text.replace("cortex-a76", "cortex-z1"))
    monkeypatch.setattr(registry, "_FOLDER", tmp_path)
    assert registry._read_board.__wrapped__("aged").glibc == "2.9"
    with pytest.raises(ValueError, match=r"broken\.toml does not describe a board.*chip"):
        registry._read_board.__wrapped__("broken")
    with pytest.raises(ValueError, match=r"coreless\.toml does not describe a board.*cortex-z1"):
        registry._read_board.__wrapped__("coreless")


def test_resolve_knows_boards_cores_host_and_json() -> None:
    board = load_board("rpi4")
    assert resolve("rpi4") == (board.target, board)
    assert resolve(" rpi4 ") == (board.target, board)
    assert resolve("cortex-a72") == (CORES["cortex-a72"], None)
    assert resolve("arm926") == (load_board("arm926").target, load_board("arm926"))
    target, none = resolve("host")
    assert target.name == "host" and none is None
    raw = {"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a55"}
    target, none = resolve('{"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a55"}')
    assert target == resolve(raw)[0] and target.mcpu == "cortex-a55" and none is None


@pytest.mark.parametrize(
    ("name", "near"), [("pi4", "rpi4"), ("RPI5", "rpi5"), ("cortex-a7x", "cortex-a7")]
)
def test_unknown_target_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(TargetError, match=rf"unknown target '{name}'.*Did you mean .*{near}") as e:
        resolve(name)
    assert e.value.exit_status == 2
    assert "cortex-a72" in str(e.value) and "rpi3" in str(e.value)


def test_unknown_target_like_none() -> None:
    with pytest.raises(TargetError, match=r"unknown target 'zzz'.*can be given as JSON"):
        resolve("zzz")


def test_unknown_board() -> None:
    with pytest.raises(TargetError, match=r"unknown target 'rpi9'\. Known boards are arm926, rpi0"):
        load_board("rpi9")
    with pytest.raises(TargetError, match=r"unknown target '\.\./rpi4'"):
        load_board("../rpi4")


def test_bad_json_keeps_its_own_message() -> None:
    with pytest.raises(TargetError, match="is not valid JSON"):
        resolve('{"mtriple"')
    with pytest.raises(TargetError, match="unknown key 'cpu'"):
        resolve('{"mtriple": "aarch64-linux-gnu", "cpu": "x"}')


def test_listing_imports_neither_tvm_nor_torch() -> None:
    code = (
        "import sys\n"
        "from edgewright.deploy.boards.registry import list_boards\n"
        "assert len(list_boards()) == 6\n"
        "loaded = {'tvm', 'torch', 'onnx', 'numpy'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
