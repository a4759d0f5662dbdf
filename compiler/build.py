"""Scheduled kernels to machine code."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edgewright.compiler.pipeline import plain_c_passes, tir_passes
from edgewright.spec.errors import TargetError, UnsupportedModelError
from edgewright.spec.target import Target

__all__ = ["build_objects", "check_target"]


def check_target(target: Target) -> None:
    """Refuse a CPU or feature that LLVM does not know: it would only warn, and generate plain code.

    Raises:
        TargetError: the CPU or one of the features is unknown for the triple.
    """
    import tvm
    import tvm_ffi

    # Asked without the CPU and the features, or LLVM prints its own warnings about them first.
    tvm_target = tvm.target.Target({"kind": "llvm", "mtriple": target.mtriple})
    cpus = {str(cpu) for cpu in tvm_ffi.get_global_func("target.llvm_get_cpu_archlist")(tvm_target)}
    if target.mcpu not in cpus:
        raise TargetError(
            f"unknown CPU '{target.mcpu}' for the triple {target.mtriple}",
            rule="The CPU must be one that LLVM knows for that architecture.",
            remedy=f"Near matches: {_near(target.mcpu, cpus)}.",
        )
    if not target.mattr:
        return
    features = _known_features(target.mtriple, sorted(cpus))
    for feature in target.mattr:
        if feature[1:] not in features:
            raise TargetError(
                f"unknown CPU feature '{feature}' for the triple {target.mtriple}",
                rule="A feature must be one that LLVM knows for that architecture.",
                remedy=f"Near matches: {_near(feature[1:], features)}.",
            )


def _known_features(mtriple: str, cpus: Sequence[str]) -> set[str]:
    """Every feature that some CPU of the architecture has: LLVM lists features by CPU only."""
    import tvm
    import tvm_ffi

    features_of = tvm_ffi.get_global_func("target.llvm_get_cpu_features")
    known = {"soft-float", "strict-align"}  # code generation only, on no CPU
    for cpu in cpus:
        known |= {
            str(name)
            for name in features_of(
                tvm.target.Target({"kind": "llvm", "mtriple": mtriple, "mcpu": cpu})
            )
        }
    return known


def build_objects(kernels: Mapping[str, Any], target: Target) -> dict[str, bytes]:
    """Compile kernels to relocatable ELF objects.

    Args:
        kernels: ``tirx.PrimFunc`` with one top-level parallel loop, by C symbol.
        target: the core to compile for.

    Returns:
        Objects by file name. The split into objects depends on the kernels alone, not on the
        machine, so that the same kernels give the same bytes.
    """
    names = sorted(kernels)
    shares = [names[0::2], names[1::2]]
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(_build, {n: kernels[n] for n in share}, target) for share in shares]
        objects = [job.result() for job in jobs]
    return {f"kernels_{i}.o": code for i, code in enumerate(objects) if code}


def _build(kernels: Mapping[str, Any], target: Target) -> bytes:
    if not kernels:
        return b""
    import tvm
    import tvm_ffi
    from tvm import tirx

    tvm_target = _tvm_target(target)
    module = tvm.IRModule(
        {name: func.with_attr("global_symbol", name) for name, func in kernels.items()}
    )
    with tvm.transform.PassContext(opt_level=3):
        module = tirx.transform.BindTarget(tvm_target.with_host(tvm_target))(module)
        module = tvm.transform.Sequential([*tir_passes(), *plain_c_passes()])(module)
        built = tvm_ffi.get_global_func("target.build.llvm")(module, tvm_target)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernels.o")
        built.write_to_file(str(path), "o")
        code = path.read_bytes()
    _refuse_tvm_hooks(code)
    return code


def _refuse_tvm_hooks(code: bytes) -> None:
    """TVM's hooks are weak symbols: without TVM they call address 0, so none may be left."""
    found = re.search(rb"TVM(Backend|FFI)\w+", code)
    if found:
        raise UnsupportedModelError(
            f"a kernel of this model calls {found.group().decode()}",
            rule="A bundle runs without TVM, so its kernels may not need TVM's runtime.",
            remedy="Report the model: its operators were scheduled in a way that allocates memory.",
        )


def _tvm_target(target: Target) -> Any:
    import tvm

    return tvm.target.Target(target.tvm_dict())


def _near(name: str, known: set[str]) -> str:
    import difflib

    ordered = sorted(known)
    return ", ".join(difflib.get_close_matches(name, ordered, n=4, cutoff=0.4) or ordered[:6])
