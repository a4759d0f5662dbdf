"""What a worker of a cluster does: it gets a model's bytes, and gives a bundle's."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.spec.errors import EdgewrightError, ToolError

if TYPE_CHECKING:
    from edgewright.deploy.boards.board import Board
    from edgewright.spec.target import Target

__all__ = ["PACKAGES", "ClusterJob", "compile_cluster_job", "installed_versions", "version_clash"]

#: Packages whose versions decide a bundle's bytes.
PACKAGES = ("edgewright", "apache-tvm", "numpy", "onnx", "onnx-ir", "onnxruntime", "ziglang")

#: The compiler is made for one compilation at a time, and a worker may have several threads.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class ClusterJob:
    """A compilation that can be sent.

    Attributes:
        model: the ``.onnx`` file's name.
        files: bytes of that file and of its external data, by path from their common folder.
        target: what to compile for, resolved.
        options: further arguments of :func:`edgewright.compile`.
        versions: :func:`installed_versions` of who sends it.
    """

    model: str
    files: Mapping[str, bytes]
    target: Target | Board
    options: Mapping[str, Any]
    versions: Mapping[str, str]


def installed_versions() -> dict[str, str]:
    """Versions of :data:`PACKAGES` here; empty text for what is not installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def version_clash(
    worker: str, theirs: Mapping[str, str | None], ours: Mapping[str, str]
) -> ToolError | None:
    """The error of a worker that would not make the same bundle; None if it would.

    Args:
        worker: what to call it.
        theirs: its versions of :data:`PACKAGES`.
        ours: those of who sends it work.
    """
    apart = [
        f"{name} {theirs.get(name) or 'missing'} instead of {ours[name]}"
        for name in PACKAGES
        if (theirs.get(name) or "") != ours[name]
    ]
    if not apart:
        return None
    return ToolError(
        f"the cluster's worker {worker} has {', '.join(apart)}",
        rule="A bundle must be the same wherever it is compiled.",
        remedy="Install the same Edgewright there with the same constraints.txt, and start the "
        "worker again.",
    )


def compile_cluster_job(job: ClusterJob) -> bytes:
    """Compile, and pack the bundle; nothing stays on the worker.

    Raises:
        ToolError: other versions are installed here than where the job is from.
        EdgewrightError: what :func:`edgewright.compile` raises, its paths as they are in the job.
    """
    from edgewright import api
    from edgewright.deploy.bundle import read_bundle
    from edgewright.deploy.bundle_archive import pack_bundle

    clash = version_clash("that took the job", installed_versions(), job.versions)
    if clash is not None:
        raise clash
    with _one_at_a_time, tempfile.TemporaryDirectory(prefix="edgewright-cluster-") as scratch:
        folder = Path(scratch)
        for name, content in job.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        try:
            place = folder / "bundle-of-the-job"
            api.compile(folder / job.model, job.target, output=place, **job.options)
        except EdgewrightError as error:
            for part in ("what", "rule", "remedy"):
                setattr(error, part, getattr(error, part).replace(f"{scratch}/", ""))
            error.args = (error.paragraph(),)
            raise
        return pack_bundle(read_bundle(place))
