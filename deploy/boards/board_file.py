"""Reads a board's TOML file, and says what is wrong with it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewright.deploy.boards.board import Board, Caches, Cluster, OsImage
from edgewright.spec.errors import TargetError
from edgewright.spec.target import CORES, Target
from edgewright.spec.versions import version_key

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_board_file"]

_WORDS: dict[type, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}
_BOARD_KEYS: dict[str, type] = {
    "title": str,
    "soc": str,
    "memory_mb": int,
    "features": list,
    "default_cluster": int,
    "default_threads": int,
    "clusters": list,
    "caches": dict,
    "images": list,
}
_OPTIONAL_KEYS: dict[str, type] = {"compatible": list, "sources": dict}
_CLUSTER_KEYS: dict[str, type] = {"core": str, "count": int, "clock_mhz": int}
_CACHE_KEYS: dict[str, type] = {"l1d_kib": int, "l2_kib": int, "l2_shared": bool, "l3_kib": int}
_IMAGE_KEYS: dict[str, type] = {"name": str, "glibc": str}
_GLIBC = re.compile(r"\d+(\.\d+)+")


def read_board_file(path: Path, *, own: bool) -> Board:
    """The board that a file describes; its name is the file's.

    Args:
        path: a TOML file.
        own: whether it is the user's.

    Raises:
        TargetError: it cannot be read, is no TOML, or a key is missing, unknown, of another type
            or contradicts another.
    """
    file = _File(path)
    raw = file.load()
    file.check(raw, "", _BOARD_KEYS, _OPTIONAL_KEYS)
    clusters = tuple(
        Cluster(**file.check(entry, f"clusters[{i}].", _CLUSTER_KEYS))
        for i, entry in enumerate(raw["clusters"])
    )
    caches = Caches(**file.check(raw["caches"], "caches.", _CACHE_KEYS))
    images = tuple(
        OsImage(**file.check(entry, f"images[{i}].", _IMAGE_KEYS))
        for i, entry in enumerate(raw["images"])
    )
    file.check_clusters(clusters, raw["default_cluster"], raw["default_threads"])
    file.check_images(images)
    if caches.l1d_kib < 1 or min(caches.l2_kib, caches.l3_kib) < 0:
        raise file.wrong("caches", "has a size below zero, or no level 1")
    default = clusters[raw["default_cluster"]]
    return Board(
        name=path.stem,
        title=raw["title"],
        soc=raw["soc"],
        clusters=clusters,
        default_cluster=raw["default_cluster"],
        default_threads=raw["default_threads"],
        features=file.texts(raw, "features"),
        caches=caches,
        memory_mb=raw["memory_mb"],
        images=images,
        glibc=min((image.glibc for image in images), key=version_key),
        compatible=file.texts(raw, "compatible"),
        sources={str(fact): str(place) for fact, place in raw.get("sources", {}).items()},
        target=_target(default, caches, raw["default_threads"]),
        own=own,
    )


def _target(cluster: Cluster, caches: Caches, threads: int) -> Target:
    return replace(
        CORES[cluster.core],
        num_cores=threads,
        l1_bytes=caches.l1d_kib * 1024,
        l2_bytes=caches.l2_kib * 1024,
    )


class _File:
    """A file, for its errors."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> dict[str, Any]:
        try:
            raw: dict[str, Any] = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror})") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise self.error(f"is not valid TOML ({error})") from None
        return raw

    def error(self, what: str) -> TargetError:
        return TargetError(
            f"the board file '{self.path}' {what}",
            rule="A board is described as `edgewright boards detect` writes it.",
            remedy="Correct the file, or remove it and run `edgewright boards detect --save` on "
            "the board again.",
        )

    def wrong(self, key: str, what: str) -> TargetError:
        return self.error(f"is wrong: its key '{key}' {what}")

    def check(
        self,
        table: Any,
        prefix: str,
        keys: Mapping[str, type],
        optional: Mapping[str, type] = {},
    ) -> dict[str, Any]:
        """The table, whose keys are those, of their types."""
        if not isinstance(table, dict):
            raise self.wrong(prefix.rstrip("."), "is not a table")
        found: dict[str, Any] = table
        known = {**keys, **optional}
        for key in sorted(found.keys() - known.keys()):
            raise self.wrong(prefix + key, f"is unknown; known are {', '.join(known)}")
        for key in keys:
            if key not in found:
                raise self.wrong(prefix + key, "is missing")
        for key, value in found.items():
            # type(), not isinstance(): true is a whole number to Python.
            if type(value) is not known[key]:
                raise self.wrong(prefix + key, f"is not {_WORDS[known[key]]}")
        return found

    def texts(self, raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
        values = raw.get(key, [])
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "holds something that is not text")
        return tuple(values)

    def check_clusters(self, clusters: tuple[Cluster, ...], default: int, threads: int) -> None:
        for i, cluster in enumerate(clusters):
            if cluster.core not in CORES:
                known = ", ".join(sorted(CORES))
                raise self.wrong(
                    f"clusters[{i}].core", f"names '{cluster.core}'; known cores are {known}"
                )
            if cluster.count < 1 or cluster.clock_mhz < 0:
                raise self.wrong(f"clusters[{i}]", "has no cores, or a clock below zero")
        if not 0 <= default < len(clusters):
            raise self.wrong(
                "default_cluster", f"is {default}, and there are {len(clusters)} clusters from 0 on"
            )
        if not 1 <= threads <= clusters[default].count:
            raise self.wrong(
                "default_threads",
                f"is {threads}, and the default cluster has {clusters[default].count} cores",
            )

    def check_images(self, images: tuple[OsImage, ...]) -> None:
        if not images:
            raise self.wrong("images", "is empty")
        for i, image in enumerate(images):
            if not _GLIBC.fullmatch(image.glibc):
                raise self.wrong(f"images[{i}].glibc", f"is '{image.glibc}', not like 2.31")
