"""Compiles on the workers of a Dask scheduler.

``distributed`` comes with the extra ``cluster`` and is imported here only. What Dask does: the
tasks of a worker that is lost go to another one, up to its ``allowed-failures`` (3) times for each;
a task that raises is not tried again.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.cluster_job import (
    PACKAGES,
    ClusterJob,
    installed_versions,
    version_clash,
)
from edgewright.compile_jobs import CompileJob, Outcome
from edgewright.deploy.bundle_archive import unpack_bundle
from edgewright.deploy.fleet.fleet_result import reason_of
from edgewright.deploy.output_folder import staged_folder
from edgewright.spec.errors import EdgewrightError, ToolError, UsageError
from edgewright.spec.progress import Progress

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["compile_on_cluster", "read_job"]

_CONNECT_SECONDS = 5
_TICK_SECONDS = 0.1
#: A cluster may be starting, or between a worker that was lost and its successor.
_WORKER_SECONDS = 30.0
#: What becomes of a future when the connection to the scheduler ends.
_SCHEDULER_LOST = ("cancelled", "lost")
#: Between two looks at how many workers there are.
_LOOK_SECONDS = 2.0


def compile_on_cluster(
    address: str, jobs: Sequence[CompileJob], folder: Path, progress: Progress
) -> dict[str, Outcome]:
    """Compile all jobs at once; the bundles are those that this machine would make.

    Args:
        address: the scheduler's, ``tcp://host:8786``.
        jobs: what to compile.
        folder: gets a bundle for each job that succeeds, by the job's label.
        progress: told each label, and 1 when it is done.

    Returns:
        By label the outcome; an error ends its own job only.

    Raises:
        UsageError: the address is malformed.
        ToolError: Dask is not installed, the scheduler cannot be reached, it has no workers, or
            they have other versions than this machine.
    """
    outcomes: dict[str, Outcome] = {}
    with _connected(address) as client:
        _check_workers(client, address)
        running: dict[str, Future] = {}
        try:
            for job in jobs:
                progress(job.label, 0.0)
                try:
                    running[job.label] = _submit(client, read_job(job))
                except EdgewrightError as error:  # the model's: the others go on
                    outcomes[job.label] = reason_of(error)
            for label, future in _as_they_end(client, address, running, progress):
                outcomes[label] = _outcome(future, folder / label)
                progress(label, 1.0)
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                client.cancel(list(running.values()))
    return outcomes


def read_job(job: CompileJob) -> ClusterJob:
    """A job with the bytes of its model and of the model's external data.

    Raises:
        ModelError: the file is no ONNX model, or its external data is not as it says.
    """
    from edgewright.compiler.onnx_passes.check_external_data import (
        check_external_data,
        external_tensors,
    )
    from edgewright.compiler.onnx_passes.read_model_file import read_model_file

    proto = read_model_file(job.model)
    folder = job.model.parent
    check_external_data(proto, folder)
    names = {job.model.name}
    for tensor in external_tensors(proto):
        names |= {entry.value for entry in tensor.external_data if entry.key == "location"}
    files = {name: (folder / name).read_bytes() for name in sorted(names)}
    return ClusterJob(job.model.name, files, job.target, dict(job.options), installed_versions())


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Client]:
    """A connection to the scheduler, in whose errors ours take the place of Dask's logs.

    Raises:
        UsageError: the address is malformed.
        ToolError: Dask is not installed, or the scheduler cannot be reached.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ToolError(
            f"the Python package 'distributed' is not installed ({error})",
            rule="--cluster compiles on the workers of a Dask scheduler.",
            remedy="Install it: pip install -c constraints.txt 'edgewright[cluster]'.",
        ) from error
    with _silent_logs():
        try:
            client = Client(
                address, timeout=_CONNECT_SECONDS, set_as_default=False, name="edgewright"
            )
        except (ValueError, KeyError) as error:
            raise UsageError(
                f"the address '{address}' of the cluster cannot be read ({error})",
                rule="It is that of a Dask scheduler.",
                remedy="Write it as tcp://host:8786.",
            ) from error
        except OSError as error:
            raise ToolError(
                f"the scheduler at '{address}' cannot be reached within {_CONNECT_SECONDS} seconds",
                rule="--cluster needs a Dask scheduler that runs.",
                remedy="Start it with `dask scheduler`, and check the address and the network.",
            ) from error
        try:
            yield client
        finally:
            client.close(timeout=_CONNECT_SECONDS)


@contextlib.contextmanager
def _silent_logs() -> Iterator[None]:
    """Keep Dask's log off stderr, where our errors say what matters of it."""
    loggers = [
        logger
        for name, logger in logging.root.manager.loggerDict.items()
        if name.split(".")[0] == "distributed" and isinstance(logger, logging.Logger)
    ]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _check_workers(client: Client, address: str) -> None:
    """Let workers pass that would make the bundles that this machine would make.

    Raises:
        ToolError: there are none, or one has other versions.
    """
    end = time.monotonic() + _WORKER_SECONDS
    while not client.scheduler_info(n_workers=-1)["workers"]:
        if time.monotonic() > end:
            raise _no_workers(address)
        time.sleep(_TICK_SECONDS)
    ours = installed_versions()
    for worker, said in client.get_versions(packages=list(PACKAGES))["workers"].items():
        clash = version_clash(worker, said["packages"] if said else {}, ours)
        if clash is not None:
            raise clash


def _no_workers(address: str) -> ToolError:
    return ToolError(
        f"the scheduler at '{address}' has had no worker for {_WORKER_SECONDS:g} seconds",
        rule="Workers compile, the scheduler only hands out the work.",
        remedy=f"Start one with `dask worker {address} --nthreads 1`.",
    )


def _submit(client: Client, job: ClusterJob) -> Future:
    def work(packed: bytes) -> bytes:
        import pickle

        from edgewright.cluster_job import compile_cluster_job

        job: ClusterJob = pickle.loads(packed)
        return compile_cluster_job(job)

    with warnings.catch_warnings():
        # Dask warns of large arguments. A model sent apart would be lost with the worker that
        # holds it; as an argument it is sent again with the job.
        warnings.simplefilter("ignore")
        # The scheduler unpickles what it hands out, and need not have Edgewright: a function
        # inside a function is sent by value.
        return client.submit(work, pickle.dumps(job), pure=False)


def _as_they_end(
    client: Client, address: str, running: dict[str, Future], progress: Progress
) -> Iterator[tuple[str, Future]]:
    """Each future by its label as soon as it has ended, well or not.

    Raises:
        ToolError: the scheduler or its last worker is gone.
    """
    waiting = dict(running)
    last_seen = looked = time.monotonic()
    while waiting:
        for label in [label for label, future in waiting.items() if future.status != "pending"]:
            if waiting[label].status in _SCHEDULER_LOST:
                raise _lost_scheduler(address)
            yield label, waiting.pop(label)
        now = time.monotonic()
        if waiting and now - looked > _LOOK_SECONDS:
            looked = now
            if _worker_count(client, address):
                last_seen = now
            if now - last_seen > _WORKER_SECONDS:
                raise _no_workers(address)
        for label in waiting:
            progress(label, 0.0)  # where an interruption is noticed
        time.sleep(_TICK_SECONDS)


def _worker_count(client: Client, address: str) -> int:
    try:
        return len(client.scheduler_info(n_workers=-1)["workers"])
    except OSError as error:
        raise _lost_scheduler(address) from error


def _lost_scheduler(address: str) -> ToolError:
    return ToolError(
        f"the scheduler at '{address}' was lost during the compilations",
        rule="It alone knows which worker does what.",
        remedy="Look why it ended, start it, and run the command again.",
    )


def _outcome(future: Future, place: Path) -> Outcome:
    """The bundle of a job that has ended, unpacked beside its place and renamed; or the reason."""
    try:
        packed: bytes = future.result()
        with staged_folder(place, replaceable=lambda _: False) as staging:
            unpack_bundle(packed, staging)
        return place
    except Exception as error:
        return reason_of(_ours(error))


def _ours(error: Exception) -> Exception:
    """Dask's errors as ours; all others as they are."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return ToolError(
            "the compilation was given up, because each worker that tried it was lost "
            f"({error.last_worker.address} was the last)",
            rule="A lost worker's job is done again by another one, a few times at most.",
            remedy="Look into the log of that worker, which may lack memory.",
        )
    return error
