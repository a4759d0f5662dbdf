from __future__ import annotations

import threading
import time

from edgewright.deploy.transport.programs import Programs
from edgewright.deploy.transport.transport import Completed, run_program


def test_a_program_that_a_thread_waits_for_can_be_ended() -> None:
    programs, ended = Programs(), list[Completed]()

    def wait() -> None:
        with programs.watch():
            ended.append(run_program(["sleep", "60"], timeout_seconds=120))

    thread = threading.Thread(target=wait)
    thread.start()
    start = time.monotonic()
    while thread.is_alive() and time.monotonic() < start + 30:
        programs.end()
        thread.join(0.05)
    assert [done.status for done in ended] == [-15]
    assert time.monotonic() < start + 30


def test_programs_of_other_threads_are_left_alone() -> None:
    programs = Programs()
    with programs.watch():
        pass
    thread = threading.Timer(0.2, programs.end)
    thread.start()
    assert run_program(["sleep", "0.5"], timeout_seconds=60).status == 0
    thread.join()
