"""The way of a model from its file to TVM's importer, as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir
from onnx_ir.passes.common import OutputFixPass, RemoveUnusedNodesPass

from edgewright.compiler.onnx_passes.bind_symbolic_dimensions import BindSymbolicDimensions
from edgewright.compiler.onnx_passes.drop_empty import DropEmpty
from edgewright.compiler.onnx_passes.drop_identity import DropIdentity
from edgewright.compiler.onnx_passes.drop_no_op import DropNoOp
from edgewright.compiler.onnx_passes.expand_functions import ExpandFunctions
from edgewright.compiler.onnx_passes.fold_batch_norm import FoldBatchNorm
from edgewright.compiler.onnx_passes.fold_batch_norm_into_consumer import (
    FoldBatchNormIntoConsumer,
)
from edgewright.compiler.onnx_passes.fold_batch_norm_of_concat import FoldBatchNormOfConcat
from edgewright.compiler.onnx_passes.fold_constants import FoldConstants
from edgewright.compiler.onnx_passes.guard import Guard
from edgewright.compiler.onnx_passes.infer_shapes import InferShapes
from edgewright.compiler.onnx_passes.inline_constant_if import InlineConstantIf
from edgewright.compiler.onnx_passes.lift_constants import LiftConstants
from edgewright.compiler.onnx_passes.lower_batch_norm import LowerBatchNorm
from edgewright.compiler.onnx_passes.make_padding_explicit import MakePaddingExplicit
from edgewright.compiler.onnx_passes.mask_loop import MaskLoop
from edgewright.compiler.onnx_passes.merge_reshapes import MergeReshapes
from edgewright.compiler.onnx_passes.merge_transposes import MergeTransposes
from edgewright.compiler.onnx_passes.name_nodes import NameNodes
from edgewright.compiler.onnx_passes.narrow_concat import NarrowConcat
from edgewright.compiler.onnx_passes.repeat import Repeat
from edgewright.compiler.onnx_passes.rewrite_bool_reductions import RewriteBoolReductions
from edgewright.compiler.onnx_passes.rewrite_celu import RewriteCelu
from edgewright.compiler.onnx_passes.rewrite_col2im import RewriteCol2Im
from edgewright.compiler.onnx_passes.rewrite_deform_conv import RewriteDeformConv
from edgewright.compiler.onnx_passes.rewrite_dropout import RewriteDropout
from edgewright.compiler.onnx_passes.rewrite_empty_reductions import RewriteEmptyReductions
from edgewright.compiler.onnx_passes.rewrite_eye_like import RewriteEyeLike
from edgewright.compiler.onnx_passes.rewrite_gru import RewriteGru
from edgewright.compiler.onnx_passes.rewrite_is_inf import RewriteIsInf
from edgewright.compiler.onnx_passes.rewrite_lp_normalization import RewriteLpNormalization
from edgewright.compiler.onnx_passes.rewrite_lstm import RewriteLstm
from edgewright.compiler.onnx_passes.rewrite_max_pool_indices import RewriteMaxPoolIndices
from edgewright.compiler.onnx_passes.rewrite_one_hot import RewriteOneHot
from edgewright.compiler.onnx_passes.rewrite_pow import RewritePow
from edgewright.compiler.onnx_passes.rewrite_quantized import RewriteQuantized
from edgewright.compiler.onnx_passes.rewrite_resize import RewriteResize
from edgewright.compiler.onnx_passes.rewrite_rnn import RewriteRnn
from edgewright.compiler.onnx_passes.rewrite_sequences import RewriteSequences
from edgewright.compiler.onnx_passes.rewrite_sum import RewriteSum
from edgewright.compiler.onnx_passes.rewrite_swish import RewriteSwish
from edgewright.compiler.onnx_passes.rewrite_tensor_scatter import RewriteTensorScatter
from edgewright.compiler.onnx_passes.select_branch import SelectBranch
from edgewright.compiler.onnx_passes.shape_constants import ShapeConstants
from edgewright.compiler.onnx_passes.spread_old_slopes import SpreadOldSlopes
from edgewright.compiler.onnx_passes.state_axes import StateAxes
from edgewright.compiler.onnx_passes.unroll_loop import UnrollLoop
from edgewright.compiler.onnx_passes.unroll_scan import UnrollScan
from edgewright.compiler.onnx_passes.upgrade_opset import UpgradeOpset
from edgewright.compiler.onnx_passes.widen_float16 import WidenFloat16

__all__ = ["PASSES", "Phase", "prepare", "rewrite"]

Phase = Callable[[], Sequence[ir.passes.PassBase]]


def bind() -> list[ir.passes.PassBase]:
    """Refuse open dimensions; give every node a name before anything is moved."""
    return [BindSymbolicDimensions(), OutputFixPass(), NameNodes()]


def upgrade() -> list[ir.passes.PassBase]:
    """Bring every operator to the meaning that the importer reads."""
    return [LiftConstants(), SpreadOldSlopes(), UpgradeOpset(), StateAxes(), NameNodes()]


def fold() -> list[ir.passes.InPlacePass]:
    """Compute what is known, and remove what does nothing."""
    known = Repeat(
        [
            LiftConstants(),
            InlineConstantIf(),
            UnrollLoop(),
            UnrollScan(),
            RemoveUnusedNodesPass(),
            InferShapes(),
            FoldConstants(),
            DropEmpty(),
            DropIdentity(),
            DropNoOp(),
            MergeTransposes(),
            MergeReshapes(),
        ]
    )
    # Conditions that nothing makes known are computed, with all that depends on them.
    return [Repeat([known, SelectBranch(), MaskLoop()])]


def rewrite_operators() -> list[ir.passes.PassBase]:
    """Write what the importer lacks, or gets wrong, with operators that it gets right."""
    return [
        MakePaddingExplicit(),
        RewriteCelu(),
        RewriteSwish(),
        RewriteOneHot(),
        RewriteSum(),
        RewriteEmptyReductions(),
        RewriteLstm(),
        RewriteGru(),
        RewriteRnn(),
        RewriteBoolReductions(),
        RewriteCol2Im(),
        RewriteDeformConv(),
        RewriteDropout(),
        RewriteEyeLike(),
        RewriteIsInf(),
        RewriteLpNormalization(),
        RewriteMaxPoolIndices(),
        RewritePow(),
        RewriteQuantized(),
        RewriteResize(),
        RewriteSequences(),
        RewriteTensorScatter(),
        Repeat([ExpandFunctions(), *fold()]),
        WidenFloat16(),
        ShapeConstants(),
        DropIdentity(),
    ]


def fold_batch_norms() -> list[ir.passes.PassBase]:
    """Let the weights take in every scale and shift that they can."""
    return [
        Repeat([FoldBatchNorm(), FoldBatchNormOfConcat(), FoldBatchNormIntoConsumer()]),
        LowerBatchNorm(),
    ]


def finish() -> list[ir.passes.PassBase]:
    """Fold what the rewrites made constant, and name what they added."""
    return [*fold(), NarrowConcat(), NameNodes()]


def guard() -> list[ir.passes.PassBase]:
    """Refuse the rest."""
    return [Guard()]


#: The phases, in order.
PASSES: tuple[Phase, ...] = (
    bind,
    upgrade,
    fold,
    rewrite_operators,
    fold_batch_norms,
    finish,
    guard,
)


def rewrite(model: ir.Model) -> ir.Model:
    """Run every phase but the guard, so that what it would refuse can be listed.

    Args:
        model: as :func:`load_model` returns it; changed.

    Raises:
        ModelError: the model contradicts itself, or cannot be upgraded.
    """
    for phase in PASSES[:-1]:
        for item in phase():
            model = item(model).model
    return model


def prepare(model: ir.Model) -> ir.Model:
    """Make a loaded model ready for TVM's importer.

    Args:
        model: as :func:`load_model` returns it; left as it is.

    Returns:
        A model of opset 18 or newer in which every shape is static, every weight an initializer, no
        batch norm is left, and every operator is one that the importer reads with its right
        meaning. Nodes name the original nodes that they compute in
        ``metadata_props["edgewright.nodes"]``.

    Raises:
        ModelError: the model contradicts itself, or an input has an open dimension.
        UnsupportedModelError: operators or attributes that cannot be compiled right; lists them
        all.
    """
    prepared = rewrite(model.clone())
    for item in guard():
        prepared = item(prepared).model
    return prepared
