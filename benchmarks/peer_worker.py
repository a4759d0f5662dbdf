"""One engine with one number of threads, in a process of its own; commanded over its pipes.

``peers.py`` starts it: ``python peer_worker.py ENGINE``. Each line of standard input is a JSON
object with ``do`` (a method of :class:`Worker`) and its arguments; each is answered by one line,
``{"result": ...}`` or ``{"error": "..."}``. Needs numpy and the engine's packages, nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from typing import Any, TextIO

import numpy as np
from peer_engines import ENGINES, Files, Infer

#: Threads of the engine that had its turn before may spin for a while.
SETTLE_SECONDS = 0.02


class Worker:
    """An engine, and the network it holds."""

    def __init__(self, engine: str) -> None:
        self.engine = ENGINES[engine]
        self.infer: Infer | None = None
        self.x = np.empty(0, np.float32)

    def version(self) -> dict[str, Any]:
        """The engine's version, or what it misses."""
        try:
            version = self.engine.version if self.engine.packages else None
        except metadata.PackageNotFoundError as error:
            return {"missing": f"the package {error.name} is not installed"}
        return {"version": version}

    def convert(self, files: dict[str, str]) -> None:
        """Write the engine's own model files."""
        self.engine.convert(Files.parse(files))

    def load(self, files: dict[str, str], threads: int, source: str, output: str) -> float:
        """Open the network, run it once on ``source`` and write its logits to ``output``.

        Returns:
            Seconds from nothing to the first logits.
        """
        self.x = np.load(source)
        start = time.perf_counter()
        self.infer = self.engine.load(Files.parse(files), threads)
        logits = self.infer(self.x)
        seconds = time.perf_counter() - start
        np.save(output, np.asarray(logits, dtype=np.float32))
        return seconds

    def measure(self, seconds: float) -> list[tuple[float, float]]:
        """Wall and CPU milliseconds of each inference of one turn, which lasts so long.

        One more goes before them: it fills the caches and wakes the threads that the others' turns
        put to rest.
        """
        assert self.infer is not None
        infer, x = self.infer, self.x
        time.sleep(SETTLE_SECONDS)
        infer(x)
        samples: list[tuple[float, float]] = []
        begin = time.perf_counter_ns()
        while not samples or time.perf_counter_ns() - begin < seconds * 1e9:
            cpu = time.process_time_ns()
            start = time.perf_counter_ns()
            infer(x)
            wall = time.perf_counter_ns() - start
            samples.append((wall / 1e6, (time.process_time_ns() - cpu) / 1e6))
        return samples


@contextlib.contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Standard output for the answers alone: what engines print there goes to standard error."""
    own = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(own, "w", buffering=1) as stream:
        yield stream


def main(engine: str) -> None:
    """Answer commands until standard input ends."""
    worker = Worker(engine)
    with own_stdout() as stream:
        for line in sys.stdin:
            command = json.loads(line)
            try:
                answer = {"result": getattr(worker, command.pop("do"))(**command)}
            # Whatever an engine raises is reported by the process that asked.
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
            stream.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
