"""Programs that threads wait for, so that another thread can end them.

A thread that waits for ssh cannot be interrupted from outside; ending ssh ends its wait.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["Programs", "waiting_for"]

_of_thread = threading.local()


class Programs:
    """What the threads inside :meth:`watch` are waiting for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[Any]] = set()

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Know of every program that this thread waits for inside the block."""
        _of_thread.programs = self
        try:
            yield
        finally:
            _of_thread.programs = None

    def end(self) -> None:
        """Ask all of them to end; who waits for one learns of it as of any other end."""
        with self._lock:
            for process in self._running:
                process.terminate()

    def _add(self, process: subprocess.Popen[Any]) -> None:
        with self._lock:
            self._running.add(process)

    def _remove(self, process: subprocess.Popen[Any]) -> None:
        with self._lock:
            self._running.discard(process)


@contextlib.contextmanager
def waiting_for(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Let this thread's :class:`Programs`, if it has any, know of a process inside the block."""
    programs: Programs | None = getattr(_of_thread, "programs", None)
    if programs is None:
        yield
        return
    programs._add(process)
    try:
        yield
    finally:
        programs._remove(process)
