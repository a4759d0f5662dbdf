"""Golden tensors: seeded inputs and what the reference makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewright.compiler.verify.reference import OnnxRuntimeRunner, seeded_inputs
from edgewright.compiler.verify.runner import Array
from edgewright.spec.errors import UnsupportedModelError
from edgewright.spec.tensor import TensorSpec

__all__ = ["Golden", "make_golden"]


@dataclass(frozen=True)
class Golden:
    """What proves a bundle without the model at hand.

    Attributes:
        seed: what the inputs were drawn with.
        reference: what computed the outputs, with its version.
        inputs: by name, in the model's order.
        outputs: by name, in the model's order.
    """

    seed: int
    reference: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


def make_golden(
    model: Path,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    seed: int = 0,
    limits: Mapping[str, int] | None = None,
) -> Golden:
    """Run the original model, as it came from the user, on seeded inputs.

    Args:
        model: the ONNX file.
        inputs: what it takes.
        outputs: what the compiled model gives; the reference must give the same.
        seed: what the inputs are drawn with.
        limits: by input, what indices stay under.

    Raises:
        UnsupportedModelError: the reference cannot run the model, gives values that are not finite,
            or outputs of another shape or element type than ours.
    """
    arrays = seeded_inputs(inputs, seed, limits)
    with OnnxRuntimeRunner(model) as runner:
        results = runner.infer(arrays)
        reference = runner.name
    for spec in outputs:
        result = results.get(spec.name)
        if result is None or result.shape != spec.shape or result.dtype.name != spec.dtype:
            found = "nothing" if result is None else f"{result.dtype.name}{list(result.shape)}"
            raise UnsupportedModelError(
                f"for the output {spec} the reference gives {found}",
                rule="Shapes are fixed when a model is compiled, and must be the true ones.",
                remedy="Give every input's shape with --input-shape, or correct the model.",
            )
        if result.dtype.kind == "f" and not np.isfinite(result).all():
            raise UnsupportedModelError(
                f"the output '{spec.name}' of the reference holds NaN or infinite values for "
                "normal-distributed inputs",
                rule="Parity cannot be proven on values that are not finite.",
                remedy="Check the model's weights: an exported batch norm without statistics is a "
                "common cause.",
            )
    ordered = {spec.name: np.ascontiguousarray(results[spec.name]) for spec in outputs}
    return Golden(seed, reference, arrays, ordered)
