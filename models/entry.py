"""What the registry says of one reference network or documented layer."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.spec.tensor import TensorSpec

__all__ = ["Entry", "ModelInput", "image", "layer_entry"]


@dataclass(frozen=True)
class ModelInput(TensorSpec):
    """An input; axis 0 is the batch, 1 where nothing else is said.

    Attributes:
        low, below: integers are drawn from ``[low, below)``, as token numbers or lengths are.
    """

    low: int = 0
    below: int = 0


def image(channels: int, height: int, width: int) -> tuple[ModelInput, ...]:
    """The one input ``input``, float32[1, channels, height, width]."""
    return (ModelInput("input", (1, channels, height, width)),)


@dataclass(frozen=True)
class Entry:
    """One reference network or documented layer.

    Attributes:
        name: what the command line and :func:`edgewright.models.registry.build` call it.
        kind: ``network``, or ``layer`` for one documented layer with small extents.
        summary: what it is, in a few words.
        paper: authors, year and where to read it.
        inputs: what it takes.
        outputs: names of what it gives; for a batch of 1, axis 0 has one element.
        parameters: trained numbers: weights, biases, scales and shifts of normalizations.
        macs: multiply-accumulates for one input, of convolutions, matrix products and recurrent
            layers.
        builder: ``module:function`` that returns the untrained network.
    """

    name: str
    kind: str
    summary: str
    paper: str
    inputs: tuple[ModelInput, ...]
    outputs: tuple[str, ...]
    parameters: int
    macs: int
    builder: str

    @property
    def shape_text(self) -> str:
        """Shapes of the inputs, as in ``1x3x224x224``."""
        return ", ".join("x".join(map(str, value.shape)) for value in self.inputs)


def layer_entry(
    name: str,
    *,
    summary: str,
    paper: str,
    inputs: tuple[ModelInput, ...],
    parameters: int,
    macs: int,
    module: str = "",
    outputs: tuple[str, ...] = ("output",),
) -> Entry:
    """A layer of the file ``layers/{module or name}.py``; its function ``{name}()`` makes one."""
    builder = f"edgewright.models.layers.{module or name}:{name}"
    return Entry(name, "layer", summary, paper, inputs, outputs, parameters, macs, builder)
