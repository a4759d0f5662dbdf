"""Which board of the registry a machine is, and in what it differs from the entry."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from edgewright.deploy.boards.board import Board
from edgewright.deploy.boards.board_report import BoardReport
from edgewright.spec.versions import version_key

__all__ = ["BoardMatch", "match_board"]

#: Clocks that differ by less are the same one, rounded otherwise.
_SAME_CLOCK = 0.02
#: Of the memory, what firmware and kernel keep for themselves; a GPU's share is of that order.
_OWN_MEMORY = 0.25
#: Features that say nothing about the instructions that kernels may use: whether the kernel shows
#: an event stream or the ID registers, and what later kernels no longer name.
_SILENT_FEATURES = {"evtstrm", "cpuid", "swp", "tls", "thumb", "half", "fastmult", "java", "lpae"}


@dataclass(frozen=True)
class BoardMatch:
    """A board, and how the machine at hand differs from what is written of it.

    Attributes:
        board: the entry.
        differences: sentences, those that change what runs there first.
    """

    board: Board
    differences: tuple[str, ...]


def match_board(report: BoardReport, boards: Iterable[Board]) -> BoardMatch | None:
    """The entry of the board that a report is from; None if there is none.

    Boards are known by their device tree's names, which go from the board's own to the SoC's. Where
    several entries share the first name that any has, the one with the most equal cores is meant;
    the user's own entries go before Edgewright's.
    """
    known = list(boards)
    for name in _names(report):
        sharing = [board for board in known if name in board.compatible]
        if sharing:
            best = max(sharing, key=lambda board: (board.own, -_cores_apart(report, board)))
            return BoardMatch(best, _differences(report, best))
    return None


def _names(report: BoardReport) -> list[str]:
    """The device tree's names; ``vendor,carrier+module`` is the module's name too, and first."""
    names = []
    for name in report.compatible:
        names.append(name)
        vendor, _, parts = name.partition(",")
        if "+" in parts:
            names += [f"{vendor},{part}" for part in reversed(parts.split("+"))]
    return names


def _cores(report: BoardReport) -> Counter[str]:
    """CPUs that are online, by core."""
    counts: Counter[str] = Counter()
    for cluster in report.clusters:
        counts[cluster.core or cluster.part or "an unknown core"] += len(cluster.cpus)
    return counts


def _cores_of(board: Board) -> Counter[str]:
    counts: Counter[str] = Counter()
    for cluster in board.clusters:
        counts[cluster.core] += cluster.count
    return counts


def _cores_apart(report: BoardReport, board: Board) -> int:
    """Cores of one that the other lacks."""
    there, here = _cores(report), _cores_of(board)
    return (there - here).total() + (here - there).total()


def _differences(report: BoardReport, board: Board) -> tuple[str, ...]:
    found = [
        _width(report, board),
        _libc(report, board),
        _core_counts(report, board),
        _missing_features(report, board),
        *_clocks(report, board),
        _caches(report, board),
        _memory(report, board),
    ]
    return tuple(difference for difference in found if difference)


def _width(report: BoardReport, board: Board) -> str:
    if report.user_arch != "arm" or board.target.arch != "aarch64":
        return ""
    return (
        "Its system is 32-bit, and the library for this board is 64-bit: programs there can load "
        "one that was compiled for rpi2. The static bin/selftest and bin/bench "
        + ("run as they are." if report.kernel_bits == 64 else "need a 64-bit kernel.")
    )


def _libc(report: BoardReport, board: Board) -> str:
    if report.libc == "musl":
        return (
            "Its C library is musl, with which only the static programs run; the library needs "
            "glibc."
        )
    if report.glibc is None or version_key(report.glibc) >= version_key(board.glibc):
        return ""
    return (
        f"Its C library is glibc {report.glibc}, older than the {board.glibc} that libraries for "
        "this board are linked for: save an entry of your own with --save, and compile for that. "
        "The static programs run as they are."
    )


def _core_counts(report: BoardReport, board: Board) -> str:
    there, here = _cores(report), _cores_of(board)
    if there == here or not there:
        return ""
    words = [", ".join(f"{n} {core}" for core, n in counts.items()) for counts in (there, here)]
    offline = f" ({len(report.offline_cpus)} more are offline)" if report.offline_cpus else ""
    return f"Its cores are {words[0]}{offline}, not {words[1]}."


def _missing_features(report: BoardReport, board: Board) -> str:
    # A 32-bit process sees other names for the same features.
    if not report.features or report.user_arch != board.target.arch:
        return ""
    missing = [f for f in board.features if f not in {*report.features, *_SILENT_FEATURES}]
    return f"Its CPU does not name the features {', '.join(missing)}." if missing else ""


def _clocks(report: BoardReport, board: Board) -> list[str]:
    """One sentence for each kind of core whose slowest clock differs."""
    found = []
    for core in _cores_of(board):
        listed = [c.clock_mhz for c in board.clusters if c.core == core]
        shown = [c.max_mhz for c in report.clusters if c.core == core and c.max_mhz is not None]
        if not shown or not min(listed):
            continue
        there, here = min(shown), min(listed)
        if abs(there / here - 1) > _SAME_CLOCK:
            found.append(f"Its {core} reach {there} MHz, not {here}.")
    return found


def _caches(report: BoardReport, board: Board) -> str:
    core = board.clusters[board.default_cluster].core
    shown = [c.caches for c in report.clusters if c.core == core and c.caches is not None]
    if not shown or shown[0] == board.caches:
        return ""
    words = []
    for key in dataclasses.asdict(shown[0]):
        there, here = getattr(shown[0], key), getattr(board.caches, key)
        # A kernel that shows level 1 may still keep the others to itself.
        if there != here and there and key != "l2_shared":
            level = key.removesuffix("_kib").removesuffix("d").removeprefix("l")
            words.append(f"{there} KiB at level {level}, not {here}")
    return f"Its caches are {' and '.join(words)}." if words else ""


def _memory(report: BoardReport, board: Board) -> str:
    if report.memory_bytes is None:
        return ""
    mib = report.memory_bytes >> 20
    if mib >= board.memory_mb * (1 - _OWN_MEMORY):
        return ""
    return f"It has {mib} MiB of memory; the smallest that is known has {board.memory_mb}."
