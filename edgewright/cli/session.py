"""What every verb shares: its common options, where it prints, and how it ends.

Exit statuses: 0 fine; 1 a verification failed; 2 bad usage, bad or unsupported model; 3 the
environment or the board failed; 4 a defect of Edgewright itself; 130 and 143 interrupted.
"""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from edgewright.spec.errors import EdgewrightError
from edgewright.spec.progress import Progress

__all__ = [
    "Debug",
    "Json",
    "On",
    "emit",
    "finish",
    "messages",
    "progress_bar",
    "results",
    "verb",
]

#: Exit status of an error that Edgewright did not foresee.
DEFECT = 4
INTERRUPTED = 130
TERMINATED = 143

Json = Annotated[
    bool, typer.Option("--json", help="Print machine output on stdout, all else on stderr.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
On = Annotated[
    str, typer.Option("--on", help="Where it runs: host, qemu, or ssh://user@host[:port].")
]

_Function = TypeVar("_Function", bound=Callable[..., None])


def results() -> Console:
    """Where a verb's result goes: stdout. Tables in a file or pipe are not folded to 80 columns."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def messages() -> Console:
    """Where all else goes: stderr."""
    return Console(stderr=True, highlight=False)


def emit(value: Any) -> None:
    """Print machine output: one JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def finish(status: int) -> NoReturn:
    """End the verb with an exit status."""
    raise typer.Exit(status)


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar for each stage on stderr, if that is a terminal; else nothing."""
    console = messages()
    if not console.is_terminal:
        yield lambda stage, fraction: None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        rows: dict[str, Any] = {}

        def show(stage: str, fraction: float) -> None:
            if stage not in rows:
                rows[stage] = bars.add_task(stage, total=1.0)
            bars.update(rows[stage], completed=min(1.0, max(0.0, fraction)))

        yield show


class _Terminated(BaseException):
    """SIGTERM, as an exception: whatever is half-written is taken away on its way out."""


def verb(function: _Function) -> _Function:
    """Give a command its end: errors as one paragraph, exit statuses, nothing left behind.

    The function's ``debug`` lets errors through; its ``as_json`` puts them on stdout too.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        debug, as_json = kwargs.get("debug", False), kwargs.get("as_json", False)
        with _sigterm_raises():
            try:
                function(*args, **kwargs)
            except EdgewrightError as error:
                if debug:
                    messages().print_exception()
                _fail(error.paragraph(), error.exit_status, as_json)
            except KeyboardInterrupt:
                _fail("Interrupted; nothing was left behind.", INTERRUPTED, as_json)
            except _Terminated:
                _fail("Terminated; nothing was left behind.", TERMINATED, as_json)
            except BrokenPipeError:
                _close_stdout()
                finish(0)
            except (typer.Exit, typer.Abort, typer.TyperException):
                raise
            except Exception as error:
                if debug:
                    messages().print_exception()
                first = " ".join(str(error).split())[:300]
                _fail(
                    f"Edgewright failed in a way it does not know: {type(error).__name__}: "
                    f"{first}. This is a defect of Edgewright; run the command with --debug for "
                    "the traceback, and report it with the model.",
                    DEFECT,
                    as_json,
                )

    return run  # type: ignore[return-value]  # functools.wraps keeps the signature that typer reads


def _fail(paragraph: str, status: int, as_json: bool) -> NoReturn:
    if as_json:
        emit({"error": paragraph, "exit_status": status})
    messages().print(paragraph, markup=False, soft_wrap=True)
    finish(status)


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise _Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: signals are someone else's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _close_stdout() -> None:
    """Keep Python from complaining once more when it flushes a closed pipe at its end."""
    with contextlib.suppress(OSError):
        sys.stdout.close()
