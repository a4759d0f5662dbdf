"""Candidates linked to a library with the C runtime, loaded into this process and timed.

The library holds two programs that launch every candidate once, one in the opposite order of the
other. Run in turns they meet a busy machine or a changing clock alike. As in a network, each
candidate finds its weights displaced by those of the others, and its input and output in the caches
as far as they fit. The threads are those of a bundle.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgewright.compiler.candidate_program import Candidate, CandidateProgram, emit_candidates
from edgewright.deploy.runtime import edgewright_runtime as runtime
from edgewright.deploy.toolchain import Toolchain
from edgewright.schedules.workload import Conv2dWorkload, DenseWorkload

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CandidateLibrary", "Timings"]

F32 = npt.NDArray[np.float32]

_NAMES = ("forward", "backward")
_LIBRARY = "libcandidates.so"
_ALIGNMENT_BYTES = 64
#: Runs of each candidate before the first that counts, and the least and most that do.
_WARMUP = 2
_MIN_ROUNDS = 10
_MAX_ROUNDS = 1000

#: Medians in nanoseconds by candidate, and the runs of each that they are of.
Timings = tuple[list[float], int]


class CandidateLibrary:
    """Candidates of one workload, ready to run.

    Args:
        toolchain: links for this machine.
        folder: a new folder to build in.
        runtime_objects: what :func:`edgewright.deploy.toolchain.compile_runtime` gave.
        candidates: the candidates; names of their objects differ.
        workload: what they compute.
        threads: threads that share the work.

    Raises:
        ToolError: the toolchain failed.
    """

    def __init__(
        self,
        toolchain: Toolchain,
        folder: Path,
        runtime_objects: Sequence[str],
        candidates: Sequence[Candidate],
        workload: Conv2dWorkload | DenseWorkload,
        threads: int,
    ) -> None:
        self._folder = folder
        self._candidates = candidates
        self._workload = workload
        self._threads = threads
        order = list(range(len(candidates)))
        self._programs = [
            emit_candidates(name, candidates, workload, turned)
            for name, turned in zip(_NAMES, (order, order[::-1]), strict=True)
        ]
        self._models: list[_TimedModel] = []
        self._link(toolchain, runtime_objects)

    def _link(self, toolchain: Toolchain, runtime_objects: Sequence[str]) -> None:
        folder = self._folder
        folder.mkdir()
        for candidate in self._candidates:
            for name, code in candidate.objects.items():
                (folder / name).write_bytes(code)
        for program in self._programs:
            for name, text in program.sources.items():
                (folder / name).write_text(text, encoding="utf-8")
        headers = f"-I{Path(runtime_objects[0]).parent}"
        own = toolchain.compile(folder, [f"{name}.c" for name in _NAMES], flags=[headers])
        kernels = [name for candidate in self._candidates for name in candidate.objects]
        # A pattern: both programs are looked up by name.
        toolchain.link_shared(
            folder, [*own, *runtime_objects, *kernels], _LIBRARY, program="*_program"
        )

    def __enter__(self) -> Self:
        """Load the library and start its threads."""
        inputs = _arrays(self._programs[0], self._candidates, self._workload)
        for program in self._programs:
            place = self._folder / program.name
            place.mkdir()
            entry = {"file": f"../{_LIBRARY}", "symbol": f"{program.name}_program"}
            (place / "manifest.json").write_text(json.dumps({"library": entry}))
            self._models.append(_TimedModel(place, self._threads, program, inputs))
        return self

    def __exit__(self, *exception: object) -> None:
        """End the threads and unload the library."""
        for model in self._models:
            model.close()

    def outputs(self, ran: Callable[[int], None]) -> list[F32]:
        """Run every candidate once; what each wrote, without padding lanes.

        Args:
            ran: told the number of each candidate that has returned.
        """
        model = self._models[0]
        left = Counter(self._programs[0].owners)
        found: dict[int, F32] = {}

        def ended(owner: int, elapsed_ns: int) -> None:
            left[owner] -= 1
            if not left[owner]:
                found[owner] = _valid(model.output, self._workload)
                model.output.fill(np.nan)  # so that what the next does not write shows
                ran(owner)

        model.output.fill(np.nan)
        model.run(ended)
        return [found[number] for number in range(len(self._candidates))]

    def time(self, seconds: float) -> Timings:
        """Time every candidate in turns for about ``seconds``."""
        count = len(self._candidates)
        samples: list[list[int]] = [[] for _ in range(count)]
        end = float("inf")
        for number in range(_WARMUP + _MAX_ROUNDS):
            if number == _WARMUP:
                samples = [[] for _ in range(count)]
                end = time.monotonic() + seconds
            for model in self._models:
                model.run_timed(samples)
            if number >= _WARMUP + _MIN_ROUNDS and time.monotonic() > end:
                break
        return [statistics.median(values) for values in samples], len(samples[0])


class _TimedModel(runtime.Model):
    """One program on fixed arrays, with a clock around each step."""

    def __init__(
        self, folder: Path, threads: int, program: CandidateProgram, inputs: Mapping[str, F32]
    ) -> None:
        super().__init__(folder, threads=threads)
        self._owners = program.owners
        self._run, results = self.bind(inputs)
        (self.output,) = results.values()

    def run(self, ended: Callable[[int, int], None]) -> None:
        """Run every candidate once; ``ended`` is told of each phase's candidate and its time."""
        owners = self._owners

        def record(user: Any, step: int, elapsed_ns: int) -> None:
            ended(owners[step], elapsed_ns)

        hook = runtime._StepHook(record)  # must live until it is taken off again
        self._set_hook(hook)
        try:
            self._run()
        finally:
            self._set_hook(runtime._StepHook())

    def run_timed(self, samples: Sequence[list[int]]) -> None:
        """Run every candidate once and append its time, its phases together."""
        total = [0] * len(samples)

        def add(owner: int, elapsed_ns: int) -> None:
            total[owner] += elapsed_ns

        self.run(add)
        for values, elapsed_ns in zip(samples, total, strict=True):
            values.append(elapsed_ns)


def _arrays(
    program: CandidateProgram,
    candidates: Sequence[Candidate],
    workload: Conv2dWorkload | DenseWorkload,
) -> dict[str, F32]:
    """The program's inputs: one random convolution or product, packed for each candidate."""
    generator = np.random.Generator(np.random.PCG64(0))

    def normal(shape: tuple[int, ...]) -> F32:
        return generator.standard_normal(shape, dtype=np.float32)

    if isinstance(workload, DenseWorkload):
        shape: tuple[int, ...] = (workload.out_features, workload.in_features)
        outputs, products = workload.out_features, workload.in_features
    else:
        w, outputs = workload, workload.out_channels
        shape = (outputs, w.in_channels // w.groups, w.kernel_h, w.kernel_w)
        products = shape[1] * shape[2] * shape[3]
    weights, bias = normal(shape) / np.float32(np.sqrt(products)), normal((outputs,))
    arrays = {spec.name: normal(spec.shape) for spec in program.inputs if spec.name in ("x", "r")}
    for number, candidate in enumerate(candidates):
        kernel = candidate.kernel
        assert kernel.pack_weights is not None
        arrays[f"c{number}_0"] = kernel.pack_weights(weights)
        if kernel.pack_bias is not None:
            arrays[f"c{number}_1"] = kernel.pack_bias(bias)
    return {name: _aligned(array) for name, array in arrays.items()}


def _aligned(array: F32) -> F32:
    """A copy at an address that the runtime need not copy it from."""
    room = np.empty(array.nbytes + _ALIGNMENT_BYTES, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT_BYTES
    copy = room[start : start + array.nbytes].view(np.float32).reshape(array.shape)
    copy[...] = array
    return copy


def _valid(y: F32, workload: Conv2dWorkload | DenseWorkload) -> F32:
    """A copy of an output without the lanes beyond its channels."""
    if isinstance(workload, DenseWorkload):
        return np.array(y)
    batch, blocks, height, width, lanes = y.shape
    plain = y.transpose(0, 1, 4, 2, 3).reshape(batch, blocks * lanes, height, width)
    return np.array(plain[:, : workload.out_channels])
