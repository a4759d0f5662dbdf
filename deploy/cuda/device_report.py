"""``cuda/device.json`` of a bundle: what its kernels take and how they are launched."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from edgewright.compiler.cuda.device_program import StepLaunch
from edgewright.deploy.bundle import BundleFolder
from edgewright.deploy.cuda.ptxas_report import KernelResources, find_misfits
from edgewright.spec.decode import decode
from edgewright.spec.errors import BundleError, UsageError, VerificationError
from edgewright.spec.gpu import parse_gpu

__all__ = [
    "EMULATED_GPU",
    "REPORT_FILE",
    "SOURCE_FILE",
    "DeviceReport",
    "check_for_gpu",
    "check_launches",
    "dump_report",
    "is_for_gpu",
    "read_report",
    "refuse_gpu",
]

#: What ``--on`` calls the emulated driver, which runs a bundle's kernels on the CPU.
EMULATED_GPU = "emulated-gpu"

#: From the bundle's root.
REPORT_FILE = "cuda/device.json"
SOURCE_FILE = "cuda/kernels.cu"


@dataclass(frozen=True)
class DeviceReport:
    """What is known of a bundle's device code.

    Attributes:
        arch: what it is for.
        compiler: what made it: ``nvcc 13.0``.
        kernels: what each takes, by name.
        launches: one for each step.
    """

    arch: str
    compiler: str
    kernels: tuple[KernelResources, ...]
    launches: tuple[StepLaunch, ...]

    def misfits(self) -> list[str]:
        """What no GPU of the architecture could launch; see :func:`find_misfits`."""
        return find_misfits(self.kernels, self.launches, parse_gpu(self.arch))


def dump_report(report: DeviceReport) -> str:
    """The report as JSON, with a newline at its end."""
    return json.dumps(dataclasses.asdict(report), indent=1, sort_keys=True) + "\n"


def is_for_gpu(bundle: BundleFolder) -> bool:
    """Whether a bundle is for a GPU."""
    return REPORT_FILE in bundle.manifest.files


def read_report(bundle: BundleFolder) -> DeviceReport:
    """The report of a bundle for a GPU.

    Raises:
        BundleError: it is malformed.
    """
    path: Path = bundle.path / REPORT_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _broken(f"cannot be read ({error})") from None
    for launch in raw.get("launches", ()) if isinstance(raw, dict) else ():
        for name in ("grid", "block"):
            if not isinstance(launch.get(name), list) or len(launch[name]) != 3:
                raise _broken(f"has a launch whose {name} is no list of three")
    return decode(DeviceReport, raw, _broken)


def check_for_gpu(bundle: BundleFolder) -> None:
    """Let a bundle pass that is for a GPU.

    Raises:
        UsageError: it is for a CPU.
    """
    if not is_for_gpu(bundle):
        raise UsageError(
            f"the bundle '{bundle.path}' is for a CPU, and {EMULATED_GPU} runs kernels of a GPU",
            remedy="Leave --on out, or use --on qemu.",
        )


def refuse_gpu(bundle: BundleFolder, why: str) -> None:
    """Let a bundle pass that is for a CPU.

    Args:
        bundle: what shall be used.
        why: the reason to refuse it, as a clause.

    Raises:
        UsageError: it is for a GPU.
    """
    if is_for_gpu(bundle):
        raise UsageError(
            f"the bundle '{bundle.path}' is for a GPU, and {why}",
            remedy=f"Run it where the GPU is, or check it with `edgewright verify --on "
            f"{EMULATED_GPU}`.",
        )


def check_launches(bundle: BundleFolder) -> None:
    """Check what can be without a GPU: that each launch fits the architecture.

    Raises:
        BundleError: the report is malformed.
        VerificationError: a kernel is missing, or takes more than a launch may.
    """
    report = read_report(bundle)
    misfits = report.misfits()
    if misfits:
        raise VerificationError(
            f"{len(misfits)} launches of '{bundle.path}' do not fit {report.arch}: {misfits[0]}",
            rule="The limits are the architecture's; the figures are ptxas's.",
            remedy="Compile the model again.",
        )


def _broken(what: str) -> BundleError:
    return BundleError(
        f"'{REPORT_FILE}' {what}",
        rule="A bundle is used only as it was written.",
        remedy="Compile the model again.",
    )
