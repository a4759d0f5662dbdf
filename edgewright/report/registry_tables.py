"""Boards of the registry, and what machines say of themselves, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.report.tables import format_bytes, plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from edgewright.deploy.boards.board import Board, Caches
    from edgewright.deploy.boards.board_report import BoardReport

__all__ = ["board_list_table", "board_table", "report_table"]

#: Groups of boards, in the order they are listed, by how their SoC's name begins.
_GROUPS = {
    "Broadcom": "Raspberry Pi",
    "Rockchip": "Rockchip",
    "NVIDIA": "NVIDIA Jetson",
    "NXP": "NXP i.MX",
    "Amlogic": "Amlogic",
    "Texas": "Texas Instruments",
}
_OTHERS = "Other"
_OWN = "Your own"


def board_list_table(boards: Iterable[Board]) -> Table:
    """Boards below the names of their groups; the cluster that computes is named first."""
    from rich.markup import escape

    groups: dict[str, list[Board]] = {group: [] for group in (*_GROUPS.values(), _OTHERS, _OWN)}
    for board in boards:
        maker = board.soc.partition(" ")[0]
        groups[_OWN if board.own else _GROUPS.get(maker, _OTHERS)].append(board)
    table = plain_table("Boards", "name", "board", "cores", "C library")
    for group, members in groups.items():
        if members:
            table.add_row(group, style="bold")
        for board in members:
            title, glibc = escape(board.title), f"glibc {board.glibc}"
            table.add_row(f"  {board.name}", title, _cores(board), glibc)
    return table


def board_table(board: Board) -> Table:
    """All that is known of a board, and where from."""
    target = board.target
    facts: list[tuple[str, Any]] = [("system on chip", board.soc)]
    for index, cluster in enumerate(board.clusters):
        clock = f" at {cluster.clock_mhz} MHz" if cluster.clock_mhz else ""
        mark = ", which computes" if index == board.default_cluster else ""
        facts.append((f"cluster{mark}", f"{cluster.count} {cluster.core}{clock}"))
    facts += [
        ("memory", f"{board.memory_mb} MiB and up"),
        *_cache_rows(board.caches),
        ("CPU features", " ".join(board.features)),
        ("triple", target.mtriple),
        ("LLVM's CPU", " ".join((target.mcpu, *target.mattr))),
        ("threads", board.default_threads),
        ("C library", f"libraries are linked for glibc {board.glibc}"),
    ]
    facts += [("system", f"{image.name} (glibc {image.glibc})") for image in board.images]
    facts += [("device tree", name) for name in board.compatible]
    facts += [(f"source of {fact}", place) for fact, place in sorted(board.sources.items())]
    return _facts_table(board.title, facts)


def report_table(report: BoardReport) -> Table:
    """What a machine says of itself; what it does not say is left out."""
    facts: list[tuple[str, Any]] = [
        ("device tree", ", ".join(report.compatible)),
        ("system", report.os_name),
        ("kernel", " ".join(part for part in (report.kernel, report.kernel_arch) if part)),
        ("programs", report.user_bits and f"{report.user_bits}-bit"),
        ("C library", f"glibc {report.glibc}" if report.glibc else report.libc),
        ("processor", report.processor),
    ]
    for cluster in report.clusters:
        core = cluster.core or cluster.part or "cores"
        clock = f", up to {cluster.max_mhz} MHz" if cluster.max_mhz else ""
        capacity = f", capacity {cluster.capacity}" if cluster.capacity else ""
        numbers = ", ".join(map(str, cluster.cpus))
        cpus = f"{len(cluster.cpus)} {core} (CPU {numbers}{clock}{capacity})"
        facts.append(("cluster", cpus))
        if cluster.caches is not None:
            facts += _cache_rows(cluster.caches)
    facts += [
        ("offline CPUs", ", ".join(map(str, report.offline_cpus))),
        ("CPU features", " ".join(report.features)),
        ("memory", report.memory_bytes and format_bytes(report.memory_bytes)),
        ("available", report.available_bytes and format_bytes(report.available_bytes)),
        ("page", report.page_bytes and format_bytes(report.page_bytes)),
    ]
    title = f"{report.machine}: {report.model}" if report.model else report.machine
    return _facts_table(title, [(what, value) for what, value in facts if value])


def _cache_rows(caches: Caches) -> list[tuple[str, str]]:
    rows = [("level 1 cache", f"{caches.l1d_kib} KiB of data for each core")]
    if caches.l2_kib:
        rows.append(("level 2 cache", f"{caches.l2_kib} KiB{', shared' * caches.l2_shared}"))
    if caches.l3_kib:
        rows.append(("level 3 cache", f"{caches.l3_kib} KiB"))
    return rows


def _facts_table(title: str, facts: Sequence[tuple[str, Any]]) -> Table:
    from rich.markup import escape

    table = plain_table(escape(title), "what", "value")
    for what, value in facts:
        table.add_row(what, escape(str(value)))
    return table


def _cores(board: Board) -> str:
    """``2 cortex-a72 + 4 cortex-a53``, the default cluster first."""
    default = board.clusters[board.default_cluster]
    others = (c for i, c in enumerate(board.clusters) if i != board.default_cluster)
    return " + ".join(f"{cluster.count} {cluster.core}" for cluster in (default, *others))
