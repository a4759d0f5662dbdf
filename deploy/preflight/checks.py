"""Compares what a bundle asks for with what a machine reports, before anything is copied."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.compiler.cpu_features import cpu_features
from edgewright.deploy.boards.report import BoardReport
from edgewright.deploy.bundle import BundleFolder
from edgewright.deploy.elf_needs import ElfNeeds, read_needs
from edgewright.deploy.preflight.a64_instructions import find_instructions
from edgewright.spec.errors import BoardError
from edgewright.spec.versions import version_key

__all__ = ["Check", "check_bundle", "check_room"]

#: What the incoming version may need besides its files: folders, and blocks not filled.
_ROOM_MARGIN = 1 << 20

#: 32-bit features of LLVM without which code of a target cannot run, by the flag of a core that
#: has one. Each is used wherever it may be, so code is not searched for it.
_ARM_FLAGS = {"vfp2": "vfp", "vfp3": "vfpv3", "vfp4": "vfpv4", "neon": "neon", "hwdiv-arm": "idiva"}
#: Likewise on x86-64, where both call them the same.
_X86_FLAGS = ("sse4_2", "avx", "avx2", "fma", "f16c", "bmi2", "avx512f", "avx512bw", "avx512vl")
_X86_LLVM_NAMES = {"sse4_2": "sse4.2"}


@dataclass(frozen=True)
class Check:
    """One thing that a bundle needs and the machine has.

    Attributes:
        what: ``architecture``, ``instructions``, ``C library``, ``memory`` or ``disk``.
        needs: what the bundle asks for.
        has: what the machine offers.
        note: what to know although it fits; often empty.
    """

    what: str
    needs: str
    has: str
    note: str = ""


def check_bundle(bundle: BundleFolder, report: BoardReport) -> tuple[Check, ...]:
    """Compare architecture, instructions, C library and memory.

    Args:
        bundle: what shall run there.
        report: what the machine says of itself.

    Raises:
        BoardError: the machine lacks something; the message names the file, and the symbol or
            instruction in it.
    """
    needs = [
        found
        for name in sorted(bundle.manifest.files)
        if (found := read_needs(bundle.path / name, name)) is not None
    ]
    return (
        _check_architecture(bundle, report),
        _check_instructions(bundle, report, needs),
        _check_c_library(report, needs),
        _check_memory(bundle, report),
    )


def check_room(machine: str, needed_bytes: int, free_bytes: int) -> tuple[Check, ...]:
    """Compare what will be copied with the free disk.

    Raises:
        BoardError: there is less room than that.
    """
    check = Check("disk", _mib(needed_bytes), f"{_mib(free_bytes)} free")
    if needed_bytes + _ROOM_MARGIN > free_bytes:
        raise BoardError(
            f"{machine} has {check.has} where the bundle shall be, and {check.needs} must be "
            "copied",
            rule="The old version stays until the new one is proven, so both need room.",
            remedy="Free some room on the board, or name a place on another file system.",
        )
    return (check,)


def _check_architecture(bundle: BundleFolder, report: BoardReport) -> Check:
    wanted, arch = bundle.manifest.target.arch, _kernel_arch(report)
    if wanted not in {"aarch64": ("aarch64", "arm")}.get(arch, (arch,)):
        raise BoardError(
            f"the kernel of {report.machine} is for {report.kernel_arch or 'an unknown processor'},"
            f" and the bundle is for {bundle.manifest.board} ({wanted})",
            rule="A 32-bit system runs no 64-bit program, whatever its processor could."
            if (arch, wanted) == ("arm", "aarch64")
            else "",
            remedy="Compile the model for this board; `edgewright boards detect` names it.",
        )
    note = ""
    if report.user_bits is not None and report.user_bits != (32 if wanted == "arm" else 64):
        note = (
            f"The system's own programs are {report.user_bits}-bit: they cannot load the shared "
            "library. The bundle's programs run."
        )
    return Check("architecture", wanted, report.kernel_arch or "", note)


def _check_instructions(bundle: BundleFolder, report: BoardReport, needs: list[ElfNeeds]) -> Check:
    target = bundle.manifest.target
    cores = [cluster.core for cluster in report.clusters if cluster.core is not None]
    check = Check("instructions", target.mcpu, ", ".join(cores) or report.processor or "unknown")
    have = set(report.features)
    if not have or (target.arch == "arm" and report.kernel_arch == "aarch64"):
        return check  # a 64-bit kernel does not say which 32-bit instructions its cores run
    may_use = cpu_features(target)
    if target.arch == "aarch64":
        _check_a64(may_use, have, needs, report.machine, check)
        return check
    flags = {_X86_LLVM_NAMES.get(flag, flag): flag for flag in _X86_FLAGS}
    if target.arch == "arm":
        flags = _ARM_FLAGS
    for feature, flag in flags.items():
        if feature in may_use and flag not in have:
            raise _lacks(report.machine, check, f"instructions of {flag}")
    return check


def _check_a64(
    may_use: frozenset[str], have: set[str], needs: list[ElfNeeds], machine: str, check: Check
) -> None:
    """Refuse instructions that the code holds, was compiled with, and the board lacks.

    Code that asks the system before it uses an instruction, as C libraries do, was compiled for a
    core without it.
    """
    for file in needs:
        for code in file.code:
            for found in find_instructions(code):
                extension = found.extension
                if extension.name in may_use and extension.flag not in have:
                    raise _lacks(
                        machine,
                        check,
                        f"'{found.mnemonic}' ({extension.name}), of which '{file.file}' has "
                        f"{found.count}",
                    )


def _lacks(machine: str, check: Check, what: str) -> BoardError:
    return BoardError(
        f"the cores of {machine} ({check.has}) lack {what}",
        rule=f"The bundle was compiled for {check.needs}; it would end with an illegal "
        "instruction.",
        remedy="Compile the model for this board; `edgewright boards detect` names it.",
    )


def _check_c_library(report: BoardReport, needs: list[ElfNeeds]) -> Check:
    newest, file = None, ""
    for found in needs:
        symbol = found.newest
        if symbol and (not newest or version_key(symbol.version) > version_key(newest.version)):
            newest, file = symbol, found.file
    if newest is None:
        return Check("C library", "none", f"glibc {report.glibc}" if report.glibc else "no glibc")
    if report.glibc is None:
        return Check(
            "C library",
            f"glibc {newest.version}",
            "no glibc found",
            "The shared library cannot be loaded there; the bundle's programs are static and run.",
        )
    if version_key(newest.version) > version_key(report.glibc):
        raise BoardError(
            f"{report.machine} has glibc {report.glibc}, and '{file}' needs {newest.version} for "
            f"the symbol '{newest.name}'",
            rule=f"A program that loads it would end with 'version GLIBC_{newest.version} not "
            "found'.",
            remedy="Compile the model again with --toolchain zig, which links for the oldest glibc "
            "of the board's systems.",
        )
    return Check("C library", f"glibc {newest.version}", f"glibc {report.glibc}")


def _check_memory(bundle: BundleFolder, report: BoardReport) -> Check:
    memory, manifest = bundle.manifest.memory, bundle.manifest
    tensors = sum(spec.size_bytes for spec in (*manifest.inputs, *manifest.outputs))
    scratch = memory.scratch_bytes * manifest.target.num_cores
    needed = memory.arena_bytes + scratch + memory.weights_bytes + tensors
    free = report.available_bytes
    check = Check("memory", _mib(needed), "unknown" if free is None else f"{_mib(free)} available")
    if free is not None and needed > free:
        raise BoardError(
            f"{report.machine} has {check.has}, and the model needs {check.needs} of memory",
            rule="That is its weights, its activations and its working memory.",
            remedy="End other programs there, or compile a smaller model.",
        )
    return check


def _kernel_arch(report: BoardReport) -> str:
    """``aarch64``, ``arm`` or what the kernel calls itself."""
    arch = report.kernel_arch or ""
    return "arm" if arch.startswith("arm") else arch


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
