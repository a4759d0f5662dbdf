"""Boards, and what a target's name stands for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.deploy.boards import registry
from edgewright.deploy.boards.registry import check_own_name, list_boards, load_board, resolve
from edgewright.spec.errors import TargetError
from edgewright.spec.target import CORES

#: Core, triple, level 1 and 2 caches in KiB, threads, glibc.
EXPECTED = {
    "a311d": ("cortex-a73", "aarch64-unknown-linux-gnu", 32, 1024, 4, "2.27"),
    "arm926": ("arm926", "armv5te-unknown-linux-gnueabi", 16, 0, 1, "2.28"),
    "beaglebone-black": ("cortex-a8", "armv7l-unknown-linux-gnueabihf", 32, 256, 1, "2.28"),
    "imx6": ("cortex-a9", "armv7l-unknown-linux-gnueabihf", 32, 1024, 4, "2.35"),
    "imx8mp": ("cortex-a53", "aarch64-unknown-linux-gnu", 32, 512, 4, "2.31"),
    "imx93": ("cortex-a55", "aarch64-unknown-linux-gnu", 32, 64, 2, "2.35"),
    "jetson-agx-orin": ("cortex-a78ae", "aarch64-unknown-linux-gnu", 64, 256, 8, "2.31"),
    "jetson-nano": ("cortex-a57", "aarch64-unknown-linux-gnu", 32, 2048, 4, "2.27"),
    "jetson-orin-nano": ("cortex-a78ae", "aarch64-unknown-linux-gnu", 64, 256, 6, "2.31"),
    "jetson-tx2": ("cortex-a57", "aarch64-unknown-linux-gnu", 32, 2048, 4, "2.27"),
    "jetson-xavier": ("carmel", "aarch64-unknown-linux-gnu", 64, 2048, 8, "2.27"),
    "jetson-xavier-nx": ("carmel", "aarch64-unknown-linux-gnu", 64, 2048, 6, "2.27"),
    "rk3288": ("cortex-a17", "armv7l-unknown-linux-gnueabihf", 32, 1024, 4, "2.28"),
    "rk3399": ("cortex-a72", "aarch64-unknown-linux-gnu", 32, 1024, 2, "2.28"),
    "rk3566": ("cortex-a55", "aarch64-unknown-linux-gnu", 32, 512, 4, "2.28"),
    "rk3568": ("cortex-a55", "aarch64-unknown-linux-gnu", 32, 512, 4, "2.31"),
    "rk3588": ("cortex-a76", "aarch64-unknown-linux-gnu", 64, 512, 4, "2.31"),
    "rpi0": ("arm1176", "armv6-unknown-linux-gnueabihf", 16, 128, 1, "2.28"),
    "rpi0-2w": ("cortex-a53", "aarch64-unknown-linux-gnu", 32, 512, 4, "2.31"),
    "rpi2": ("cortex-a7", "armv7l-unknown-linux-gnueabihf", 32, 512, 4, "2.28"),
    "rpi3": ("cortex-a53", "aarch64-unknown-linux-gnu", 32, 512, 4, "2.31"),
    "rpi4": ("cortex-a72", "aarch64-unknown-linux-gnu", 32, 1024, 4, "2.31"),
    "rpi5": ("cortex-a76", "aarch64-unknown-linux-gnu", 64, 512, 4, "2.36"),
}
NAMES = tuple(EXPECTED)
#: What /proc/cpuinfo must name for code of that core to run.
NEEDED_FEATURES = {
    "arm1176": {"vfp"},
    "arm926": {"edsp"},
    "carmel": {"asimd", "atomics", "asimdhp"},
    "cortex-a17": {"neon", "vfpv4", "idiva"},
    "cortex-a53": {"asimd"},
    "cortex-a55": {"asimd", "asimddp", "asimdhp"},
    "cortex-a57": {"asimd", "crc32"},
    "cortex-a7": {"neon", "vfpv4"},
    "cortex-a72": {"asimd"},
    "cortex-a73": {"asimd"},
    "cortex-a76": {"asimd", "asimddp"},
    "cortex-a78ae": {"asimd", "asimddp", "lrcpc"},
    "cortex-a8": {"neon"},
    "cortex-a9": {"neon"},
}


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the user's boards, whatever whoever runs the tests has."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "edgewright" / "boards"
    folder.mkdir(parents=True)
    return folder


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
    facts = {"soc", "clusters", "caches", "memory_mb", "features", "images"}
    facts |= {"compatible"} if load_board(name).compatible else set()
    # One page may have both the systems and their C libraries.
    assert facts <= set(sources) <= facts | {"glibc"}
    assert all(source.startswith("https://") for source in sources.values())


def test_no_two_boards_have_the_same_name_in_the_device_tree() -> None:
    names = [name for board in list_boards() for name in board.compatible]
    assert len(names) == len(set(names)) >= len(NAMES)


def test_boards_of_several_clusters_compute_with_the_faster_ones() -> None:
    several = {b.name: b.clusters for b in list_boards() if len(b.clusters) > 1}
    assert set(several) == {"a311d", "jetson-tx2", "rk3399", "rk3588"}
    for name, clusters in several.items():
        default = clusters[load_board(name).default_cluster]
        assert default.clock_mhz == max(cluster.clock_mhz for cluster in clusters)


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
    with pytest.raises(
        TargetError, match=r"unknown target 'rpi9'\. Known boards are a311d, arm926"
    ):
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
        f"assert len(list_boards()) == {len(NAMES)}\n"
        "loaded = {'tvm', 'torch', 'onnx', 'numpy'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def save(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """A board of the user's: Raspberry Pi 5's file with changes."""
    text = (Path(registry.__file__).parent / "rpi5.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_boards_of_ones_own_are_listed_last_and_marked(user_folder: Path) -> None:
    save(user_folder, "attic", ("Raspberry Pi 5", "The one in the attic"))
    (user_folder / ".attic-half-written").write_text("title =")
    assert [b.name for b in list_boards()] == [*NAMES, "attic"]
    assert [b.own for b in list_boards()] == [False] * len(NAMES) + [True]
    board = load_board("attic")
    assert (board.title, board.own) == ("The one in the attic", True)
    assert resolve("attic") == (board.target, board)
    with pytest.raises(TargetError, match="Did you mean attic"):
        resolve("attick")


def test_a_board_saved_now_is_found_now(user_folder: Path) -> None:
    with pytest.raises(TargetError, match="unknown target 'new-one'"):
        load_board("new-one")
    save(user_folder, "new-one")
    assert load_board("new-one").own
    save(user_folder, "new-one", ("Raspberry Pi 5", "Changed"))
    assert load_board("new-one").title == "Changed"


@pytest.mark.parametrize("name", ["rpi4", "cortex-a72", "host"])
def test_no_board_of_ones_own_hides_a_target_of_edgewrights(user_folder: Path, name: str) -> None:
    save(user_folder, name)
    message = rf"'{name}' cannot be the name of a board of your own\. .*Take another, such as my-"
    for ask in (list_boards, lambda: load_board(name), lambda: resolve(name)):
        with pytest.raises(TargetError, match=message):
            ask()
    assert load_board("rpi5").title == "Raspberry Pi 5"


@pytest.mark.parametrize("name", ["Attic", "-x", "", "a b", "../rpi4", "naïve"])
def test_names_that_boards_cannot_have(name: str) -> None:
    with pytest.raises(TargetError, match="cannot be the name of a board"):
        check_own_name(name)


def test_a_malformed_board_of_ones_own_is_named_where_it_is_needed(user_folder: Path) -> None:
    path = save(user_folder, "broken", ("soc =", "chip ="))
    message = re.escape(f"the board file '{path}' is wrong: its key 'chip' is unknown; known are ")
    for ask in (list_boards, lambda: load_board("broken"), lambda: resolve("broken")):
        with pytest.raises(TargetError, match=message):
            ask()
    assert resolve("rpi4")[0].mcpu == "cortex-a72"


def test_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert registry.user_folder() == tmp_path / "edgewright" / "boards"
    monkeypatch.setenv("HOME", "/home/someone")
    for value in ("", "relative/path"):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        assert registry.user_folder() == Path("/home/someone/.config/edgewright/boards")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert registry.user_folder() == Path("/home/someone/.config/edgewright/boards")
