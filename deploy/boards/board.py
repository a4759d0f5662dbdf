"""What is known of a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgewright.spec.target import Target

__all__ = ["Board", "Caches", "Cluster", "OsImage"]


@dataclass(frozen=True)
class Cluster:
    """Equal cores that share a clock.

    Attributes:
        core: a key of :data:`edgewright.spec.target.CORES`.
        count: number of cores.
        clock_mhz: highest clock that every board of the name reaches without overclocking; 0 where
            it is not known, as of a board whose kernel does not show it.
    """

    core: str
    count: int
    clock_mhz: int


@dataclass(frozen=True)
class Caches:
    """Caches of the default cluster.

    Attributes:
        l1d_kib: level 1 data cache of one core.
        l2_kib: level 2 cache that one core can fill; 0 where there is none.
        l2_shared: whether the cluster's cores share it, or pairs of them.
        l3_kib: level 3 cache; 0 where there is none.
    """

    l1d_kib: int
    l2_kib: int
    l2_shared: bool
    l3_kib: int


@dataclass(frozen=True)
class OsImage:
    """An operating system that the board usually runs.

    Attributes:
        name: distribution, release and width.
        glibc: version of its C library, ``2.31``.
    """

    name: str
    glibc: str


@dataclass(frozen=True)
class Board:
    """A physical device.

    Attributes:
        name: what the command line calls it.
        title: its maker's name for it.
        soc: system on chip.
        clusters: groups of equal cores.
        default_cluster: index of the cluster that code is generated for and runs on.
        default_threads: threads a bundle uses unless told otherwise; at most the default cluster's
            cores.
        features: CPU features as ``/proc/cpuinfo`` names them.
        caches: caches of the default cluster.
        memory_mb: memory of the smallest model, in MiB.
        images: operating systems that it usually runs.
        glibc: oldest C library among the images: what a shared library is linked for.
        compatible: names of its device tree that are its own, by which it is recognised.
        sources: where each fact was read, by the fact's name.
        target: what code is generated for: the default cluster's core with this board's caches. Its
            ``num_cores`` is ``default_threads``, because kernels are cut into tasks for that many.
        own: whether the entry is the user's own, not one of Edgewright's.
    """

    name: str
    title: str
    soc: str
    clusters: tuple[Cluster, ...]
    default_cluster: int
    default_threads: int
    features: tuple[str, ...]
    caches: Caches
    memory_mb: int
    images: tuple[OsImage, ...]
    glibc: str
    compatible: tuple[str, ...]
    sources: Mapping[str, str]
    target: Target
    own: bool = False
