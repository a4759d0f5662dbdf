"""Kernels measured on a machine, as ``edgewright tune`` keeps them: one JSON file.

The dataclasses below are the file's schema: a field is a key, a tuple is a list. Times are
nanoseconds of one launch. The file says what they were measured on and with, since a time means
nothing without; what is measured on one machine is not extended on another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from edgewright.spec.decode import decode
from edgewright.spec.errors import EnvironmentFailure, OutputError, RecordsError
from edgewright.spec.target import Target

__all__ = [
    "SCHEMA_VERSION",
    "Excluded",
    "Machine",
    "Measured",
    "Record",
    "Records",
    "Session",
    "TunedTarget",
]

#: Raised by one whenever a reader of the previous version would misread the new one.
SCHEMA_VERSION = 1
#: What the file says of itself.
KIND = "edgewright tuning records"


@dataclass(frozen=True)
class TunedTarget:
    """What code was generated for; a record serves the same triple, CPU and features only.

    Attributes:
        mtriple, mcpu, mattr: as :class:`edgewright.spec.target.Target`'s.
    """

    mtriple: str
    mcpu: str
    mattr: tuple[str, ...] = ()

    @staticmethod
    def of(target: Target) -> TunedTarget:
        """The part of a target that decides its code."""
        return TunedTarget(target.mtriple, target.mcpu, target.mattr)

    def __str__(self) -> str:
        return " ".join((self.mcpu, *self.mattr, f"({self.mtriple})"))


@dataclass(frozen=True)
class Measured:
    """One candidate's time.

    Attributes:
        kernel: its name, by the grammar of docs/naming.md.
        algorithm: its family.
        config: the tile's sizes as they stand in the name.
        median_ns: median time of one launch.
        cost_cycles: what the cost model had estimated.
    """

    kernel: str
    algorithm: str
    config: str
    median_ns: float
    cost_cycles: float


@dataclass(frozen=True)
class Excluded:
    """A candidate that was not timed, or whose time does not count, and why."""

    kernel: str
    reason: str


@dataclass(frozen=True)
class Record:
    """What was measured for one workload.

    Attributes:
        workload: by :func:`.names.conv2d_key` or :func:`.names.dense_key`.
        target: what the code was generated for.
        threads: threads that shared the work.
        rounds: runs of each candidate that count.
        session: index into :attr:`Records.sessions`.
        kernel: the winner's name.
        config: the winner's tile.
        model_choice: name of the kernel that the cost model would have taken.
        measured: the candidates, the fastest first.
        excluded: candidates that failed.
    """

    workload: str
    target: TunedTarget
    threads: int
    rounds: int
    session: int
    kernel: str
    config: str
    model_choice: str
    measured: tuple[Measured, ...]
    excluded: tuple[Excluded, ...] = ()

    def median_ns(self, kernel: str) -> float | None:
        """The time of a candidate, or None if it was not measured."""
        return next((m.median_ns for m in self.measured if m.kernel == kernel), None)

    @property
    def gain(self) -> float:
        """How many times faster the winner is than the cost model's choice; at least 1."""
        model, best = self.median_ns(self.model_choice), self.median_ns(self.kernel)
        return model / best if model and best else 1.0


@dataclass(frozen=True)
class Machine:
    """Where the times come from.

    Attributes:
        cpu: the processor's name.
        cores: cores that the process could use.
        governor: the clock's policy, or ``unknown``.
        max_mhz: the highest clock, or 0 if unknown.
        os: name and release of the system.
    """

    cpu: str
    cores: int
    governor: str
    max_mhz: float
    os: str


@dataclass(frozen=True)
class Session:
    """One run of ``edgewright tune``.

    Attributes:
        date: when it began, UTC, ISO 8601.
        command: the command line.
        edgewright, tvm, llvm: versions.
    """

    date: str
    command: str
    edgewright: str
    tvm: str
    llvm: str


@dataclass(frozen=True)
class Records:
    """Everything that was measured on one machine.

    Attributes:
        machine: the machine.
        sessions: the runs that measured it.
        records: at most one for a workload, a target and a number of threads.
        file_sha256: hash of the file that was read; empty if none was.
    """

    machine: Machine
    sessions: tuple[Session, ...] = ()
    records: tuple[Record, ...] = ()
    schema_version: int = SCHEMA_VERSION
    kind: str = KIND
    file_sha256: str = field(default="", init=False, compare=False)

    @property
    def sha256(self) -> str:
        """Hash of the file that was read, or else of the one that :meth:`save` would write."""
        return self.file_sha256 or hashlib.sha256(self.dump().encode()).hexdigest()

    def find(self, workload: str, target: Target) -> Record | str:
        """The record of a workload on a target, or why there is none.

        Of several numbers of threads the largest counts: a kernel that shares its work well is
        little slower alone, but not the other way round.
        """
        same = [record for record in self.records if record.workload == workload]
        wanted = TunedTarget.of(target)
        fitting = [record for record in same if record.target == wanted]
        if fitting:
            return max(fitting, key=lambda record: record.threads)
        foreign = sorted({str(record.target) for record in same or self.records} - {str(wanted)})
        if foreign:
            return f"measured for {', '.join(foreign)}, not for {wanted}"
        return "this workload was not measured"

    def with_record(self, record: Record) -> Records:
        """A copy with one record more, in place of that of the same workload and conditions."""
        conditions = _conditions(record)
        kept = [other for other in self.records if _conditions(other) != conditions]
        return Records(self.machine, self.sessions, (*kept, record))

    def with_session(self, session: Session) -> Records:
        """A copy with one session more."""
        return Records(self.machine, (*self.sessions, session), self.records)

    def dump(self) -> str:
        """The file: sorted keys, two blanks of indent, records by workload, ends with a newline."""
        ordered = sorted(self.records, key=_conditions)
        fields = dataclasses.asdict(dataclasses.replace(self, records=tuple(ordered)))
        del fields["file_sha256"]
        return json.dumps(fields, indent=2, sort_keys=True, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file beside its place and rename it there.

        Raises:
            OutputError: the place cannot be written to.
            EnvironmentFailure: the disk is full or broken.
        """
        place = Path(os.path.realpath(path))
        name = ""
        try:
            handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(self.dump())
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
            os.replace(name, place)
            name = ""
        except OSError as error:
            raise _unwritable(path, error) from error
        finally:
            if name:
                os.unlink(name)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Records:
        """Read and check a file.

        Raises:
            RecordsError: it cannot be read, is no file of tuning records, is of another version, or
                contradicts itself.
        """
        try:
            raw = Path(path).read_bytes()
            text = raw.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise RecordsError(
                f"the records '{os.fspath(path)}' cannot be read ({reason})",
                remedy="Name the file that `edgewright tune` wrote.",
            ) from error
        records = _parse(text, os.fspath(path))
        object.__setattr__(records, "file_sha256", hashlib.sha256(raw).hexdigest())
        return records


def _conditions(record: Record) -> tuple[str, str, int]:
    return record.workload, str(record.target), record.threads


def _unwritable(path: str | os.PathLike[str], error: OSError) -> OutputError | EnvironmentFailure:
    what = f"the records '{os.fspath(path)}' cannot be written ({error.strerror})"
    if isinstance(
        error, (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError)
    ):
        return OutputError(what, remedy="Name a file in a folder that you may write to.")
    return EnvironmentFailure(what, remedy="Look at the disk, and try again.")


def _parse(text: str, path: str) -> Records:
    """The records of a file's text.

    Raises:
        RecordsError: see :meth:`Records.load`.
    """

    def broken(what: str) -> RecordsError:
        return RecordsError(
            f"the records '{path}' are damaged: the file {what}",
            rule="Records are used only as `edgewright tune` wrote them.",
            remedy="Tune again with another output file, or take an older copy of this one.",
        )

    try:
        raw = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise broken(f"is not valid JSON ({error})") from None
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise RecordsError(
            f"'{path}' is no file of tuning records",
            rule=f"Such a file is JSON and says 'kind': '{KIND}'.",
            remedy="Name the file that `edgewright tune` wrote.",
        )
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise RecordsError(
            f"the records '{path}' are of version {version}",
            rule=f"This Edgewright reads version {SCHEMA_VERSION}.",
            remedy="Tune again with another output file, or install the Edgewright that wrote it.",
        )
    records = decode(Records, raw, broken)
    flaw = _flaw(records)
    if flaw:
        raise broken(flaw)
    return records


def _flaw(records: Records) -> str:
    """What contradicts itself in well-formed records."""
    seen = set()
    for record in records.records:
        where = f"for '{record.workload}'"
        if _conditions(record) in seen:
            return f"holds two records {where}"
        seen.add(_conditions(record))
        if not 0 <= record.session < len(records.sessions):
            return f"names the unknown session {record.session} {where}"
        if record.threads < 1 or record.rounds < 1:
            return f"holds {record.threads} threads and {record.rounds} rounds {where}"
        names = [measured.kernel for measured in record.measured]
        if record.kernel not in names or len(set(names)) != len(names):
            return f"does not measure the kernel '{record.kernel}' once {where}"
        for measured in record.measured:
            if not (math.isfinite(measured.median_ns) and measured.median_ns > 0):
                return f"gives '{measured.kernel}' a time of {measured.median_ns} ns"
    return ""
