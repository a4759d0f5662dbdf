"""What a comparison needs of anything that infers: onnxruntime, a bundle, a bundle on a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from edgewright.spec.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from edgewright.spec.tensor import TensorSpec

__all__ = ["Array", "Runner", "check_inputs"]

#: A dense tensor of any element type.
Array = npt.NDArray[Any]


class Runner(Protocol):
    """Something that infers, opened and closed as a context manager.

    Attributes:
        name: how reports call it (``onnxruntime 1.31``, ``host, 1 thread``, ``qemu cortex-a72``).
    """

    name: str

    def __enter__(self) -> Self:
        """Load the model."""
        ...

    def __exit__(self, *exception: object) -> None:
        """Free what was loaded."""
        ...

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            inputs: one array for each input of the model, by name.

        Returns:
            One array for each output, by name, in the model's order.
        """
        ...


def check_inputs(inputs: Mapping[str, Array], specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """The arrays in the model's order, row-major, or an error that says what does not fit.

    Args:
        inputs: arrays by name.
        specs: the inputs that the model takes.

    Raises:
        TensorError: a name is missing or unknown, or a shape or element type differs.
    """
    wanted = ", ".join(str(spec) for spec in specs)
    for name in inputs:
        if all(name != spec.name for spec in specs):
            raise TensorError(
                f"the model has no input '{name}'",
                rule=f"It takes {wanted}.",
                remedy="Rename the array, or leave it out.",
            )
    ordered: dict[str, Array] = {}
    for spec in specs:
        if spec.name not in inputs:
            raise TensorError(
                f"the input '{spec.name}' is missing",
                rule=f"The model takes {wanted}.",
                remedy=f"Give an array named '{spec.name}'.",
            )
        array = np.asarray(inputs[spec.name])
        if array.dtype.name != spec.dtype:
            raise TensorError(
                f"the input '{spec.name}' has the element type {array.dtype.name}",
                rule=f"The model takes {spec}.",
                remedy=f"Convert it with .astype('{spec.dtype}').",
            )
        if array.shape != spec.shape:
            raise TensorError(
                f"the input '{spec.name}' has the shape {list(array.shape)}",
                rule=f"The model takes {spec}, and shapes are fixed when it is compiled.",
                remedy="Reshape the array, or compile the model with --input-shape for this shape.",
            )
        ordered[spec.name] = np.ascontiguousarray(array).reshape(spec.shape)
    return ordered
