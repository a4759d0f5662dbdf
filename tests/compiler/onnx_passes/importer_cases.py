"""Single operators, and whether TVM's importer may have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.compiler.onnx_passes.small_models import Array


def i64(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def f32(*numbers: float) -> Array:
    return np.array(numbers, np.float32)


def randn(*shape: int, seed: int = 3) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


X = randn(2, 6, 5, 6)


@dataclass(frozen=True)
class Case:
    """One node.

    Attributes:
        name: the test's name.
        op: the operator.
        inputs: arrays, None for an absent input.
        constants: which of the inputs are constant.
        outputs: how many outputs it has, all of them the model's.
        opset: the model's opset.
        refusal: part of the guard's reason; empty where the node must be prepared and agree.
        as_is: what TVM does with the node unprepared: ``right``, ``wrong`` or ``fails``.
        attributes: the node's attributes.
    """

    name: str
    op: str
    inputs: Sequence[Array | None]
    constants: Sequence[int] = ()
    outputs: int = 1
    opset: int = 18
    refusal: str = ""
    as_is: str = "right"
    attributes: dict[str, Any] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        names = [f"i{k}" if array is not None else "" for k, array in enumerate(self.inputs)]
        outputs = [f"o{k}" for k in range(self.outputs)]
        present = [(k, a) for k, a in enumerate(self.inputs) if a is not None]
        graph = helper.make_graph(
            [helper.make_node(self.op, names, outputs, name="node", **self.attributes)],
            "case",
            [
                helper.make_tensor_value_info(
                    names[k], helper.np_dtype_to_tensor_dtype(a.dtype), a.shape
                )
                for k, a in present
                if k not in self.constants
            ],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [numpy_helper.from_array(a, names[k]) for k, a in present if k in self.constants],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10
        )
        return onnx.shape_inference.infer_shapes(model)

    def feeds(self) -> dict[str, Array]:
        return {
            f"i{k}": array
            for k, array in enumerate(self.inputs)
            if array is not None and k not in self.constants
        }


def _pools() -> list[Case]:
    cases = []
    for ceil_mode in (0, 1):
        base = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": ceil_mode}
        padded = {**base, "pads": [1, 0, 1, 1]}
        cases.append(Case(f"max_ceil{ceil_mode}", "MaxPool", [X], attributes=padded))
        dilated = {**padded, "dilations": [2, 1]}
        cases.append(Case(f"max_dilated_ceil{ceil_mode}", "MaxPool", [X], attributes=dilated))
        for include in (0, 1):
            counted = {**padded, "count_include_pad": include}
            name = f"average_ceil{ceil_mode}_include{include}"
            cases.append(Case(name, "AveragePool", [X], attributes=counted))
    for rule in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        for op in ("MaxPool", "AveragePool"):
            attributes = {"kernel_shape": [3, 2], "strides": [3, 2], "auto_pad": rule}
            wrong = op == "MaxPool" and rule == "SAME_LOWER"
            name = f"{op}_{rule}"
            as_is = "wrong" if wrong else "right"
            cases.append(Case(name, op, [X], as_is=as_is, attributes=attributes))
        attributes = {"strides": [2, 3], "auto_pad": rule}
        weight = randn(4, 6, 3, 2)
        cases.append(Case(f"Conv_{rule}", "Conv", [X, weight], (1,), attributes=attributes))
        weight = randn(6, 2, 3, 3)
        transposed = {"strides": [2, 3], "auto_pad": rule}
        cases.append(
            Case(f"ConvTranspose_{rule}", "ConvTranspose", [X, weight], (1,), attributes=transposed)
        )
    return cases


def _resizes() -> list[Case]:
    def case(name: str, scales: Array | None, sizes: Array | None = None, **rest: Any) -> Case:
        refusal, as_is = rest.pop("refusal", ""), rest.pop("as_is", "right")
        constants = (2,) if scales is not None else (3,)
        inputs = [X, None, scales] if scales is not None else [X, None, None, sizes]
        return Case(name, "Resize", inputs, constants, 1, 18, refusal, as_is, rest)

    twice, uneven = f32(1, 1, 2, 2), f32(1, 1, 1.5, 2.25)
    cases = []
    for mode in ("nearest", "linear", "cubic"):
        for coordinates in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
            options = {"mode": mode, "coordinate_transformation_mode": coordinates}
            stem = f"{mode}_{coordinates}"
            cases.append(case(f"{stem}_twice", twice, **options))
            cases.append(case(f"{stem}_sizes", None, i64(2, 6, 7, 13), **options))
    antialias = {"antialias": 1, "as_is": "wrong"}
    policy = {"keep_aspect_ratio_policy": "not_larger", "as_is": "wrong"}
    symmetric = {"coordinate_transformation_mode": "half_pixel_symmetric", "as_is": "fails"}
    corner = {"coordinate_transformation_mode": "align_corners", "as_is": "fails"}
    return [
        *cases,
        case("uneven_scales", uneven, as_is="wrong", mode="linear"),
        case("batch", f32(2, 1, 2, 2), as_is="wrong", mode="nearest"),
        case("antialias", f32(1, 1, 0.2, 0.5), mode="linear", **antialias),
        case("antialias_cubic", f32(1, 1, 0.3, 0.7), mode="cubic", **antialias),
        case("uneven_cubic", uneven, as_is="wrong", mode="cubic", exclude_outside=1),
        case("uneven_nearest", f32(1, 1, 0.7, 2.25), as_is="wrong", nearest_mode="ceil"),
        case("policy", None, i64(2, 6, 9, 9), mode="linear", **policy),
        case("symmetric", twice, **symmetric),
        case("to_one", None, i64(2, 6, 1, 1), **corner),
        case("axes", f32(2, 3), mode="linear", axes=[3, 2], as_is="fails"),
        case("axes_sizes", None, i64(10, 9), mode="linear", axes=[-2, -1], as_is="fails"),
    ]


def _reductions() -> list[Case]:
    cases = []
    positive = np.abs(X) + np.float32(0.1)
    for name in ("Mean", "Sum", "Max", "L2", "LogSumExp"):
        for keepdims in (0, 1):
            kept = {"keepdims": keepdims}
            axes = i64(-1, 1)
            cases.append(
                Case(f"{name}_{keepdims}", f"Reduce{name}", [X, axes], (1,), attributes=kept)
            )
        cases.append(Case(f"{name}_all", f"Reduce{name}", [X]))
    noop = {"noop_with_empty_axes": 1}
    for name in ("L1", "L2", "LogSum", "SumSquare"):
        source = positive if name == "LogSum" else X
        cases.append(
            Case(f"{name}_noop", f"Reduce{name}", [source], as_is="wrong", attributes=noop)
        )
    cases.append(Case("Sum_noop", "ReduceSum", [X], attributes=noop))
    integers = (X * 20).astype(np.int32)
    refusal = "the mean of integers"
    cases.append(Case("mean_int", "ReduceMean", [integers], refusal=refusal, as_is="wrong"))
    refusal = "must be constant"
    cases.append(Case("axes", "ReduceSum", [X, i64(1)], refusal=refusal, as_is="fails"))
    return cases


def _activations() -> list[Case]:
    wide = X * np.float32(30)
    half = X.astype(np.float64)
    infinite = np.array([np.inf, -np.inf, 1], np.float32)
    bounds = f32(-0.3).reshape(()), f32(0.4).reshape(())
    two = np.array(2, np.int64)
    return [
        Case("clip", "Clip", [X, *bounds], (1, 2)),
        Case("clip_low", "Clip", [X, bounds[0]], (1,)),
        Case("clip_high", "Clip", [X, None, bounds[1]], (2,)),
        Case("hard_sigmoid", "HardSigmoid", [wide], attributes={"alpha": 0.3, "beta": 0.4}),
        Case("hard_swish", "HardSwish", [X]),
        Case("prelu_channel", "PRelu", [X, randn(6, 1, 1)], (1,)),
        Case("prelu_scalar", "PRelu", [X, randn(1)], (1,)),
        Case("prelu_all", "PRelu", [X, randn(6, 5, 6)], (1,)),
        Case("celu", "Celu", [wide], as_is="fails", attributes={"alpha": 0.5}),
        Case("swish", "Swish", [X], opset=24, as_is="fails", attributes={"alpha": 0.5}),
        Case("swish_1", "Swish", [X], opset=24, as_is="fails"),
        Case("elu_double", "Elu", [half], as_is="fails"),
        Case("selu_double", "Selu", [half], as_is="fails"),
        Case("threshold_double", "ThresholdedRelu", [half], as_is="fails"),
        Case("softmax", "Softmax", [X], attributes={"axis": 1}),
        Case("softmax_old", "Softmax", [X], opset=12, attributes={"axis": 1}),
        Case("lrn", "LRN", [X], attributes={"size": 3, "alpha": 0.1, "beta": 0.6, "bias": 2.0}),
        Case("lrn_5d", "LRN", [randn(1, 2, 3, 4, 5)], refusal="5 dimensions", as_is="fails",
             attributes={"size": 3}),
        Case("pow", "Pow", [np.abs(X), two], (1,), as_is="fails"),
        Case("pow_int", "Pow", [i64(2, 3), i64(3, 2)], as_is="fails"),
        Case("pow_mixed", "Pow", [np.abs(X), np.array(3, np.int32)], as_is="fails"),
        Case("is_inf", "IsInf", [infinite], as_is="wrong", attributes={"detect_negative": 0}),
        Case("is_minus_inf", "IsInf", [infinite], as_is="wrong", attributes={"detect_positive": 0}),
        Case("is_no_inf", "IsInf", [infinite], as_is="wrong",
             attributes={"detect_negative": 0, "detect_positive": 0}),
        Case("l1_norm", "LpNormalization", [X], as_is="fails", attributes={"axis": 1, "p": 1}),
        Case("l2_norm", "LpNormalization", [X], as_is="fails"),
        Case("det", "Det", [randn(3, 3)], refusal="operator is not supported", as_is="fails"),
        Case("divide_by_zero", "Div", [i64(1, 2), i64(1, 0)], (1,), refusal="by zero",
             as_is="fails"),
    ]  # fmt: skip


def _matrices() -> list[Case]:
    cases = []
    for alpha, beta, bias in ((1.0, 1.0, randn(6)), (0.5, 2.0, randn(4, 1)), (2.0, 0.0, None)):
        inputs = [randn(5, 4), randn(6, 5), *([bias] if bias is not None else [])]
        attributes = {"alpha": alpha, "beta": beta, "transA": 1, "transB": 1}
        cases.append(Case(f"gemm_{alpha}", "Gemm", inputs, (1, 2), attributes=attributes))
    dilated = {"pads": [1, 0, 2, 1], "dilations": [1, 2], "group": 3}
    weight = randn(6, 2, 3, 3)
    shaped = {"strides": [2, 2], "output_shape": [10, 12]}
    larger = {"strides": [3, 3], "output_shape": [16, 19]}
    layer = [X, randn(6), randn(6)]
    return [
        *cases,
        Case("conv", "Conv", [X, randn(6, 2, 3, 3), randn(6)], (1, 2), attributes=dilated),
        Case("convt", "ConvTranspose", [X, weight, randn(4)], (1, 2), attributes={"group": 2}),
        Case("convt_shape", "ConvTranspose", [X, weight], (1,), as_is="wrong", attributes=shaped),
        Case("convt_larger", "ConvTranspose", [X, weight], (1,), as_is="wrong", attributes=larger),
        Case("layer_norm", "LayerNormalization", layer, (1, 2)),
        Case("layer_norm_wide", "LayerNormalization", layer, (1, 2), as_is="fails",
             attributes={"axis": 2}),
        Case("layer_norm_3", "LayerNormalization", layer, (1, 2), 3, as_is="wrong"),
        Case("lp_ceil", "LpPool", [X], refusal="ceil_mode=1 is computed wrongly", as_is="wrong",
             attributes={"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        Case("max_indices", "MaxPool", [X], outputs=2, as_is="fails",
             attributes={"kernel_shape": [2, 2]}),
        Case("max_indices_pads", "MaxPool", [X], outputs=2, as_is="fails",
             attributes={"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1],
                         "dilations": [1, 2], "ceil_mode": 1}),
        Case("max_indices_columns", "MaxPool", [X], outputs=2, as_is="fails",
             attributes={"kernel_shape": [2, 2], "storage_order": 1}),
        Case("mean_variance", "MeanVarianceNormalization", [X]),
        Case("dropout_mask", "Dropout", [X], outputs=2),
        Case("deform_conv", "DeformConv",
             [randn(2, 4, 7, 6), randn(6, 2, 3, 2), randn(2, 24, 4, 5) * 2, randn(6),
              randn(2, 12, 4, 5)], (1, 3), opset=19, as_is="fails",
             attributes={"group": 2, "offset_group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1],
                         "dilations": [1, 2]}),
        Case("col2im", "Col2Im", [randn(2, 12, 16), i64(5, 9), i64(2, 3)], (1, 2),
             as_is="fails", attributes={"strides": [1, 2], "pads": [0, 1, 0, 0]}),
        Case("batch_norm_training", "BatchNormalization",
             [X, randn(6), randn(6), randn(6), np.abs(randn(6))], (1, 2, 3, 4), 3,
             refusal="training_mode=1", as_is="wrong", attributes={"training_mode": 1}),
        Case("roi_align", "RoiAlign", [X, f32(0.3, 0.7, 3.9, 4.6).reshape(1, 4), i64(0)], (2,),
             refusal="mode max", as_is="wrong",
             attributes={"mode": "max", "output_height": 2, "output_width": 2}),
    ]  # fmt: skip


def _shapes() -> list[Case]:
    pads = i64(0, 0, 1, 2, 0, 0, 3, 1)
    runtime = "must be constant"
    cases = [
        Case(f"pad_{mode}", "Pad", [X, pads], (1,), opset=19, attributes={"mode": mode})
        for mode in ("constant", "reflect", "edge", "wrap")
    ]
    cases += [
        Case(f"flatten_{axis}", "Flatten", [X], attributes={"axis": axis}) for axis in (0, 2, -1)
    ]
    starts = i64(-1, 4), i64(-100, 0), i64(2, 3), i64(-1, -2)
    depth = np.array([4], np.int64)
    values = f32(0.5, 2)
    return [
        *cases,
        Case("pad_wrap_negative", "Pad", [X, i64(0, 0, -1, 2, 0, 0, 3, -1)], (1,), opset=19,
             refusal="mode wrap with negative pads", as_is="wrong", attributes={"mode": "wrap"}),
        Case("split", "Split", [X, i64(1, 2, 3)], (1,), 3, attributes={"axis": 1}),
        Case("split_uneven", "Split", [randn(2, 7)], (), 3,
             attributes={"axis": 1, "num_outputs": 3}),
        Case("split_empty", "Split", [X, i64(0, 6)], (1,), 2, refusal="has no elements",
             as_is="fails", attributes={"axis": 1}),
        Case("slice_steps", "Slice", [X, *starts], (1, 2, 3, 4)),
        Case("slice_empty", "Slice", [X, i64(3), i64(1), i64(1)], (1, 2, 3),
             refusal="has no elements", as_is="fails"),
        Case("gather", "Gather", [X, i64(-1, 0, 1)], (1,), attributes={"axis": 1}),
        Case("gather_scalar", "Gather", [X, np.array(-2, np.int64)], (1,), attributes={"axis": -1}),
        Case("squeeze", "Squeeze", [randn(1, 3, 1, 4), i64(0, -2)], (1,)),
        Case("squeeze_all", "Squeeze", [randn(1, 3, 1, 4)]),
        Case("unsqueeze", "Unsqueeze", [randn(3, 4), i64(-1, 0)], (1,)),
        Case("expand", "Expand", [randn(3, 1), i64(2, 1, 4)], (1,)),
        Case("expand_runtime", "Expand", [randn(3, 1), i64(2, 1, 4)], refusal=runtime,
             as_is="wrong"),
        Case("one_hot", "OneHot", [i64(0, 2, -1, 7, -9), depth, values], (1, 2), as_is="fails"),
        Case("one_hot_axis", "OneHot", [i64(0, 3, 1, -1).reshape(2, 2), depth[0], values],
             (1, 2), as_is="wrong", attributes={"axis": 1}),
        Case("one_hot_float", "OneHot", [f32(0, 3, 1), f32(4).reshape(()), values], (1, 2),
             as_is="fails"),
        Case("eye_like", "EyeLike", [randn(3, 5)], attributes={"k": 1, "dtype": 7}),
        Case("depth_to_space", "DepthToSpace", [randn(1, 8, 2, 3)],
             attributes={"blocksize": 2, "mode": "CRD"}),
        Case("space_to_depth", "SpaceToDepth", [randn(1, 2, 4, 6)], attributes={"blocksize": 2}),
        Case("non_zero", "NonZero", [X], refusal="depends on data"),
        Case("shape", "Shape", [X], as_is="fails"),
        Case("sum_of_three", "Sum", [X, randn(6, 1, 1), randn(6)], (1,)),
        Case("sum_of_two", "Sum", [randn(2, 1), randn(1, 3)]),
    ]  # fmt: skip


CASES: list[Case] = [
    *_pools(),
    *_resizes(),
    *_reductions(),
    *_activations(),
    *_matrices(),
    *_shapes(),
]
