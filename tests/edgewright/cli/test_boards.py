"""``edgewright boards``: entries of the user's own, and what `detect` prints, saves and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from edgewright.cli.app import build_app
from edgewright.deploy.boards.registry import load_board, resolve
from edgewright.deploy.transport import open_machine
from tests.deploy.boards.probe_outputs import FakeMachine, probe_output

Boards = Callable[..., Result]
Answer = Callable[[str], None]
ADDRESS = "ssh://pi@board"
ROCK5 = ["radxa,rock-5b", "rockchip,rk3588"]


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Boards:
    """Runs `edgewright boards`, with an empty folder for the user's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    app = build_app()
    return lambda *arguments: CliRunner().invoke(app, ["boards", *arguments])


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Makes the board at ``ADDRESS`` answer with a text."""

    def make(stdout: str) -> None:
        machines = {ADDRESS: FakeMachine(stdout)}
        monkeypatch.setattr(open_machine, "open_machine", machines.__getitem__)

    return make


def parsed(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_known_board_is_named(boards: Boards, answer: Answer) -> None:
    answer(probe_output("rk3588", compatible=ROCK5, model="Radxa ROCK 5B", memory_kib=8 << 20))
    result = boards("detect", ADDRESS)
    assert result.exit_code == 0
    assert "ssh://pi@board: Radxa ROCK 5B" in result.stdout
    assert "4 cortex-a55 (CPU 0, 1, 2, 3)" in result.stdout
    assert "It is rk3588 (RK3588 and RK3588S boards" in result.stdout
    assert "compile with --target rk3588.\nNothing differs from its entry.\n" in result.stdout


def test_differences_are_listed_and_can_be_saved(
    boards: Boards, answer: Answer, tmp_path: Path
) -> None:
    answer(probe_output("rk3588", compatible=ROCK5, libc="glibc 2.28", memory_kib=8 << 20))
    assert "\n- Its C library is glibc 2.28, older than" in boards("detect", ADDRESS).stdout
    saved = parsed(boards("detect", ADDRESS, "--save", "old-rock", "--json"))
    assert saved["board"] == "rk3588" and len(saved["differences"]) == 1
    assert saved["saved"] == str(tmp_path / "edgewright" / "boards" / "old-rock.toml")
    assert load_board("old-rock").glibc == "2.28"
    assert Path(saved["saved"]).read_text() == saved["entry"]
    again = parsed(boards("detect", ADDRESS, "--json"))
    assert (again["board"], again["differences"], again["saved"]) == ("old-rock", [], None)


def test_an_unknown_board_becomes_an_entry(boards: Boards, answer: Answer) -> None:
    answer(probe_output("rk3568", compatible=["acme,board", "acme,soc"], model="ACME [beta]"))
    result = boards("detect", ADDRESS)
    assert result.exit_code == 0
    assert "No entry describes it. Save this one with --save NAME:" in result.stdout
    assert 'title = "ACME [beta]"' in result.stdout and '\ncore = "cortex-a55"\n' in result.stdout
    whole = parsed(boards("detect", ADDRESS, "--json"))
    assert whole["board"] is None and whole["entry"] in result.stdout
    assert whole["report"]["clusters"][0]["cpus"] == [0, 1, 2, 3]

    saved = boards("detect", ADDRESS, "--save", "acme")
    assert saved.exit_code == 0 and "acme.toml: compile with --target acme." in saved.stdout
    assert resolve("acme")[0].mcpu == "cortex-a55"
    listed = boards("list").stdout
    assert listed.index("Your own") < listed.index("  acme") and "ACME [beta]" in listed
    entries = {board["name"]: board for board in parsed(boards("list", "--json"))["boards"]}
    assert entries["acme"]["own"] and not entries["rpi4"]["own"]
    assert "ACME [beta]" in boards("show", "acme").stdout
    second = boards("detect", ADDRESS, "--save", "acme")
    assert second.exit_code == 2 and "the board 'acme' exists already" in second.stderr


def test_names_are_checked_before_the_board_is_asked(boards: Boards) -> None:
    for name in ("rpi4", "cortex-a72", "Mine"):
        result = boards("detect", ADDRESS, "--save", name)
        assert result.exit_code == 2, result.stdout
        assert f"'{name}' cannot be the name of a board" in result.stderr


def test_a_machine_that_does_not_answer(boards: Boards, answer: Answer) -> None:
    answer("")
    result = boards("detect", ADDRESS, "--json")
    assert result.exit_code == 3
    assert "did not answer the questions about its hardware" in json.loads(result.stdout)["error"]


def test_a_board_of_unknown_cores_still_reports_itself(boards: Boards, answer: Answer) -> None:
    answer(probe_output("rk3568", compatible=["acme,board"]).replace("0xd05", "0xfff"))
    result = boards("detect", ADDRESS)
    assert result.exit_code == 2
    assert "4 0x41:0xfff (CPU 0, 1, 2, 3)" in result.stdout
    assert "the cores of 'ssh://pi@board' (0x41:0xfff) are not among those" in result.stderr


def test_this_machine(boards: Boards) -> None:
    report = parsed(boards("detect", "--json"))["report"]
    assert report["machine"] == "host" and report["memory_bytes"] > 1 << 28
    assert "C library" in boards("detect", "host").stdout


def test_an_address_that_is_none(boards: Boards) -> None:
    result = boards("detect", "raspberry")
    assert result.exit_code == 2
    assert "'raspberry' names no machine" in result.stderr


def test_a_malformed_entry_of_ones_own(boards: Boards, tmp_path: Path) -> None:
    folder = tmp_path / "edgewright" / "boards"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text('title = "x"\nwheels = 4\n')
    for arguments in (["list"], ["show", "mine"], ["detect"]):
        result = boards(*arguments)
        assert result.exit_code == 2
        paragraph = " ".join(result.stderr.split())
        assert f"the board file '{folder / 'mine.toml'}' is wrong" in paragraph
        assert "its key 'wheels' is unknown" in paragraph


def test_boards_are_grouped_and_shown_with_their_clusters(boards: Boards) -> None:
    listed = boards("list").stdout
    order = ["Raspberry Pi", "rpi0", "rpi5", "Rockchip", "rk3588", "NVIDIA Jetson", "NXP i.MX"]
    order += ["Amlogic", "Texas Instruments", "Other", "arm926", "Cores, for other boards"]
    places = [listed.index(word) for word in order]
    assert places == sorted(places)
    assert "Your own" not in listed
    assert "2 cortex-a72 + 4 cortex-a53" in listed
    shown = boards("show", "rk3399").stdout
    for line in (
        "cluster, which computes  2 cortex-a72 at 1800 MHz",
        "cluster                  4 cortex-a53 at 1416 MHz",
        "level 2 cache            1024 KiB, shared",
        "C library                libraries are linked for glibc 2.28",
        "device tree              rockchip,rk3399",
        "source of caches         https://github.com/torvalds/linux/",
    ):
        assert line in shown
