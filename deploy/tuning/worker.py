"""The measuring process: takes jobs from its parent until that closes the connection.

Usage: ``python -m edgewright.deploy.tuning.worker FILE_DESCRIPTOR FOLDER``
"""

from __future__ import annotations

import contextlib
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from edgewright.deploy.toolchain import Toolchain, compile_runtime, open_toolchain
from edgewright.deploy.tuning.job import Failed, Job, Reply
from edgewright.deploy.tuning.measure import measure
from edgewright.spec.errors import EdgewrightError

__all__ = ["main"]


def main(descriptor: int, folder: Path) -> None:
    """Answer jobs, each with any number of ``Began`` and ``Ended`` and one other reply."""
    connection = Connection(descriptor)
    lock = threading.Lock()  # candidates are compiled, and spoken of, in several threads
    linker: tuple[Toolchain, list[str]] | None = None

    def say(reply: Reply) -> None:
        with lock:
            connection.send(reply)

    with contextlib.suppress(EOFError):
        while True:
            job: Job = connection.recv()
            try:
                if linker is None:
                    toolchain = open_toolchain(job.target)
                    linker = toolchain, compile_runtime(toolchain, folder / "runtime")
                say(measure(job, *linker, say))
            except EdgewrightError as error:
                say(Failed(error.paragraph()))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
