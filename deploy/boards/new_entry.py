"""Writes what a machine says of itself as an entry of the user's own."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from edgewright.deploy.boards.board import Caches
from edgewright.deploy.boards.board_report import BoardReport, CpuCluster
from edgewright.deploy.boards.registry import check_own_name, user_folder
from edgewright.spec.errors import OutputError, TargetError
from edgewright.spec.target import CORES

__all__ = ["describe_board", "save_entry"]

#: Cores that execute in order: where a board has others too, those are what it computes with.
_LITTLE = {"cortex-a7", "cortex-a53", "cortex-a55"}
#: Runs in every 32-bit system on 64-bit cores: their 32-bit state is ARMv8's, which holds all that
#: this core has.
_NARROW_CORE = "cortex-a7"
#: Where a musl system, or one that does not say, gets a library linked for the oldest glibc.
_OLDEST_GLIBC = "2.17"


def describe_board(report: BoardReport) -> str:
    """The TOML text of a board that the registry lacks.

    Raises:
        TargetError: it has no cores that Edgewright knows, or not ARM's architecture.
    """
    if report.kernel_arch == "x86_64":
        raise TargetError(
            f"'{report.machine}' is no ARM board (its kernel is for {report.kernel_arch})",
            rule="Boards have cores of ARM's; an x86-64 machine is described by what it can run.",
            remedy='Compile with --target host there, or with --target \'{"mtriple": '
            '"x86_64-linux-gnu", "mcpu": "x86-64-v3"}\'.',
        )
    clusters = [c for c in report.clusters if c.core in CORES]
    if not clusters:
        shown = ", ".join(c.core or c.part or "unknown" for c in report.clusters) or "unknown"
        raise TargetError(
            f"the cores of '{report.machine}' ({shown}) are not among those that Edgewright knows",
            rule=f"Known cores are {', '.join(sorted(CORES))}.",
            remedy='Compile with the core as JSON, such as --target \'{"mtriple": '
            '"aarch64-linux-gnu", "mcpu": "cortex-a53"}\'.',
        )
    default = max(clusters, key=_strength)
    lines = [
        f"title = {_text(report.model or report.machine)}",
        f"soc = {_text(_soc(report))}",
        f"memory_mb = {(report.memory_bytes or 0) >> 20}",
        f"features = [{', '.join(map(_text, report.features))}]",
        f"compatible = [{', '.join(map(_text, report.compatible[:1]))}]",
        f"default_cluster = {clusters.index(default)}",
        f"default_threads = {len(default.cpus)}",
    ]
    for cluster in clusters:
        lines += ["", *_cluster_lines(cluster, narrow=report.user_arch == "arm")]
    lines += ["", *_cache_lines(default)]
    lines += ["", *_image_lines(report)]
    lines += ["", "[sources]", f"all = {_text('edgewright boards detect, ' + report.machine)}"]
    return "\n".join(lines) + "\n"


def save_entry(text: str, name: str, *, replace: bool = False) -> Path:
    """Write an entry to the user's folder, beside and renamed.

    Args:
        text: the file, as :func:`describe_board` gives it.
        name: the board's name.
        replace: whether an entry of that name may go.

    Raises:
        TargetError: the name cannot be a board's of the user's own.
        OutputError: there is one of that name, or the folder cannot be written to.
    """
    check_own_name(name)
    place = user_folder() / f"{name}.toml"
    if place.exists() and not replace:
        raise OutputError(
            f"the board '{name}' exists already ('{place}')",
            remedy="Take another name, or remove that file first.",
        )
    beside = ""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=place.parent, prefix=f".{name}-", delete=False
        ) as file:
            beside = file.name
            file.write(text)
        Path(beside).chmod(0o644)
        os.replace(beside, place)
    except OSError as error:
        if beside:
            Path(beside).unlink(missing_ok=True)
        raise OutputError(
            f"'{place}' cannot be written ({error.strerror})",
            rule="Boards of your own are files in that folder.",
            remedy="Make the folder writable, or set XDG_CONFIG_HOME to one that is.",
        ) from error
    return place


def _text(value: str) -> str:
    """A TOML string, without control characters; JSON's escapes are TOML's."""
    return json.dumps("".join(c for c in value if c.isprintable()), ensure_ascii=False)


def _soc(report: BoardReport) -> str:
    """The device tree's last name is the SoC's."""
    return report.compatible[-1] if report.compatible else report.processor or "unknown"


def _strength(cluster: CpuCluster) -> tuple[bool, int]:
    """Sorts clusters by what their cores get done together."""
    speed = cluster.capacity or cluster.max_mhz or 1
    return cluster.core not in _LITTLE, speed * len(cluster.cpus)


def _cluster_lines(cluster: CpuCluster, *, narrow: bool) -> list[str]:
    core = cluster.core or ""
    wide = narrow and CORES[core].arch == "aarch64"
    note = f"  # {core} with a 32-bit system, which runs this core's code" if wide else ""
    clock = "" if cluster.max_mhz else "  # the kernel does not say"
    return [
        "[[clusters]]",
        f"core = {_text(_NARROW_CORE if wide else core)}{note}",
        f"count = {len(cluster.cpus)}",
        f"clock_mhz = {cluster.max_mhz or 0}{clock}",
    ]


def _cache_lines(cluster: CpuCluster) -> list[str]:
    core = CORES[cluster.core or ""]
    note = []
    caches = cluster.caches
    if caches is None or not caches.l2_kib:
        note = ["# The kernel does not show all; what it lacks is as in the core's commonest SoC."]
        l1d_kib = caches.l1d_kib if caches is not None else core.l1_bytes >> 10
        caches = Caches(l1d_kib, core.l2_bytes >> 10, True, caches.l3_kib if caches else 0)
    return [
        *note,
        "[caches]",
        f"l1d_kib = {caches.l1d_kib}",
        f"l2_kib = {caches.l2_kib}",
        f"l2_shared = {'true' if caches.l2_shared else 'false'}",
        f"l3_kib = {caches.l3_kib}",
    ]


def _image_lines(report: BoardReport) -> list[str]:
    width = f", {report.user_bits}-bit" if report.user_bits else ""
    note = []
    if report.glibc is None:
        note = [f"# It has {report.libc or 'an unknown C library'}: only the static programs run."]
    return [
        *note,
        "[[images]]",
        f"name = {_text((report.os_name or 'its system') + width)}",
        f"glibc = {_text(report.glibc or _OLDEST_GLIBC)}",
    ]
