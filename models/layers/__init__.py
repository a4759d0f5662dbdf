"""The blocks of the reference networks and the documented layers, a file each or for a family.

A documented layer's function, named as its entry in the registry, returns an example of it.

All take and give ``float32[N, C, H, W]`` (``NCHW``) unless a block says otherwise; convolution
weights are ``OIHW``.
"""

from edgewright.models.layers.atrous_pyramid import AtrousPyramid
from edgewright.models.layers.basic_block import BasicBlock
from edgewright.models.layers.bottleneck import Bottleneck
from edgewright.models.layers.branches import Branches
from edgewright.models.layers.channel_wise_convolution import ChannelWise
from edgewright.models.layers.conv_batch_norm import ConvBatchNorm
from edgewright.models.layers.conv_head import ConvHead
from edgewright.models.layers.deconvolution_module import DeconvolutionModule
from edgewright.models.layers.deformable_convolution import Deformable
from edgewright.models.layers.dense_head import DenseHead
from edgewright.models.layers.dense_layer import DenseLayer
from edgewright.models.layers.depthwise_separable import DepthwiseSeparable
from edgewright.models.layers.detection_head import DetectionHead
from edgewright.models.layers.dynamic_kernels import (
    ConditionalConvolution,
    DynamicConvolution,
    DyNetConvolution,
)
from edgewright.models.layers.fire import Fire
from edgewright.models.layers.flattened_convolution import Flattened
from edgewright.models.layers.grouped_shuffle_unit import GroupedShuffleUnit
from edgewright.models.layers.inception import Inception
from edgewright.models.layers.inverted_residual import InvertedResidual
from edgewright.models.layers.irregular_convolution import Irregular
from edgewright.models.layers.k_max_pooling import DynamicKMaxPooling, KMaxPooling
from edgewright.models.layers.local_response_norm import LocalResponseNorm
from edgewright.models.layers.max_unpooling import LocatedMaxPooling, MaxUnpooling
from edgewright.models.layers.mlp_conv import MlpConv
from edgewright.models.layers.omni_scale_block import OmniScaleBlock
from edgewright.models.layers.place_bias import PlaceBias
from edgewright.models.layers.plain_poolings import L2Pooling, MinPooling
from edgewright.models.layers.pointwise_grouped_convolution import (
    PointwiseGrouped,
    shuffle_channels,
)
from edgewright.models.layers.pooled_head import PooledHead
from edgewright.models.layers.pre_activation_conv import PreActivationConv
from edgewright.models.layers.reflect_conv import ReflectConv
from edgewright.models.layers.separable_conv import SeparableConv
from edgewright.models.layers.shuffle_unit import ShuffleUnit
from edgewright.models.layers.sort_pooling import SortPooling
from edgewright.models.layers.spatial_pyramid_pooling import SpatialPyramidPooling
from edgewright.models.layers.squeeze_excitation import SqueezeExcitation
from edgewright.models.layers.squeezed_residual import SqueezedResidual
from edgewright.models.layers.stochastic_pooling import StochasticPooling
from edgewright.models.layers.switchable_normalization import SwitchableNorm
from edgewright.models.layers.xception_block import XceptionBlock

__all__ = [
    "AtrousPyramid",
    "BasicBlock",
    "Bottleneck",
    "Branches",
    "ChannelWise",
    "ConditionalConvolution",
    "ConvBatchNorm",
    "ConvHead",
    "DeconvolutionModule",
    "Deformable",
    "DenseHead",
    "DenseLayer",
    "DepthwiseSeparable",
    "DetectionHead",
    "DyNetConvolution",
    "DynamicConvolution",
    "DynamicKMaxPooling",
    "Fire",
    "Flattened",
    "GroupedShuffleUnit",
    "Inception",
    "InvertedResidual",
    "Irregular",
    "KMaxPooling",
    "L2Pooling",
    "LocalResponseNorm",
    "LocatedMaxPooling",
    "MaxUnpooling",
    "MinPooling",
    "MlpConv",
    "OmniScaleBlock",
    "PlaceBias",
    "PointwiseGrouped",
    "PooledHead",
    "PreActivationConv",
    "ReflectConv",
    "SeparableConv",
    "ShuffleUnit",
    "SortPooling",
    "SpatialPyramidPooling",
    "SqueezeExcitation",
    "SqueezedResidual",
    "StochasticPooling",
    "SwitchableNorm",
    "XceptionBlock",
    "shuffle_channels",
]
