"""Times a bundle on this machine, alone or in turns with onnxruntime."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from edgewright.compiler.verify.reference import OnnxRuntimeRunner
from edgewright.deploy.benchmark import Benchmark, LayerTime, conditions, time_in_turns
from edgewright.deploy.bundle import BundleFolder
from edgewright.deploy.runner import open_library
from edgewright.deploy.transport.host import HostTransport
from edgewright.spec.errors import ToolError, UsageError
from edgewright.spec.progress import Progress, silent

__all__ = ["ENGINES", "bench_bundle"]

#: Engines that a bundle can be compared with.
ENGINES = ("onnxruntime",)

_PROFILE_SECONDS = 2.0
_PROFILE_TIMEOUT_SECONDS = 600.0


def bench_bundle(
    bundle: BundleFolder,
    *,
    on: str = "host",
    threads: Sequence[int] = (1,),
    versus: str | None = None,
    model: Path | None = None,
    repeats: int | None = None,
    profile: bool = False,
    progress: Progress = silent,
) -> Benchmark:
    """Measure the latency of one inference on the golden inputs.

    Args:
        bundle: what to time.
        on: ``host``.
        threads: numbers of threads.
        versus: one of :data:`ENGINES`, timed in turns with the bundle, or None.
        model: the ONNX file for that engine.
        repeats: inferences that count; None for what about two seconds allow.
        profile: time each layer too, with the first number of threads.
        progress: told ``bench`` and the fraction that is done.

    Raises:
        UsageError: an argument is out of range, or ``on`` is emulated.
        BoardError: ``on`` is a board, which this version cannot reach.
        ToolError: the bundle's programs fail.
    """
    _check(threads, versus, model, repeats)
    golden = bundle.golden()
    with contextlib.ExitStack() as stack:
        contenders: dict[tuple[str, int], Callable[[], None]] = {}
        for count in threads:
            ours = stack.enter_context(open_library(bundle, on, threads=count))
            contenders["edgewright", count] = ours.bind(golden.inputs)
            if versus is not None and model is not None:
                theirs = stack.enter_context(OnnxRuntimeRunner(model, count))
                contenders[theirs.name, count] = theirs.bind(golden.inputs)
        timings = time_in_turns(
            contenders, repeats=repeats, progress=lambda fraction: progress("bench", fraction)
        )
    layers = _profile(bundle, threads[0]) if profile else ()
    return Benchmark(on, conditions(), timings, layers)


def _check(
    threads: Sequence[int], versus: str | None, model: Path | None, repeats: int | None
) -> None:
    if not threads:
        raise UsageError("no number of threads was given", rule="At least one is needed.")
    if repeats is not None and repeats < 1:
        raise UsageError(f"{repeats} repeats were asked for", rule="At least 1 is needed.")
    if versus is not None and versus not in ENGINES:
        raise UsageError(
            f"unknown engine '{versus}'",
            rule=f"A bundle can be compared with {', '.join(ENGINES)}.",
        )
    if versus is not None and model is None:
        raise UsageError(
            f"{versus} was asked for without the model",
            rule="A bundle does not hold the ONNX file that it was compiled from.",
            remedy="Name it with --model.",
        )


def _profile(bundle: BundleFolder, threads: int) -> tuple[LayerTime, ...]:
    """Each layer's time, from the bundle's own ``bench``."""
    arguments = ["--bundle", str(bundle.path), "--threads", str(threads), "--profile", "--json"]
    done = HostTransport().run(
        bundle.path / "bin" / "bench",
        [*arguments, "--seconds", str(_PROFILE_SECONDS)],
        timeout_seconds=_PROFILE_TIMEOUT_SECONDS,
    )
    if done.status != 0:
        raise ToolError(f"the bundle's bench failed ({done.why})", remedy="Compile it again.")
    steps = json.loads(done.stdout)["profile"]["steps"]
    rows = []
    for step, layer in zip(steps, bundle.manifest.layers, strict=True):
        seconds = step["median_ms"] / 1e3
        rate = layer.macs / seconds / 1e9 if layer.macs and seconds else 0.0
        rows.append(
            LayerTime(layer.name, layer.op, layer.kernel, seconds * 1e6, step["share"], rate)
        )
    return tuple(rows)
