"""The process that an engine runs in, seen from ``peers.py``."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Process", "ProcessFailure"]

WORKER = Path(__file__).with_name("peer_worker.py")
#: The last lines of what the engine printed are part of a failure's message.
SHOWN_CHARACTERS = 600


class ProcessFailure(RuntimeError):
    """The engine raised, died, or gave wrong numbers; the message says what it said."""


class Process:
    """A ``peer_worker.py`` that lives as long as this context.

    Args:
        engine: a name of ``peer_engines.ENGINES``.
        python: the interpreter, which has the engine's packages.
    """

    def __init__(self, engine: str, python: str) -> None:
        self.engine = engine
        self.printed = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in __exit__
        try:
            self.process = subprocess.Popen(
                [python, str(WORKER), engine],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.printed,
                text=True,
            )
        except OSError as error:
            self.printed.close()
            raise ProcessFailure(f"'{python}' cannot be started ({error.strerror})") from error

    def __enter__(self) -> Process:
        return self

    def call(self, do: str, **arguments: Any) -> Any:
        """What the worker's method of that name returns.

        Raises:
            ProcessFailure: it raised, or the process died.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ProcessFailure(f"it died with status {self.process.wait()}. {self._said()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ProcessFailure(f"{answer['error']}. {self._said()}")
        return answer["result"]

    def _said(self) -> str:
        self.printed.seek(0)
        text = self.printed.read().strip()
        return f"It printed: {text[-SHOWN_CHARACTERS:]}" if text else "It printed nothing."

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        if kind is not None:
            self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()  # ends the worker's loop
        self.process.wait()
        self.process.stdout.close()
        self.printed.close()
