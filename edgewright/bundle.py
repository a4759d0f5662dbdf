"""A compiled model in the hand: run it, verify it, time it, keep it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgewright.compiler.verify.classification import Classification
from edgewright.compiler.verify.compare import Tolerance
from edgewright.compiler.verify.golden import Golden
from edgewright.compiler.verify.reference import OnnxRuntimeRunner, index_limits, seeded_inputs
from edgewright.compiler.verify.runner import Array, check_inputs
from edgewright.compiler.verify.verification import Case, Verification, compare_case
from edgewright.deploy.bench_bundle import bench_bundle
from edgewright.deploy.benchmark import Benchmark
from edgewright.deploy.bundle import BundleFolder, hash_file, replaceable
from edgewright.deploy.counting.cost import Cost, count_bundle
from edgewright.deploy.cuda.device_report import check_launches, is_for_gpu
from edgewright.deploy.deploy import Deployment, deploy_bundle
from edgewright.deploy.manifest import Manifest
from edgewright.deploy.output_folder import staged_folder
from edgewright.deploy.runner import open_runner
from edgewright.deploy.transport.open_machine import open_machine
from edgewright.deploy.transport.ssh_address import parse_ssh_address
from edgewright.labelled_samples import classify_samples
from edgewright.models.datasets.preprocessing import Preprocessing
from edgewright.spec.errors import UsageError
from edgewright.spec.progress import Progress, silent

__all__ = ["Bundle"]


class Bundle:
    """A bundle on disk, sound when it was opened.

    Attributes:
        path: its folder.
        manifest: its index: inputs, outputs, layers, memory, hashes.
        stage_seconds: wall time of each stage of its compilation; empty if it was loaded.
    """

    def __init__(
        self,
        folder: BundleFolder,
        stage_seconds: Mapping[str, float] | None = None,
        temporary: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self.path = folder.path
        self.manifest: Manifest = folder.manifest
        self.stage_seconds = dict(stage_seconds or {})
        self._folder = folder
        self._temporary = temporary  # removes the folder when this object goes

    def __repr__(self) -> str:
        return f"<edgewright.Bundle {self.manifest.name} for {self.manifest.board} at {self.path}>"

    def golden(self) -> Golden:
        """The tensors the bundle proves itself on: inputs, and what onnxruntime makes of them.

        Raises:
            BundleError: a tensor's file has not the size that the manifest gives.
        """
        return self._folder.golden()

    def run(
        self, inputs: Mapping[str, Array], *, on: str = "host", threads: int = 1
    ) -> dict[str, Array]:
        """Run the model once.

        Args:
            inputs: an array for each input, by name, of exactly its shape and element type.
            on: ``host``, ``qemu``, or a board: ``ssh://user@host[:port][/path]``.
            threads: threads that share the work.

        Returns:
            An array for each output, by name.

        Raises:
            TensorError: the inputs do not fit the model.
            UsageError: the bundle is for another architecture than ``on``.
            EnvironmentFailure: QEMU or the library failed.
        """
        arrays = check_inputs(inputs, self.manifest.inputs)
        with open_runner(self._folder, on, threads=threads) as runner:
            return runner.infer(arrays)

    def verify(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        on: str = "host",
        atol: float | None = None,
        rtol: float | None = None,
        inputs: Mapping[str, Array] | None = None,
        seed: int = 1,
        threads: int = 1,
        progress: Progress | None = None,
    ) -> Verification:
        """Compare the bundle with onnxruntime.

        Args:
            model: the ONNX file that the bundle was compiled from. Without it, the golden tensors
                of the bundle are compared; with it, onnxruntime runs beside the bundle on fresh
                seeded inputs too.
            on: ``host``, ``qemu``, ``emulated-gpu``, or a board, ``ssh://user@host[:port][/path]``.
            atol: absolute tolerance of ``numpy.allclose``; see
                :mod:`edgewright.compiler.verify.compare` for the default.
            rtol: relative tolerance of ``numpy.allclose``.
            inputs: arrays to compare on in place of the fresh ones; needs ``model``.
            seed: what the fresh inputs follow from.
            threads: threads that share the work.
            progress: told ``verify`` and the fraction that is done.

        Raises:
            UsageError: the model is not the bundle's, or a tolerance is negative.
            VerificationError: a launch does not fit the GPU that the bundle is for.
            EnvironmentFailure: QEMU or the library failed.
        """
        tolerance = Tolerance(atol=atol, rtol=rtol)
        if is_for_gpu(self._folder):
            check_launches(self._folder)
        say = progress or silent
        golden = self._folder.golden()
        cases: list[Case] = []
        if inputs is not None and model is None:
            raise UsageError(
                "inputs were given without the model",
                rule="onnxruntime must run the model on them to compare with.",
                remedy="Give the model too.",
            )
        fresh = None
        if model is not None:
            fresh = self._reference_case(Path(model), inputs, seed)
        with open_runner(self._folder, on, threads=threads) as runner:
            say("verify", 0.1)
            actual = runner.infer(golden.inputs)
            cases.append(
                compare_case("golden", golden.reference, actual, golden.outputs, tolerance)
            )
            say("verify", 0.6)
            if fresh is not None:
                name, reference, arrays, expected = fresh
                actual = runner.infer(arrays)
                cases.append(compare_case(name, reference, actual, expected, tolerance))
            say("verify", 1.0)
            return Verification(runner.name, tolerance, tuple(cases))

    def classify(
        self,
        model: str | os.PathLike[str],
        samples: str | os.PathLike[str],
        *,
        image_format: str = "",
        limit: int | None = None,
        mean: Sequence[float] = (0.0,),
        deviation: Sequence[float] = (1.0,),
        on: str = "host",
        atol: float | None = None,
        rtol: float | None = None,
        threads: int = 1,
        progress: Progress | None = None,
    ) -> Classification:
        """Run the bundle and onnxruntime on labelled images, and compare accuracy and numbers.

        A pixel becomes ``(pixel / 255 - mean) / deviation``; give what the model was trained with.

        Args:
            model: the ONNX file that the bundle was compiled from.
            samples: a file or folder in a data set's own format.
            image_format: ``mnist``, ``cifar10``, ``svhn`` or ``images``; empty to find out.
            limit: at most that many samples, evenly spread; None for all.
            mean: one number, or one for each channel, for pixels from 0 to 1.
            deviation: likewise.
            on: ``host``, ``qemu``, or a board: ``ssh://user@host[:port][/path]``.
            atol: absolute tolerance of ``numpy.allclose``; see :meth:`verify`.
            rtol: relative tolerance of ``numpy.allclose``.
            threads: threads that share the work.
            progress: told ``samples`` and the fraction that is done.

        Raises:
            UsageError: the model is not the bundle's, or an argument is out of range.
            UnsupportedModelError: the model takes no images, or gives no scores of classes.
            DatasetError: the samples cannot be read, are damaged, or do not fit the model.
            EnvironmentFailure: QEMU, the library or a package that reads the samples failed.
        """
        self._check_model(Path(model))
        return classify_samples(
            self._folder,
            Path(model),
            Path(samples),
            image_format=image_format,
            limit=limit,
            preprocessing=Preprocessing(tuple(mean), tuple(deviation)),
            on=on,
            threads=threads,
            tolerance=Tolerance(atol=atol, rtol=rtol),
            progress=progress or silent,
        )

    def _reference_case(
        self, model: Path, inputs: Mapping[str, Array] | None, seed: int
    ) -> tuple[str, str, dict[str, Array], dict[str, Array]]:
        """What onnxruntime makes of fresh inputs: names of case and reference, both tensors."""
        import onnx

        self._check_model(model)
        name = "given"
        if inputs is None:
            name = f"seed {seed}"
            proto = onnx.load(str(model), load_external_data=False)
            inputs = seeded_inputs(self.manifest.inputs, seed, index_limits(proto))
        arrays = check_inputs(inputs, self.manifest.inputs)
        with OnnxRuntimeRunner(model) as runner:
            return name, runner.name, arrays, runner.infer(arrays)

    def bench(
        self,
        *,
        on: str = "host",
        threads: int | Sequence[int] = 1,
        sweep: bool = False,
        vs: str | None = None,
        model: str | os.PathLike[str] | None = None,
        repeats: int | None = None,
        profile: bool = False,
        progress: Progress | None = None,
    ) -> Benchmark:
        """Measure the latency of one inference.

        Args:
            on: ``host``, or a board, ``ssh://user@host[:port][/path]``, where the bundle is put
                unless it is at the path; under emulation nothing is timed.
            threads: a number of threads, or several.
            sweep: try every number of threads on every cluster instead, and recommend one.
            vs: ``onnxruntime`` to time it too, in turns with the bundle; needs ``model``.
            model: the ONNX file that the bundle was compiled from.
            repeats: inferences that count; None for what about two seconds allow.
            profile: time each layer too.
            progress: told ``copy``, ``bench`` and the fraction that is done.

        Raises:
            UsageError: an unknown engine, no model for it, a place where time means nothing.
            BoardError: the board cannot be reached, or lacks what the bundle needs.
        """
        if vs is not None and model is not None:
            self._check_model(Path(model))
        return bench_bundle(
            self._folder,
            on=on,
            threads=(threads,) if isinstance(threads, int) else tuple(threads),
            sweep=sweep,
            versus=vs,
            model=None if model is None else Path(model),
            repeats=repeats,
            profile=profile,
            progress=progress or silent,
        )

    def deploy(
        self, address: str, *, selftest: bool = True, progress: Progress | None = None
    ) -> Deployment:
        """Bring the bundle to a board: whole, proven there, or not at all.

        Args:
            address: ``ssh://user@host[:port][/path]``; without a path ``~/edgewright/NAME``.
            selftest: run the golden inputs there before the new version takes the old one's place.
            progress: told ``check``, ``copy``, ``selftest`` and the fraction that is done.

        Raises:
            UsageError: a malformed address.
            BoardError: the board cannot be reached, lacks what the bundle needs, or refused the
                copy; the old version is untouched.
            VerificationError: the board computes other numbers than the reference; likewise.
        """
        path = parse_ssh_address(address).path
        with open_machine(address) as machine:
            return deploy_bundle(
                self._folder, machine, path, selftest=selftest, progress=progress or silent
            )

    def cost(
        self,
        *,
        cpu: str | None = None,
        layers: bool = False,
        inferences: int = 1,
        progress: Progress | None = None,
    ) -> Cost:
        """Count the instructions that one inference executes on an emulated core; no latency.

        Args:
            cpu: the core to emulate, such as ``cortex-a72``; by default the bundle's.
            layers: count each layer too.
            inferences: inferences that the counts are the mean of.
            progress: told ``count`` and the fraction that is done.

        Raises:
            UsageError: the core is of another architecture than the bundle.
            ToolError: QEMU's user mode with plugins, or a compiler for the plugin, is absent.
        """
        return count_bundle(
            self._folder, cpu=cpu, layers=layers, inferences=inferences, progress=progress or silent
        )

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Bundle:
        """Copy the bundle, whole or not at all.

        Args:
            path: the new folder.
            force: replace a bundle that stands there.

        Returns:
            The copy.

        Raises:
            OutputError: the folder is not empty or cannot be written.
            EnvironmentFailure: the disk is full.
        """
        with staged_folder(Path(path), replaceable=replaceable(force)) as staging:
            shutil.copytree(
                self.path,
                staging,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        return Bundle(BundleFolder(Path(path), self.manifest), self.stage_seconds)

    def _check_model(self, model: Path) -> None:
        try:
            found = hash_file(model)
        except OSError as error:
            raise UsageError(
                f"the model '{model}' cannot be read ({error.strerror})",
                remedy="Name the ONNX file that the bundle was compiled from.",
            ) from error
        if found != self.manifest.model_sha256:
            raise UsageError(
                f"'{model}' is not the model that the bundle '{self.path}' was compiled from",
                rule="Its hash differs from the one in the manifest.",
                remedy="Name the original file, or compile this one.",
            )
