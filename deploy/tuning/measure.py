"""Compiles, checks and times the candidates of one workload, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgewright.compiler.candidate_program import Candidate, build_candidate
from edgewright.compiler.verify.compare import Tolerance, compare_output
from edgewright.deploy.toolchain import Toolchain
from edgewright.deploy.tuning.candidate_library import F32, CandidateLibrary
from edgewright.deploy.tuning.job import Began, Ended, Job, Outcome, Reply
from edgewright.schedules.kernel import Offer
from edgewright.schedules.records import Excluded, Measured
from edgewright.schedules.select import candidates
from edgewright.schedules.workload import Conv2dWorkload, DenseWorkload

__all__ = ["measure"]

#: Configurations of each kernel family that are measured.
_OF_FAMILY = 10
#: Bytes of packed weights that the candidates of one workload may take together.
_MAX_WEIGHT_BYTES = 1 << 30
#: What the winner must save of the time of the model's choice: less is within the noise.
_MIN_GAIN = 0.02
#: Threads that compile.
_BUILD_THREADS = 2

_Say = Callable[[Reply], None]


def measure(job: Job, toolchain: Toolchain, runtime_objects: Sequence[str], say: _Say) -> Outcome:
    """Measure the candidates of a workload, the cost model's choice first among them.

    Every candidate's numbers are compared with those of the cost model's choice before it is timed:
    what differs by more than a verification allows is excluded.

    Args:
        job: what to measure.
        toolchain: links for this machine.
        runtime_objects: the compiled C runtime.
        say: told of everything that may end the process, before and after it.

    Raises:
        ToolError: the toolchain failed.
    """
    workload = job.tunable.workload
    offers = candidates(workload, job.target, job.tunable.input_layout, _OF_FAMILY)
    choice = offers[0].name
    offers = offers[: _affordable(workload)]
    excluded: dict[str, str] = {}
    built = _build([offer for offer in offers if offer.name not in job.without], job, excluded, say)
    names = [candidate.kernel.name for candidate in built]
    times: dict[str, float] = {}
    rounds = 0
    if built:
        folder = Path(job.folder)
        with CandidateLibrary(
            toolchain, folder, runtime_objects, built, workload, job.threads
        ) as library:
            outputs = _run(library, names, say)
            excluded |= _wrong(outputs, choice)
            if len(outputs) > len(excluded.keys() & outputs.keys()):
                medians, rounds = library.time(job.seconds)
                times = dict(zip(names, medians, strict=True))
    measured = sorted(
        (
            Measured(o.name, o.algorithm, o.config, times[o.name], o.cost)
            for o in offers
            if o.name in times and o.name not in excluded
        ),
        key=lambda entry: entry.median_ns,
    )
    return Outcome(
        kernel=_winner(measured, choice),
        model_choice=choice,
        rounds=rounds,
        measured=tuple(measured),
        excluded=tuple(Excluded(name, reason) for name, reason in excluded.items()),
    )


def _affordable(workload: Conv2dWorkload | DenseWorkload) -> int:
    """How many candidates have room for their weights, at least two."""
    if isinstance(workload, DenseWorkload):
        elements = workload.in_features * workload.out_features
    else:
        taps = workload.kernel_h * workload.kernel_w
        elements = workload.out_channels * workload.in_channels * taps
    return max(2, _MAX_WEIGHT_BYTES // (4 * elements))


def _build(
    offers: Sequence[Offer], job: Job, excluded: dict[str, str], say: _Say
) -> list[Candidate]:
    """The candidates that compile; the others get their reasons in ``excluded``."""

    def build(number: int) -> Candidate | None:
        name = offers[number].name
        say(Began(name))
        try:
            return build_candidate(offers[number].build(), job.target, f"tune_{number}")
        except Exception as error:  # TVM's share no base; one candidate must not stop the others
            first = " ".join(str(error).split())[:200]
            excluded[name] = f"does not compile ({type(error).__name__}: {first})"
            return None
        finally:
            say(Ended(name))

    with ThreadPoolExecutor(max_workers=1 if job.one_by_one else _BUILD_THREADS) as pool:
        built = list(pool.map(build, range(len(offers))))
    return [candidate for candidate in built if candidate is not None]


def _run(library: CandidateLibrary, names: Sequence[str], say: _Say) -> dict[str, F32]:
    """What each candidate computes; the one that ends the process is the first not to end."""
    for name in names:
        say(Began(name, runs=True))
    outputs = library.outputs(lambda number: say(Ended(names[number])))
    return dict(zip(names, outputs, strict=True))


def _wrong(outputs: Mapping[str, F32], choice: str) -> dict[str, str]:
    """The candidates whose numbers differ from those of the cost model's choice, and how."""
    reference = outputs.get(choice, next(iter(outputs.values())))
    wrong = {}
    for name, y in outputs.items():
        compared = compare_output(name, y, reference, Tolerance())
        if not compared.passed:
            wrong[name] = f"its numbers are wrong: {compared.reason}"
    return wrong


def _winner(measured: Sequence[Measured], choice: str) -> str:
    """The fastest, unless the cost model's choice is nearly as fast; empty if there is none."""
    if not measured:
        return ""
    best = measured[0]
    model = next((entry for entry in measured if entry.kernel == choice), best)
    return model.kernel if best.median_ns > model.median_ns * (1 - _MIN_GAIN) else best.kernel
