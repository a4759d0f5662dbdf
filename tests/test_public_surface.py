"""What a user may import, and what it is."""

from __future__ import annotations

import inspect

import edgewright
from edgewright.spec import errors

SURFACE = {
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
}


def test_the_surface_is_what_is_promised() -> None:
    assert set(edgewright.__all__) == SURFACE
    assert edgewright.__all__ == sorted(edgewright.__all__)
    assert set(dir(edgewright)) >= SURFACE


def test_every_name_is_there_and_documented() -> None:
    for name in edgewright.__all__:
        value = getattr(edgewright, name)
        if name != "__version__":
            assert inspect.getdoc(value), name


def test_another_name_is_an_attribute_error() -> None:
    assert not hasattr(edgewright, "no_such_name")


def test_every_error_is_public() -> None:
    assert set(errors.__all__) <= set(edgewright.__all__)
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.EdgewrightError)


def test_the_verbs_have_full_types() -> None:
    for function in (
        edgewright.bench_fleet,
        edgewright.compile,
        edgewright.inspect,
        edgewright.load,
        edgewright.tune,
        edgewright.Bundle.run,
        edgewright.Bundle.verify,
        edgewright.Bundle.bench,
        edgewright.Bundle.save,
    ):
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty
        for name, parameter in signature.parameters.items():
            assert name == "self" or parameter.annotation is not inspect.Parameter.empty, name


def test_the_package_is_typed() -> None:
    from importlib.resources import files

    assert files("edgewright").joinpath("py.typed").is_file()
