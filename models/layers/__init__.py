"""The blocks that the reference networks are made of, one file each.

All take and give ``float32[N, C, H, W]`` (``NCHW``) unless a block says otherwise; convolution
weights are ``OIHW``.
"""

from edgewright.models.layers.basic_block import BasicBlock
from edgewright.models.layers.bottleneck import Bottleneck
from edgewright.models.layers.conv_batch_norm import ConvBatchNorm
from edgewright.models.layers.conv_head import ConvHead
from edgewright.models.layers.dense_head import DenseHead
from edgewright.models.layers.depthwise_separable import DepthwiseSeparable
from edgewright.models.layers.fire import Fire
from edgewright.models.layers.inception import Inception
from edgewright.models.layers.inverted_residual import InvertedResidual
from edgewright.models.layers.pooled_head import PooledHead
from edgewright.models.layers.shuffle_unit import ShuffleUnit

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ConvBatchNorm",
    "ConvHead",
    "DenseHead",
    "DepthwiseSeparable",
    "Fire",
    "Inception",
    "InvertedResidual",
    "PooledHead",
    "ShuffleUnit",
]
