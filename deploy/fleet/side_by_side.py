"""Does the same for all boards at once, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from edgewright.deploy.fleet.fleet_file import FleetBoard
from edgewright.deploy.transport.programs import Programs
from edgewright.spec.progress import Progress, silent

__all__ = ["Tell", "side_by_side"]

#: Told the fraction of a board's work that is done.
Tell = Callable[[float], None]

_Result = TypeVar("_Result")
_TICK_SECONDS = 0.1
#: What cleans up after an interruption has this long before it is ended too.
_PATIENCE_SECONDS = 5.0


class _Stopped(BaseException):
    """The other threads were told to end."""


def side_by_side(
    boards: Sequence[FleetBoard],
    work: Callable[[FleetBoard, Tell], _Result],
    progress: Progress = silent,
) -> list[_Result]:
    """Do the work for each board, and return what it made of them, in order.

    Whatever ends this thread's wait (an error of ``progress``, Ctrl-C) ends the programs that the
    threads wait for, and with them the threads.

    Args:
        boards: any number.
        work: called in a thread for each board, with what it tells its progress.
        progress: told each board's name and the fraction that is done, in this thread.

    Raises:
        Exception: what ``work`` raised for the first board for which it did.
    """
    if not boards:
        return []
    programs, stop = Programs(), threading.Event()
    done: dict[str, float] = {}

    def one(board: FleetBoard) -> _Result:
        def tell(fraction: float) -> None:
            if stop.is_set():
                raise _Stopped
            done[board.name] = fraction

        with programs.watch():
            tell(0.0)
            return work(board, tell)

    with ThreadPoolExecutor(len(boards), thread_name_prefix="board") as pool:
        futures = [pool.submit(one, board) for board in boards]
        try:
            pending = set(futures)
            while pending:
                pending = wait(pending, timeout=_TICK_SECONDS).not_done
                for name, fraction in dict(done).items():
                    progress(name, fraction)
        except BaseException:
            stop.set()
            while pending:
                programs.end()
                pending = wait(pending, timeout=_PATIENCE_SECONDS).not_done
            raise
    return [future.result() for future in futures]
