"""Edgewright compiles ONNX models for ARM boards and proves the result.

>>> import edgewright
>>> bundle = edgewright.compile("model.onnx", target="rpi4", output="model-rpi4")
>>> bundle.verify(on="qemu").passed
True

Importing this package imports neither TVM nor any other large package: that happens at first use.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# onnxruntime reports its use to its maker unless this is set before it is loaded. Nobody who
# compiles a model has asked for that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from edgewright.api import Bundle, compile, inspect, load, tune  # noqa: A004  # the command line's verb
    from edgewright.compiler.verify.classification import Classification
    from edgewright.compiler.verify.verification import Verification
    from edgewright.deploy.benchmark import Benchmark
    from edgewright.deploy.fleet.fleet_result import FleetResult
    from edgewright.deploy.tuning.tune import Tuning
    from edgewright.fleet import bench_fleet
    from edgewright.inspection import Inspection
    from edgewright.schedules.records import Records
    from edgewright.spec.errors import (
        BoardError,
        BundleError,
        DatasetError,
        EdgewrightError,
        EnvironmentFailure,
        ModelError,
        OutputError,
        RecordsError,
        TargetError,
        TensorError,
        ToolError,
        UnreachableError,
        UnsupportedModelError,
        UsageError,
        VerificationError,
    )
    from edgewright.spec.target import Target
    from edgewright.spec.tensor import TensorSpec

__all__ = [
    "Benchmark",
    "BoardError",
    "Bundle",
    "BundleError",
    "Classification",
    "DatasetError",
    "EdgewrightError",
    "EnvironmentFailure",
    "FleetResult",
    "Inspection",
    "ModelError",
    "OutputError",
    "Records",
    "RecordsError",
    "Target",
    "TargetError",
    "TensorError",
    "TensorSpec",
    "ToolError",
    "Tuning",
    "UnreachableError",
    "UnsupportedModelError",
    "UsageError",
    "Verification",
    "VerificationError",
    "__version__",
    "bench_fleet",
    "compile",
    "inspect",
    "load",
    "tune",
]

__version__ = "0.1.0"

_HOMES = {
    "Benchmark": "edgewright.deploy.benchmark",
    "Bundle": "edgewright.api",
    "Classification": "edgewright.compiler.verify.classification",
    "FleetResult": "edgewright.deploy.fleet.fleet_result",
    "Records": "edgewright.schedules.records",
    "Target": "edgewright.spec.target",
    "TensorSpec": "edgewright.spec.tensor",
    "Tuning": "edgewright.deploy.tuning.tune",
    "Verification": "edgewright.compiler.verify.verification",
    "Inspection": "edgewright.inspection",
    "bench_fleet": "edgewright.fleet",
    "compile": "edgewright.api",
    "inspect": "edgewright.api",
    "load": "edgewright.api",
    "tune": "edgewright.api",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'edgewright' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES.get(name, "edgewright.spec.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
