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
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NoReturn, TypeVar

import typer
from rich.console import Console

from edgewright.spec.errors import EdgewrightError
from edgewright.spec.progress import Progress

if TYPE_CHECKING:
    from typing_extensions import Self

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

Json = Annotated[
    bool, typer.Option("--json", help="Print machine output on stdout, all else on stderr.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
On = Annotated[
    str,
    typer.Option(
        "--on",
        help="Where it runs: host, qemu, emulated-gpu, or ssh://user@host[:port][/path].",
    ),
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
        yield lambda stage, fraction: _signals.check()
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        rows: dict[str, Any] = {}

        def show(stage: str, fraction: float) -> None:
            _signals.check()
            if stage not in rows:
                rows[stage] = bars.add_task(stage, total=1.0)
            bars.update(rows[stage], completed=min(1.0, max(0.0, fraction)))

        yield show


class _Interrupted(BaseException):
    """SIGINT or SIGTERM: whatever is half-written is taken away on its way out."""


class _Signals:
    """Turns signals into exceptions, and remembers them.

    An exception may be raised while C code is on the stack, which answers with one of its own or
    with none: what was remembered decides how the verb ends, and progress raises it again.
    """

    STATUSES: ClassVar[dict[int, int]] = {signal.SIGINT: 130, signal.SIGTERM: 143}

    def __init__(self) -> None:
        self.status = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.status = 0
        try:
            for number in self.STATUSES:
                self._before[number] = signal.signal(number, self._stop)
        except ValueError:  # not the main thread: signals are someone else's
            self._before.clear()
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        self.status = 0

    def _stop(self, number: int, frame: FrameType | None) -> NoReturn:
        self.status = self.STATUSES[number]
        raise _Interrupted

    def check(self) -> None:
        """Raise what was received before, if C code let it pass."""
        if self.status:
            raise _Interrupted


_signals = _Signals()


def verb(function: _Function) -> _Function:
    """Give a command its end: errors as one paragraph, exit statuses, nothing left behind.

    The function's ``debug`` lets errors through; its ``as_json`` puts them on stdout too.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        debug, as_json = kwargs.get("debug", False), kwargs.get("as_json", False)
        with _signals:
            try:
                function(*args, **kwargs)
            except (typer.Exit, typer.Abort, typer.TyperException):
                raise
            except (Exception, KeyboardInterrupt, _Interrupted) as error:
                if isinstance(error, BrokenPipeError) and _stdout_is_closed():
                    finish(0)
                if debug:
                    messages().print_exception()
                _fail(*_ending(error), as_json)

    return run  # type: ignore[return-value]  # functools.wraps keeps the signature that typer reads


def _ending(error: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit status."""
    if _signals.status or isinstance(error, KeyboardInterrupt):
        return "Interrupted; nothing was left behind.", _signals.status or INTERRUPTED
    if isinstance(error, EdgewrightError):
        return error.paragraph(), error.exit_status
    first = " ".join(str(error).split())[:300]
    return (
        f"Edgewright failed in a way it does not know: {type(error).__name__}: {first}. This is a "
        "defect of Edgewright; run the command with --debug for the traceback, and report it with "
        "the model.",
        DEFECT,
    )


def _fail(paragraph: str, status: int, as_json: bool) -> NoReturn:
    if as_json:
        emit({"error": paragraph, "exit_status": status})
    messages().print(paragraph, markup=False, soft_wrap=True)
    finish(status)


def _stdout_is_closed() -> bool:
    """Whether who read our results has gone; if so, Python does not complain of it at its end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return True
    return False
