"""Measures models on many boards in one run: ask, compile, measure side by side."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewright.compile_jobs import CompileJob, Outcome, compile_here
from edgewright.deploy.boards.registry import resolve
from edgewright.deploy.bundle import read_bundle
from edgewright.deploy.fleet.fleet_file import Fleet, FleetBoard, read_fleet
from edgewright.deploy.fleet.fleet_result import BoardResult, FleetResult, LostBoard
from edgewright.deploy.fleet.measure_boards import ask_target, measure_board
from edgewright.deploy.fleet.side_by_side import Tell, side_by_side
from edgewright.deploy.output_folder import check_output, staged_folder
from edgewright.model_name import model_name
from edgewright.spec.progress import Progress, silent

__all__ = ["FleetResult", "bench_fleet"]

_BUNDLES = "bundles"


def bench_fleet(
    path: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> FleetResult:
    """Measure models on all boards of a fleet.

    Each model is compiled once for each distinct target. Then every board gets the bundles of its
    target, proves them by their golden outputs, and measures them, all boards at the same time. A
    board that fails is named in the result with the reason; the others' results stand.

    Args:
        path: ``fleet.toml``; docs/fleet.md describes its keys.
        output: a folder for the bundles and one JSON file for each board (and model, if there are
            several), as ``edgewright bench --json`` prints it; None keeps neither.
        cluster: a Dask scheduler (``tcp://host:8786``) whose workers compile; None to compile here.
        progress: told each compilation's and each board's name, and the fraction that is done.

    Raises:
        UsageError: the file, the output or the cluster's address is wrong.
        BundleError: a ready bundle is damaged.
        ToolError: ssh is not installed, or the cluster cannot be used.
        EnvironmentFailure: the disk failed. Whatever is raised, nothing is left behind.
    """
    fleet, say = read_fleet(Path(path)), progress or silent
    ready = {bundle: _target_of(Path(bundle)) for bundle in fleet.bundles}
    with _folder(output) as folder:
        targets = dict(zip(fleet.boards, side_by_side(fleet.boards, ask_target, say), strict=True))
        jobs = _jobs(fleet, [target for target in targets.values() if isinstance(target, str)])
        outcomes = _compile(jobs.values(), folder / _BUNDLES, cluster, say)
        plans = [
            _plan(board, target, fleet, jobs, outcomes, ready)
            for board, target in targets.items()
            if isinstance(target, str)
        ]
        measured = _measure(fleet, plans, say)
        rows = _in_order(fleet, targets.values(), plans, measured)
        result = FleetResult(
            tuple(row for row in rows if isinstance(row, BoardResult)),
            tuple(row for row in rows if isinstance(row, LostBoard)),
        )
        if output is not None:
            _write_results(folder, fleet, result)
    return result


@dataclass(frozen=True)
class _Plan:
    """What is done on a board.

    Attributes:
        board: the board.
        target: what was compiled for it.
        bundles: what it measures.
        lost: what could not be compiled for it.
    """

    board: FleetBoard
    target: str
    bundles: tuple[Path, ...]
    lost: tuple[LostBoard, ...]


@contextlib.contextmanager
def _folder(output: str | os.PathLike[str] | None) -> Iterator[Path]:
    """Where bundles and results go: a folder that appears at the end, or a temporary one."""
    if output is None:
        with tempfile.TemporaryDirectory(prefix="edgewright-fleet-") as temporary:
            yield Path(temporary)
        return
    check_output(Path(output), replaceable=lambda _: False)
    with staged_folder(Path(output), replaceable=lambda _: False) as staging:
        yield staging


def _target_of(bundle: Path) -> str:
    """The target of a ready bundle.

    Raises:
        BundleError: it is damaged.
    """
    return read_bundle(bundle).manifest.board


def _jobs(fleet: Fleet, targets: Sequence[str]) -> dict[tuple[str, str], CompileJob]:
    """A compilation for each model and distinct target, by both."""
    options = dataclasses.asdict(fleet.compile)
    jobs: dict[tuple[str, str], CompileJob] = {}
    labels: set[str] = set()
    for model in fleet.models:
        for text in dict.fromkeys(targets):
            core, board = resolve(text)
            name = f"{model_name(None, Path(model))}-{board.name if board else core.name}"
            # Models may have the same name, and targets be of the same core.
            label = _unused(name, labels)
            jobs[model, text] = CompileJob(label, Path(model), board or core, options)
    return jobs


def _unused(name: str, taken: set[str]) -> str:
    """The name, or with a number behind it if it is taken; then it is taken."""
    numbered = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    found = next(candidate for candidate in numbered if candidate not in taken)
    taken.add(found)
    return found


def _compile(
    jobs: Iterable[CompileJob], folder: Path, cluster: str | None, progress: Progress
) -> dict[str, Outcome]:
    """Bundles, or reasons, by label."""
    if cluster is None:
        return compile_here(list(jobs), folder, progress)
    from edgewright.cluster import compile_on_cluster

    return compile_on_cluster(cluster, list(jobs), folder, progress)


def _plan(
    board: FleetBoard,
    target: str,
    fleet: Fleet,
    jobs: Mapping[tuple[str, str], CompileJob],
    outcomes: Mapping[str, Outcome],
    ready: Mapping[str, str],
) -> _Plan:
    """What a board measures, and what it misses."""
    core, entry = resolve(target)
    name = entry.name if entry else core.name
    bundles: list[Path] = []
    lost: list[LostBoard] = []
    for model in fleet.models:
        outcome = outcomes[jobs[model, target].label]
        if isinstance(outcome, Path):
            bundles.append(outcome)
        else:
            of = model_name(None, Path(model))
            lost.append(LostBoard(board.name, board.address, target, of, "compile", outcome))
    bundles += [Path(bundle) for bundle, made_for in ready.items() if made_for == name]
    if not bundles and not lost:
        reason = (
            f"None of the fleet's ready bundles is for '{name}', the target of the board "
            f"'{board.name}'. Add one, or give the fleet the model to compile."
        )
        lost.append(LostBoard(board.name, board.address, target, None, "compile", reason))
    return _Plan(board, target, tuple(bundles), tuple(lost))


def _measure(
    fleet: Fleet, plans: Sequence[_Plan], progress: Progress
) -> dict[str, list[BoardResult | LostBoard]]:
    """What came of each board that has something to measure, by its name."""
    busy = {plan.board.name: plan for plan in plans if plan.bundles}

    def measure(board: FleetBoard, tell: Tell) -> list[BoardResult | LostBoard]:
        plan = busy[board.name]
        return measure_board(board, plan.target, plan.bundles, fleet.bench, tell)

    boards = [plan.board for plan in busy.values()]
    done = side_by_side(boards, measure, progress)
    return {board.name: rows for board, rows in zip(boards, done, strict=True)}


def _in_order(
    fleet: Fleet,
    targets: Iterable[str | LostBoard],
    plans: Sequence[_Plan],
    measured: Mapping[str, list[BoardResult | LostBoard]],
) -> list[BoardResult | LostBoard]:
    """All rows, in the order of the file's boards."""
    rows: list[BoardResult | LostBoard] = [row for row in targets if isinstance(row, LostBoard)]
    for plan in plans:
        rows += [*plan.lost, *measured.get(plan.board.name, [])]
    places = {board.name: index for index, board in enumerate(fleet.boards)}
    return sorted(rows, key=lambda row: places[row.board])


def _write_results(folder: Path, fleet: Fleet, result: FleetResult) -> None:
    """One file for each board, or for each board and model if there are several."""
    several = len(fleet.models) + len(fleet.bundles) > 1
    taken: set[str] = set()
    for row in result.results:
        board = row.board
        name = _unused(f"{board}.{row.benchmark.model}" if several else board, taken)
        text = json.dumps(row.benchmark.to_dict(), indent=2, sort_keys=True, allow_nan=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
