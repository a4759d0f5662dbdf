"""The table of documented normalizations. It imports neither torch nor the layers."""

from __future__ import annotations

from edgewright.models.entry import Entry, ModelInput, image, layer_entry

__all__ = ["NORMALIZATIONS"]

NORMALIZATIONS: tuple[Entry, ...] = (
    layer_entry(
        "batch_normalization",
        summary="statistics of training",
        paper="Ioffe and Szegedy, 2015, arXiv:1502.03167",
        inputs=image(13, 7, 9),
        parameters=26,
        macs=0,
        module="plain_normalizations",
    ),
    layer_entry(
        "layer_normalization",
        summary="statistics of one place's features",
        paper="Ba et al., 2016, arXiv:1607.06450",
        inputs=(ModelInput("input", (1, 9, 21)),),
        parameters=42,
        macs=0,
        module="plain_normalizations",
    ),
    layer_entry(
        "instance_normalization",
        summary="statistics of one channel of one image",
        paper="Ulyanov et al., 2016, arXiv:1607.08022",
        inputs=image(9, 11, 13),
        parameters=18,
        macs=0,
        module="plain_normalizations",
    ),
    layer_entry(
        "group_normalization",
        summary="statistics of four channels of one image",
        paper="Wu and He, 2018, arXiv:1803.08494",
        inputs=image(12, 9, 11),
        parameters=24,
        macs=0,
        module="plain_normalizations",
    ),
    layer_entry(
        "switchable_normalization",
        summary="trained mixture of instance, layer and batch",
        paper="Luo et al., 2018, arXiv:1806.10779",
        inputs=image(11, 9, 7),
        parameters=28,
        macs=0,
    ),
    layer_entry(
        "local_response_normalization",
        summary="divided by the squares of five channels",
        paper="Krizhevsky et al., 2012, ImageNet Classification with Deep CNNs, section 3.3",
        inputs=image(13, 7, 9),
        parameters=0,
        macs=0,
        module="plain_normalizations",
    ),
)
