"""`edgewright deploy` to a board: what arrives, what is sent, and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path

from tests.board.cut_connection import CutConnection
from tests.board.edgewright_command import bundle_at, changed_bytes, edgewright, size_bytes
from tests.board.emulated_board import EmulatedBoard


def every_file(board: EmulatedBoard) -> set[str]:
    """Paths of the board's disk."""
    return set(board.shell("find / -xdev -not -path '/tmp/*'").splitlines())


def test_a_fresh_board_has_a_verified_model_after_two_commands(
    fresh_board: EmulatedBoard, lenet5_rpi4: Path
) -> None:
    before = every_file(fresh_board)
    address = fresh_board.address("/opt/lenet5")
    deployed = edgewright("deploy", lenet5_rpi4, address, access=fresh_board.access)
    assert deployed.returncode == 0, deployed.stderr
    measured = edgewright(
        "bench", lenet5_rpi4, "--on", address, "--json", access=fresh_board.access
    )
    assert measured.returncode == 0, measured.stderr
    assert json.loads(measured.stdout)
    assert bundle_at(fresh_board, "/opt/lenet5", lenet5_rpi4) == lenet5_rpi4
    new = {path for path in every_file(fresh_board) - before if "lenet5" not in path}
    assert new == set()


def test_a_second_deployment_sends_only_what_changed(
    board: EmulatedBoard, board_folder: str, lenet5_rpi4: Path, lenet5_retrained: Path
) -> None:
    sent = []
    for bundle in (lenet5_rpi4, lenet5_rpi4, lenet5_retrained):
        with CutConnection(board.port) as network:
            address = f"ssh://root@127.0.0.1:{network.port}{board_folder}"
            done = edgewright("deploy", bundle, address, access=board.access)
        assert done.returncode == 0, done.stderr
        assert bundle_at(board, board_folder, bundle) == bundle
        sent.append(network.sent_bytes)
    changed, everything = changed_bytes(lenet5_rpi4, lenet5_retrained), size_bytes(lenet5_rpi4)
    scripts = 16 << 10
    assert everything <= sent[0] < 1.1 * everything + scripts
    assert sent[1] < scripts
    assert changed <= sent[2] < 1.1 * changed + scripts < everything


def test_a_deployed_model_survives_a_reboot(
    breakable_board: EmulatedBoard, lenet5_rpi4: Path
) -> None:
    access, address = breakable_board.access, breakable_board.address("/opt/rebooted")
    assert edgewright("deploy", lenet5_rpi4, address, access=access).returncode == 0
    breakable_board.reboot()
    assert bundle_at(breakable_board, "/opt/rebooted", lenet5_rpi4) == lenet5_rpi4
    verified = edgewright("verify", lenet5_rpi4, "--on", address, access=access)
    assert verified.returncode == 0, verified.stderr


def test_pi_deploys_below_its_home_unless_told_otherwise(
    board: EmulatedBoard, lenet5_rpi4: Path
) -> None:
    done = edgewright("deploy", lenet5_rpi4, board.address(user="pi"), access=board.access)
    assert done.returncode == 0, done.stderr
    place = board.shell("echo /home/pi/edgewright/*", user="pi").strip()
    assert bundle_at(board, place, lenet5_rpi4) == lenet5_rpi4
    assert board.shell(f"stat -L -c %U {place}/manifest.json").strip() == "pi"
    board.shell("rm -rf /home/pi/edgewright")


def test_the_shared_library_of_the_board_loads_on_the_older_debian(
    old_board: EmulatedBoard, lenet5_rpi4: Path
) -> None:
    address = old_board.address("/opt/lenet5")
    done = edgewright("deploy", lenet5_rpi4, address, access=old_board.access)
    assert done.returncode == 0, done.stderr
    loaded = old_board.shell("ldd -r /opt/lenet5/lib/lib*.so")
    assert "not found" not in loaded and "undefined" not in loaded


def test_a_place_may_have_any_name(
    board: EmulatedBoard, board_folder: str, lenet5_rpi4: Path
) -> None:
    place = f"{board_folder}/a plâce with 'quotes' and $HOME"
    done = edgewright("deploy", lenet5_rpi4, board.address(place), access=board.access)
    assert done.returncode == 0, done.stderr
    found = board.shell(f"cat {board_folder}/*/manifest.json")
    assert found == (lenet5_rpi4 / "manifest.json").read_text()
