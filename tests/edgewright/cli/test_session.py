from __future__ import annotations

import json
import os
import signal
import threading

import pytest
import typer
from typer.testing import CliRunner

from edgewright.cli.session import DEFECT, Debug, Json, progress_bar, verb
from edgewright.spec import errors


def app_raising(error: BaseException) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    @verb
    def command(as_json: Json = False, debug: Debug = False) -> None:
        """Fail."""
        raise error

    return app


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.VerificationError, 1),
        (errors.UsageError, 2),
        (errors.TargetError, 2),
        (errors.ModelError, 2),
        (errors.UnsupportedModelError, 2),
        (errors.BundleError, 2),
        (errors.ToolError, 3),
        (errors.BoardError, 3),
        (errors.EnvironmentFailure, 3),
    ],
)
def test_an_error_is_one_paragraph_with_its_status(
    kind: type[errors.EdgewrightError], status: int
) -> None:
    app = app_raising(kind("the value [bold]7[/bold] is odd", rule="It is even.", remedy="Add 1"))
    result = CliRunner().invoke(app, [])
    assert result.exit_code == status
    assert result.stdout == ""
    assert result.stderr == "the value [bold]7[/bold] is odd. It is even. Add 1.\n"
    result = CliRunner().invoke(app, ["--json"])
    assert json.loads(result.stdout) == {
        "error": "the value [bold]7[/bold] is odd. It is even. Add 1.",
        "exit_status": status,
    }


def test_a_defect_is_one_paragraph_and_a_traceback_only_with_debug() -> None:
    app = app_raising(ZeroDivisionError("division\nby zero"))
    result = CliRunner().invoke(app, [])
    assert result.exit_code == DEFECT
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" in CliRunner().invoke(app, ["--debug"]).stderr
    plain = app_raising(errors.UsageError("odd"))
    assert "Traceback" in CliRunner().invoke(plain, ["--debug"]).stderr


def test_interruptions_have_the_shells_statuses() -> None:
    result = CliRunner().invoke(app_raising(KeyboardInterrupt()), [])
    assert result.exit_code == 130
    assert "nothing was left behind" in result.stderr


def test_a_termination_unwinds() -> None:
    app = typer.Typer()
    unwound = threading.Event()

    @app.command()
    @verb
    def command(debug: Debug = False) -> None:
        """Wait to be killed."""
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            unwound.set()

    before = signal.getsignal(signal.SIGTERM)
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 143
    assert unwound.is_set()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("swallowed", [False, True], ids=["wrapped", "swallowed"])
def test_an_interruption_outlives_what_c_code_makes_of_it(
    number: signal.Signals, status: int, swallowed: bool
) -> None:
    app = typer.Typer()

    @app.command()
    @verb
    def command(debug: Debug = False) -> None:
        """Behave as a callback of C does."""
        with progress_bar() as progress:
            try:
                os.kill(os.getpid(), number)
                signal.pause()
            except BaseException:
                if not swallowed:
                    raise RuntimeError("callback failed") from None
            progress("next", 0.0)
            pytest.fail("it must not come so far")

    result = CliRunner().invoke(app, [])
    assert result.exit_code == status
    assert result.stderr == "Interrupted; nothing was left behind.\n"


def test_without_a_terminal_there_is_no_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as progress:
        progress("load", 0.0)
        progress("load", 1.0)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_another_pipe_that_breaks_is_no_success() -> None:
    @verb
    def fail(debug: bool = False) -> None:
        raise BrokenPipeError("a connection, not stdout")

    with pytest.raises(typer.Exit) as caught:
        fail()
    assert caught.value.exit_code == 4
