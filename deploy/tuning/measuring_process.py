"""Measures workloads in another process, so that a candidate that crashes ends nothing else."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.compiler.tunable import Tunable
from edgewright.deploy.transport.transport import Completed
from edgewright.deploy.tuning.job import Began, Ended, Failed, Job, Outcome, Reply
from edgewright.schedules.records import Excluded
from edgewright.spec.errors import ToolError
from edgewright.spec.target import Target

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MeasuringProcess"]

#: No candidate takes this long: the process hangs.
_TIMEOUT_SECONDS = 300.0
#: How often the caller hears of a long job.
_TICK_SECONDS = 0.2

#: How long the process may take to end once nobody listens.
_END_SECONDS = 1.0

_WORKER = "edgewright.deploy.tuning.worker"


class MeasuringProcess:
    """A process that measures one workload after another, started anew when it has died.

    Args:
        target: what to compile for; this machine must run it.
        threads: threads that share the work.
        module: the Python module that is the process.
    """

    def __init__(self, target: Target, threads: int, module: str = _WORKER) -> None:
        self._target = target
        self._threads = threads
        self._module = module
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """Make the folder that everything is built in; the process starts with the first job."""
        self._folder = Path(tempfile.mkdtemp(prefix="edgewright-tune-"))
        return self

    def __exit__(self, *exception: object) -> None:
        """End the process and remove what it built."""
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def measure(
        self, tunable: Tunable, seconds: float, tick: Callable[[], None] = lambda: None
    ) -> Outcome:
        """Measure one workload.

        Args:
            tunable: the workload.
            seconds: how long to time.
            tick: called several times a second; what it raises ends the measuring.

        Raises:
            ToolError: the toolchain failed, or the process dies with no candidate to blame.
        """
        blamed: dict[str, str] = {}
        one_by_one = False
        while True:
            place = self._folder / f"job{next(self._numbers)}"
            job = Job(
                tunable=tunable,
                target=self._target,
                threads=self._threads,
                without=frozenset(blamed),
                one_by_one=one_by_one,
                seconds=seconds,
                folder=str(place),
            )
            running, reply = self._run(job, tick)
            shutil.rmtree(place, ignore_errors=True)
            if isinstance(reply, Outcome):
                crashed = tuple(Excluded(name, reason) for name, reason in blamed.items())
                return replace(reply, excluded=(*reply.excluded, *crashed))
            if isinstance(reply, Failed):
                raise ToolError(reply.reason)
            if not running:
                raise ToolError(
                    f"the process that measures kernels ended on its own ({reply})",
                    remedy="Run the command again; if it happens again, report the model.",
                )
            if running[0].runs or len(running) == 1:
                blamed[running[0].kernel] = f"ended the process that measured it ({reply})"
            else:  # compiled beside one another: which it was shows when they take turns
                one_by_one = True

    def _run(
        self, job: Job, tick: Callable[[], None]
    ) -> tuple[list[Began], Outcome | Failed | str]:
        """What had begun and not ended, and the last reply or how the process died."""
        connection = self._start()
        running: list[Began] = []
        try:
            connection.send(job)
            silent = 0.0
            while silent < _TIMEOUT_SECONDS:
                tick()
                if not connection.poll(_TICK_SECONDS):
                    silent += _TICK_SECONDS
                    continue
                silent = 0.0
                reply: Reply = connection.recv()
                if isinstance(reply, Began):
                    running.append(reply)
                elif isinstance(reply, Ended):
                    running = [began for began in running if began.kernel != reply.kernel]
                else:
                    return running, reply
            self._stop()
            return running, f"no answer for {_TIMEOUT_SECONDS:g} s"
        except (EOFError, ConnectionError):
            return running, self._stop()
        except BaseException:
            self._stop()
            raise

    def _start(self) -> Connection:
        """The connection to the process, which is started if it does not run."""
        if self._connection is not None:
            return self._connection
        ours, theirs = Pipe()
        place = self._folder / f"process{next(self._numbers)}"
        place.mkdir()
        with theirs, (self._folder / "stderr").open("wb") as complaints:
            descriptor = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(descriptor), str(place)],
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )
        self._connection = ours
        return ours

    def _stop(self) -> str:
        """End the process, if it has not ended; how it ended."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        process, self._process = self._process, None
        if process is None:
            return ""
        try:
            status = process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        complaint = (self._folder / "stderr").read_text(errors="replace")
        return Completed(status, "", complaint).why
