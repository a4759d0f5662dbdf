"""What is wrong with a board's file is said with the file and the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgewright.deploy.boards import registry
from edgewright.deploy.boards.board_file import read_board_file
from edgewright.spec.errors import TargetError

GOOD = (Path(registry.__file__).parent / "rk3399.toml").read_text()


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_a_good_file(tmp_path: Path) -> None:
    board = read_board_file(write(tmp_path, GOOD), own=True)
    assert (board.name, board.own, board.default_threads) == ("mine", True, 2)
    assert (board.target.name, board.target.num_cores) == ("cortex-a72", 2)
    assert [cluster.core for cluster in board.clusters] == ["cortex-a72", "cortex-a53"]


def test_the_oldest_glibc_is_by_number_not_by_letter(tmp_path: Path) -> None:
    text = GOOD.replace('glibc = "2.36"', 'glibc = "2.9"')
    assert text != GOOD
    assert read_board_file(write(tmp_path, text), own=True).glibc == "2.9"


def test_sources_and_compatible_may_be_left_out(tmp_path: Path) -> None:
    text = re.sub(r"compatible = .*\n", "", GOOD).split("[sources]")[0]
    board = read_board_file(write(tmp_path, text), own=True)
    assert (board.compatible, board.sources) == ((), {})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("soc = ", "chip = ", "its key 'chip' is unknown; known are title, soc"),
        ('title = "', 'name = "', "its key 'name' is unknown"),
        ("default_cluster = 0\n", "", "its key 'default_cluster' is missing"),
        ("default_cluster = 0", "default_cluster = 2", "is 2, and there are 2 clusters from 0 on"),
        (
            "default_cluster = 0",
            "default_cluster = true",
            "'default_cluster' is not a whole number",
        ),
        ("default_threads = 2", "default_threads = 3", "is 3, and the default cluster has 2 cores"),
        ("default_threads = 2", "default_threads = 0", "'default_threads' is 0"),
        ("memory_mb = 1024", "memory_mb = 1024.5", "'memory_mb' is not a whole number"),
        ('"cortex-a53"', '"cortex-z1"', "clusters[1].core' names 'cortex-z1'; known cores are"),
        ("clock_mhz = 1416", "clock_mhz = -1", "'clusters[1]' has no cores, or a clock below zero"),
        ("count = 4", 'count = "4"', "'clusters[1].count' is not a whole number"),
        ("l2_shared = true", "l2_shared = 1", "'caches.l2_shared' is not true or false"),
        ("l2_kib = 1024", "", "'caches.l2_kib' is missing"),
        ("l1d_kib = 32", "l1d_kib = 0", "'caches' has a size below zero, or no level 1"),
        ('glibc = "2.31"', 'glibc = "new"', "images[1].glibc' is 'new', not like 2.31"),
        ('features = ["fp", ', "features = [1, ", "'features' holds something that is not text"),
        ('["rockchip,rk3399"]', '"rockchip,rk3399"', "'compatible' is not a list"),
        ("[[clusters]]", "[clusters]", "is not valid TOML"),
        ("[[images]]", "[[pictures]]", "its key 'pictures' is unknown"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(TargetError) as caught:
        read_board_file(path, own=True)
    text = str(caught.value)
    assert text.startswith(f"the board file '{path}' is ") and message in text
    assert "`edgewright boards detect` writes it." in text
    assert caught.value.exit_status == 2


def test_no_clusters_and_no_images(tmp_path: Path) -> None:
    head = GOOD.split("[[clusters]]")[0]
    caches = "clusters = []\nimages = []\n[caches]\nl1d_kib = 32\nl2_kib = 0\n"
    path = write(tmp_path, head + caches + "l2_shared = false\nl3_kib = 0\n")
    with pytest.raises(TargetError, match="'default_cluster' is 0, and there are 0 clusters"):
        read_board_file(path, own=True)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(TargetError, match=r"cannot be read \(No such file or directory\)"):
        read_board_file(path, own=True)
    path.write_bytes(b"title = \xff")
    with pytest.raises(TargetError, match="is not valid TOML"):
        read_board_file(path, own=True)
