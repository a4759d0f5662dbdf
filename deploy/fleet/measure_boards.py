"""Asks a fleet's boards what they are, and measures bundles on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from edgewright.deploy.bench_bundle import bench_bundle
from edgewright.deploy.benchmark import Benchmark
from edgewright.deploy.board_runner import on_board
from edgewright.deploy.boards.match import match_board
from edgewright.deploy.boards.registry import list_boards
from edgewright.deploy.boards.report import read_report
from edgewright.deploy.bundle import BundleFolder, read_bundle
from edgewright.deploy.deploy_scripts import run_selftest
from edgewright.deploy.fleet.fleet_file import BenchOptions, FleetBoard
from edgewright.deploy.fleet.fleet_result import BoardResult, LostBoard, reason_of
from edgewright.deploy.fleet.side_by_side import Tell
from edgewright.deploy.runner import check_host
from edgewright.deploy.transport.local_machine import LocalMachine
from edgewright.deploy.transport.open_machine import open_machine
from edgewright.spec.errors import BoardError, UnreachableError, VerificationError
from edgewright.spec.progress import Progress

__all__ = ["ask_target", "measure_board"]

_SELFTEST_SECONDS = 1800.0
_SELFTEST_DIFFERS = 1
#: What share of the work is done when a stage begins, and when it ends.
_SHARES = {"check": (0.0, 0.1), "copy": (0.1, 0.3), "selftest": (0.3, 0.4), "bench": (0.4, 1.0)}


def ask_target(board: FleetBoard, tell: Tell) -> str | LostBoard:
    """What is compiled for a board, once it has answered.

    A board that does not answer is lost here, before minutes are spent on compiling for it.

    Args:
        board: with its target, or to be asked; this machine's is ``host`` unless it is matched.
        tell: told the fraction that is done.
    """
    try:
        with open_machine(board.address) as machine:
            report = read_report(machine)
        tell(1.0)
        if board.target is not None:
            return board.target
        match = match_board(report, list_boards())
        if match is not None:
            return match.board.name
        if board.address == "host":
            return "host"
        what = report.model or report.processor or "its hardware"
        raise BoardError(
            f"no entry describes the board '{board.name}' at {machine.name} ({what})",
            rule="A model is compiled for an entry of `edgewright boards list`.",
            remedy="Give the board a target in the fleet's file, or make an entry of it with "
            f"`edgewright boards detect {machine.name} --save NAME`.",
        )
    except Exception as error:
        return LostBoard(board.name, board.address, board.target, None, "ask", reason_of(error))


def measure_board(
    board: FleetBoard, target: str, bundles: Sequence[Path], options: BenchOptions, tell: Tell
) -> list[BoardResult | LostBoard]:
    """Prove and measure bundles on a board, one after the other.

    Args:
        board: where.
        target: what they were compiled for, for the results.
        bundles: their folders.
        options: how to measure.
        tell: told the fraction that is done.

    Returns:
        For each bundle its result, or why there is none.
    """
    done: list[BoardResult | LostBoard] = []
    gone: UnreachableError | None = None
    for index, path in enumerate(bundles):

        def progress(stage: str, fraction: float, index: int = index) -> None:
            begin, end = _SHARES[stage]
            tell((index + begin + (end - begin) * fraction) / len(bundles))

        name: str | None = None
        try:
            bundle = read_bundle(path)
            name = bundle.manifest.name
            if gone is not None:  # nobody waits for the same board once more
                raise gone
            benchmark = _measure(bundle, board.address, options, progress)
        except Exception as error:
            gone = error if isinstance(error, UnreachableError) else gone
            reason = reason_of(error)
            done.append(LostBoard(board.name, board.address, target, name, "measure", reason))
        else:
            done.append(BoardResult(board.name, board.address, target, benchmark))
    tell(1.0)
    return done


def _measure(
    bundle: BundleFolder, address: str, options: BenchOptions, progress: Progress
) -> Benchmark:
    """Bring the bundle there, prove it there, and time it.

    Raises:
        EdgewrightError: the board was lost, refuses the bundle or computes other numbers.
    """
    if address == "host":
        check_host(bundle)
        _prove_here(bundle, progress)
    else:
        with open_machine(address) as machine:
            place = on_board(bundle, machine, selftest=True, progress=progress)
            address = machine.name + quote(place)
    return bench_bundle(
        bundle,
        on=address,
        threads=options.threads,
        sweep=options.sweep,
        repeats=options.repeats,
        profile=options.profile,
        progress=progress,
    )


def _prove_here(bundle: BundleFolder, progress: Progress) -> None:
    """Run the golden inputs on this machine.

    Raises:
        VerificationError: the numbers differ from the reference.
        BoardError: the program does not run here.
    """
    progress("selftest", 0.0)
    script = run_selftest(str(bundle.path.resolve()), bundle.manifest.target.num_cores)
    with LocalMachine() as machine:
        done = machine.shell(script, timeout_seconds=_SELFTEST_SECONDS)
    if done.status == _SELFTEST_DIFFERS:
        raise VerificationError(
            f"this machine computes other numbers than the reference ({done.why})",
            rule="Only a bundle whose golden outputs come out is measured.",
            remedy="Run `edgewright verify` on the bundle for what differs.",
        )
    if done.status != 0:
        raise BoardError(
            f"the selftest failed on this machine ({done.why})",
            remedy="Compile the model for --target host.",
        )
