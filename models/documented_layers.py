"""The table of documented layers. It imports neither torch nor the layers."""

from __future__ import annotations

from edgewright.models.convolution_layers import CONVOLUTIONS
from edgewright.models.entry import Entry
from edgewright.models.normalization_layers import NORMALIZATIONS
from edgewright.models.pooling_layers import POOLINGS
from edgewright.models.sequence_layers import SEQUENCES

__all__ = ["LAYERS"]

LAYERS: tuple[Entry, ...] = (*CONVOLUTIONS, *POOLINGS, *NORMALIZATIONS, *SEQUENCES)
