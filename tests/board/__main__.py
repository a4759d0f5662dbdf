"""`make emulated-board`: a board to try commands on, until Ctrl-C."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from pathlib import Path

from edgewright.deploy.transport.ssh_machine import SSH_COMMAND
from tests.board.debian import ImageError
from tests.board.emulated_board import BoardFailure, EmulatedBoard, why_no_boards
from tests.board.image import IMAGES, board_image
from tests.board.ssh_access import SshAccess


def main() -> str | None:
    """Boot one board and say how to reach it; returns why that was not possible."""
    options = argparse.ArgumentParser(prog="make emulated-board", description=__doc__)
    options.add_argument("--image", choices=IMAGES, default="bookworm")
    options.add_argument("--core", default="cortex-a72", help="as QEMU calls it")
    options.add_argument("--cores", type=int, default=2)
    options.add_argument("--only-images", action="store_true", help="make all images, boot nothing")
    asked = options.parse_args()
    if absent := why_no_boards():
        return absent
    try:
        if asked.only_images:
            for image in IMAGES:
                board_image(image)
            return None
        made = board_image(asked.image)
        with tempfile.TemporaryDirectory(prefix="emulated-board-") as name:
            access = SshAccess(Path(name))
            board = EmulatedBoard(
                made, access, Path(name) / "board", core=asked.core, cores=asked.cores
            )
            with board:
                _serve(board)
    except (ImageError, BoardFailure) as error:
        return str(error)
    return None


def _serve(board: EmulatedBoard) -> None:
    setting = shlex.quote(board.environment()[SSH_COMMAND])
    print(
        f"{board.address()} (and ssh://pi@…) is a {board.image.name} board, until Ctrl-C.\n"
        f"In another terminal:\n\n"
        f"    export {SSH_COMMAND}={setting}\n"
        f"    edgewright deploy BUNDLE {board.address('/opt/model')}\n"
        f"    ssh -F {board.access.config} -p {board.port} root@127.0.0.1\n",
        flush=True,
    )
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("switched off")


if __name__ == "__main__":
    sys.exit(main())
