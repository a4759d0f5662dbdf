"""Brings a bundle to a machine: the old version or the new one is there, never half of one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgewright.deploy import deploy_scripts as scripts
from edgewright.deploy.boards.report import read_report
from edgewright.deploy.bundle import BundleFolder, hash_file
from edgewright.deploy.manifest import MANIFEST_NAME
from edgewright.deploy.preflight.checks import Check, check_bundle, check_room
from edgewright.deploy.transport.machine import Machine
from edgewright.deploy.transport.refusals import refused
from edgewright.spec.errors import BoardError, ToolError, UnreachableError, VerificationError
from edgewright.spec.progress import Progress, silent

__all__ = ["Deployment", "deploy_bundle"]

_SHORT_SECONDS = 120.0
#: Reading hundreds of megabytes of weights from a slow card, and an inference of a large model.
_LONG_SECONDS = 1800.0
_ILLEGAL_INSTRUCTION = 128 + 4
_SELFTEST_DIFFERS = 1
_MAY_NOT_RUN = 126
_VERSION_DIGITS = 16


@dataclass(frozen=True)
class Deployment:
    """What a deployment did.

    Attributes:
        machine: where, as ``ssh://pi@board``.
        place: the bundle's folder there, absolute.
        checks: what the bundle asked for, and what the machine has.
        sent_files: files that were copied.
        sent_bytes: their bytes.
        kept_files: files that the machine had already.
        selftest: what the static program said of the golden inputs; empty if it was not run.
    """

    machine: str
    place: str
    checks: tuple[Check, ...]
    sent_files: int
    sent_bytes: int
    kept_files: int
    selftest: str


@dataclass(frozen=True)
class _Place:
    """What a machine says of the place of a deployment."""

    path: str
    kind: str
    current: str
    free_bytes: int
    hashes: Mapping[str, str]

    @property
    def incoming(self) -> str:
        parent, name = self.path.rsplit("/", 1)
        return f"{parent}/.{name}.versions/incoming"

    @property
    def installed(self) -> Mapping[str, str]:
        """Hashes of the files that are at the place by a link, by their names in the bundle."""
        if self.kind != "link":
            return {}
        prefix = f"{self.path.rsplit('/', 1)[1]}/"
        return {
            name.removeprefix(prefix): digest
            for name, digest in self.hashes.items()
            if name.startswith(prefix)
        }


def deploy_bundle(
    bundle: BundleFolder,
    machine: Machine,
    path: str = "",
    *,
    selftest: bool = True,
    progress: Progress = silent,
) -> Deployment:
    """Check, copy what the machine lacks, prove it there, and only then let it take the place.

    Args:
        bundle: what to deploy.
        machine: where to.
        path: the bundle's folder there, absolute or ``~/…``; ``~/edgewright/NAME`` if empty.
        selftest: run the static ``selftest`` before the new version takes the place.
        progress: told ``check``, ``copy``, ``selftest`` and the fraction that is done.

    Raises:
        BoardError: the machine cannot be reached, lacks what the bundle needs, or refuses the copy;
            whatever was at the place works as before.
        VerificationError: the machine computes other numbers than the reference; likewise.
        ToolError: a program there did not end in time.
    """
    progress("check", 0.0)
    checks = check_bundle(bundle, read_report(machine))
    progress("check", 0.5)
    place = _look(machine, path or f"~/edgewright/{bundle.manifest.name}")
    wanted = {name: entry.sha256 for name, entry in bundle.manifest.files.items()}
    wanted[MANIFEST_NAME] = hash_file(bundle.path / MANIFEST_NAME)
    if place.installed == wanted:
        said = _prove(bundle, machine, place.path, progress) if selftest else ""
        return Deployment(machine.name, place.path, checks, 0, 0, len(wanted), said)
    here = {digest: name for name, digest in place.hashes.items()}
    missing = sorted(name for name, digest in wanted.items() if digest not in here)
    sizes = {name: (bundle.path / name).stat().st_size for name in missing}
    checks += check_room(machine.name, sum(sizes.values()), place.free_bytes)
    progress("check", 1.0)
    links = [(here[wanted[name]], name) for name in sorted(wanted) if name not in sizes]
    try:
        _copy(bundle, machine, place, links, missing, progress)
        said = _prove(bundle, machine, place.incoming, progress) if selftest else ""
        _take_place(machine, place, wanted[MANIFEST_NAME])
    except UnreachableError:
        raise  # the next deployment takes away what this one left
    except BaseException:
        _clean_up(machine, place)
        raise
    total = sum(sizes.values())
    return Deployment(machine.name, place.path, checks, len(missing), total, len(links), said)


def _look(machine: Machine, path: str) -> _Place:
    """Ask what is at a place.

    Raises:
        BoardError: it may not be written, or holds something else than a bundle.
    """
    done = machine.shell(scripts.look(path), timeout_seconds=_LONG_SECONDS)
    if done.status != 0:
        raise refused(machine.name, f"to make a place for '{path}'", done.stderr)
    head, _, tail = done.stdout.partition(f"{scripts.HASHES}\n")
    words = dict(line.partition(" ")[::2] for line in head.splitlines())
    name = words["place"].rsplit("/", 1)[1]
    if words["kind"] == "other":
        raise BoardError(
            f"'{words['place']}' on {machine.name} is there already and is no bundle",
            rule="A deployment replaces bundles only.",
            remedy="Name another place, or take that one away.",
        )
    hashes = {}
    for line in tail.splitlines():
        digest, _, file = line.partition("  ")
        hashes[file.replace(f"{name}//", f"{name}/")] = digest.lstrip("\\")
    return _Place(
        words["place"],
        words["kind"],
        words.get("current", ""),
        int(words["free_kib"]) * 1024,
        hashes,
    )


def _copy(
    bundle: BundleFolder,
    machine: Machine,
    place: _Place,
    links: list[tuple[str, str]],
    missing: list[str],
    progress: Progress,
) -> None:
    """Fill the incoming version and compare what arrived.

    Raises:
        BoardError: there is no room, the connection was lost, or a file arrived damaged.
    """
    names = [name for _, name in links] + missing
    folders = sorted({str(Path(name).parent) for name in names} - {"."})
    done = machine.shell(scripts.fill(place.path, folders, links), timeout_seconds=_LONG_SECONDS)
    if done.status != 0:
        raise refused(machine.name, f"to write beside '{place.path}'", done.stderr)
    sources = [(bundle.path / name, name) for name in missing]
    total = max(1, sum(source.stat().st_size for source, _ in sources))
    machine.send(
        sources, place.incoming, sent=lambda count: progress("copy", min(1.0, count / total))
    )
    if not sources:
        progress("copy", 1.0)
        return
    expected = [(hash_file(source), name) for source, name in sources]
    done = machine.shell(scripts.verify(place.incoming, expected), timeout_seconds=_LONG_SECONDS)
    sound = {line.removesuffix(": OK") for line in done.stdout.splitlines() if ": OK" in line}
    damaged = [name for name in missing if name not in sound]
    if damaged:
        raise BoardError(
            f"{len(damaged)} of {len(missing)} files arrived damaged on {machine.name}, "
            f"'{damaged[0]}' first ({done.why})",
            rule="Each file is compared with its SHA-256 before it is used.",
            remedy="Deploy again; if it happens again, look at the board's card and at sha256sum.",
        )
    progress("copy", 1.0)


def _prove(bundle: BundleFolder, machine: Machine, folder: str, progress: Progress) -> str:
    """Run the selftest of a folder there; its last line.

    Raises:
        VerificationError: the numbers differ from the reference.
        BoardError: the program does not run there.
    """
    progress("selftest", 0.0)
    threads = bundle.manifest.target.num_cores
    done = machine.shell(scripts.run_selftest(folder, threads), timeout_seconds=_LONG_SECONDS)
    progress("selftest", 1.0)
    if done.status == 0:
        return done.stdout.strip().splitlines()[-1]
    if done.status == _SELFTEST_DIFFERS:
        raise VerificationError(
            f"{machine.name} computes other numbers than the reference ({done.why})",
            rule="A version takes its place only if its golden outputs come out there.",
            remedy="The version before is untouched; compile the model for this board.",
        )
    if done.status == _ILLEGAL_INSTRUCTION:
        raise BoardError(
            f"the selftest met an illegal instruction on {machine.name}",
            rule=f"The bundle was compiled for {bundle.manifest.target.mcpu}.",
            remedy="Compile the model for this board; `edgewright boards detect` names it.",
        )
    if done.status == _MAY_NOT_RUN:
        raise BoardError(
            f"{machine.name} does not run programs at '{folder}' ({done.why})",
            rule="The file system there may be mounted with noexec.",
            remedy="Name a place where programs may run, such as ssh://user@host/~/models/net.",
        )
    raise BoardError(
        f"the selftest failed on {machine.name} ({done.why})",
        remedy="The version before is untouched; look at the board, and deploy again.",
    )


def _take_place(machine: Machine, place: _Place, manifest_hash: str) -> None:
    """Let the incoming version take the place.

    Raises:
        BoardError: the connection was lost, or the rename was refused.
    """
    version = manifest_hash[:_VERSION_DIGITS]
    if place.current.rsplit("/", 1)[-1] == version:
        version += "-again"  # a damaged version of the same bundle is in use
    script = scripts.switch(place.path, version)
    done = machine.shell(script, timeout_seconds=_LONG_SECONDS)
    if done.status != 0:
        raise refused(machine.name, f"to put the new version at '{place.path}'", done.stderr)


def _clean_up(machine: Machine, place: _Place) -> None:
    """Take the incoming version away, if the machine can still be reached."""
    with contextlib.suppress(BoardError, ToolError):  # if not, the next deployment does it
        machine.shell(scripts.remove_incoming(place.path), timeout_seconds=_SHORT_SECONDS)
