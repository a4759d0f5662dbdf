"""The table of reference networks. It imports neither torch nor the networks."""

from __future__ import annotations

from edgewright.models.entry import Entry, ModelInput, image

__all__ = ["NETWORKS"]


def _network(
    name: str,
    *,
    summary: str,
    paper: str,
    inputs: tuple[ModelInput, ...],
    parameters: int,
    macs: int,
    outputs: tuple[str, ...] = ("logits",),
) -> Entry:
    """A network of the file ``zoo/{name}.py``, whose ``build()`` makes it."""
    builder = f"edgewright.models.zoo.{name}:build"
    return Entry(name, "network", summary, paper, inputs, outputs, parameters, macs, builder)


NETWORKS: tuple[Entry, ...] = (
    _network(
        "lenet5",
        summary="handwritten digits, tanh and average pooling",
        paper="LeCun et al., 1998, Gradient-Based Learning Applied to Document Recognition",
        inputs=image(1, 28, 28),
        parameters=61_706,
        macs=416_520,
    ),
    _network(
        "resnet18",
        summary="residual network of 3x3 convolutions",
        paper="He et al., 2015, arXiv:1512.03385",
        inputs=image(3, 224, 224),
        parameters=11_689_512,
        macs=1_814_073_344,
    ),
    _network(
        "mobilenet_v1",
        summary="depthwise separable convolutions",
        paper="Howard et al., 2017, arXiv:1704.04861",
        inputs=image(3, 224, 224),
        parameters=4_231_976,
        macs=568_740_352,
    ),
    _network(
        "mobilenet_v2",
        summary="inverted residuals with linear bottlenecks",
        paper="Sandler et al., 2018, arXiv:1801.04381",
        inputs=image(3, 224, 224),
        parameters=3_504_872,
        macs=300_774_272,
    ),
    _network(
        "squeezenet1_1",
        summary="fire modules: squeeze, expand, concatenate",
        paper="Iandola et al., 2016, arXiv:1602.07360",
        inputs=image(3, 224, 224),
        parameters=1_235_496,
        macs=349_151_936,
    ),
    _network(
        "vgg16",
        summary="plain 3x3 convolutions, 138 million parameters",
        paper="Simonyan and Zisserman, 2014, arXiv:1409.1556, configuration D",
        inputs=image(3, 224, 224),
        parameters=138_357_544,
        macs=15_470_264_320,
    ),
    _network(
        "resnet50",
        summary="residual network of bottlenecks, version 1.5",
        paper="He et al., 2015, arXiv:1512.03385",
        inputs=image(3, 224, 224),
        parameters=25_557_032,
        macs=4_089_184_256,
    ),
    _network(
        "shufflenet_v2",
        summary="channel split, concatenation and shuffle, width 1.0",
        paper="Ma et al., 2018, arXiv:1807.11164",
        inputs=image(3, 224, 224),
        parameters=2_278_604,
        macs=144_907_992,
    ),
    _network(
        "googlenet",
        summary="inception modules: four branches, concatenate",
        paper="Szegedy et al., 2014, arXiv:1409.4842",
        inputs=image(3, 224, 224),
        parameters=7_005_832,
        macs=1_582_671_872,
    ),
)
