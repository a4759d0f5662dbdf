"""The table of documented layers. It imports neither torch nor the layers."""

from __future__ import annotations

from edgewright.models.entry import Entry, ModelInput, image

__all__ = ["LAYERS"]


def _layer(
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


LAYERS: tuple[Entry, ...] = (
    _layer(
        "standard_convolution",
        summary="3x3 convolution over all channels",
        paper="Dumoulin and Visin, 2016, arXiv:1603.07285",
        inputs=image(12, 17, 19),
        parameters=2_180,
        macs=697_680,
    ),
)
