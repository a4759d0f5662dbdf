"""A measuring process that dies as its job's threads tell it to: see ``SCRIPTS``."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection

from edgewright.deploy.tuning.job import Began, Ended, Failed, Job, Outcome, Reply

RUNS = [Began("a", True), Began("b", True), Began("c", True), Ended("a")]
#: What it says before it dies of a signal, by the job's number of threads; with a candidate left
#: out or compiled alone it says what is in the second list.
SCRIPTS: dict[int, tuple[list[Reply], list[Reply]]] = {
    1: (list(RUNS), []),
    2: ([Began("a"), Began("b")], [Began("a"), Ended("a"), Began("b")]),
    3: ([Began("a"), Ended("a")], []),
    4: ([Failed("the linker is out of luck")], []),
}


def main(descriptor: int) -> None:
    """Answer jobs until a script ends."""
    connection = Connection(descriptor)
    while True:
        job: Job = connection.recv()
        if job.without:
            connection.send(Outcome("a", "a", 1, (), ()))
            continue
        for reply in SCRIPTS[job.threads][int(job.one_by_one)]:
            connection.send(reply)
            if isinstance(reply, Failed):
                return
        print("the last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)


if __name__ == "__main__":
    main(int(sys.argv[1]))
