"""Generated kernels on this machine, one thread: share of the core's peak, and onnxruntime beside.

The peak is measured: multiply-adds on registers, in the same run. onnxruntime runs a chain of eight
layers where the shape allows it, so that its own layout changes weigh little, else one layer.
Ours and onnxruntime's calls take turns; figures are medians of CPU time.

    python benchmarks/kernels.py [--json] [--rounds N] [--only TEXT]

With ``--methods`` it compares direct, im2col, FFT and Winograd convolutions instead, over kernels
and maps: share of the peak that the direct method's multiplications would take, scratch memory,
weights, and error against float64.

    python benchmarks/kernels.py --methods [--channels 16,64] [--kernels 3,5,7,11,15,31]
        [--maps 7,14,28,56,112] [--max-gmacs 60] [--json] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import onnx
import onnxruntime
from kernel_methods import CHANNELS, KERNELS, MAPS, MAX_GMACS, compare_methods, format_comparison
from kernel_timing import F32, conv_call, interleaved, kernel_call, peak_function, random

from edgewright.schedules.kernel import Kernel
from edgewright.schedules.select import select_conv2d, select_dense
from edgewright.schedules.workload import Activation, Conv2dWorkload, DenseWorkload, Epilogue
from edgewright.spec.target import Target, parse_target

RELU = Epilogue(bias=True, activation=Activation("relu"))
#: Layers in onnxruntime's chain.
CHAIN = 8


def conv(
    channels: int, size: int, out: int, kernel: int, stride: int = 1, groups: int = 1
) -> Conv2dWorkload:
    """A square convolution with "same" padding, bias and relu."""
    pad = kernel // 2
    return Conv2dWorkload(
        1, channels, size, size, out, kernel, kernel, stride, stride, pad, pad, pad, pad,
        groups=groups, epilogue=RELU,
    )  # fmt: skip


LAYERS: dict[str, Conv2dWorkload | DenseWorkload] = {
    "resnet18 stem 7x7s2 3->64 @224": conv(3, 224, 64, 7, 2),
    "mobilenet stem 3x3s2 3->32 @224": conv(3, 224, 32, 3, 2),
    "resnet18 3x3 64 @56": conv(64, 56, 64, 3),
    "resnet18 3x3s2 64->128 @56": conv(64, 56, 128, 3, 2),
    "resnet18 3x3 128 @28": conv(128, 28, 128, 3),
    "resnet18 3x3 256 @14": conv(256, 14, 256, 3),
    "resnet18 3x3s2 256->512 @14": conv(256, 14, 512, 3, 2),
    "resnet18 3x3 512 @7": conv(512, 7, 512, 3),
    "resnet18 1x1s2 64->128 @56": conv(64, 56, 128, 1, 2),
    "vgg16 3x3 64 @224": conv(64, 224, 64, 3),
    "vgg16 3x3 512 @14": conv(512, 14, 512, 3),
    "mobilenet_v1 1x1 32->64 @112": conv(32, 112, 64, 1),
    "mobilenet_v1 1x1 512 @14": conv(512, 14, 512, 1),
    "mobilenet_v1 1x1 1024 @7": conv(1024, 7, 1024, 1),
    "mobilenet_v2 1x1 32->16 @112": conv(32, 112, 16, 1),
    "mobilenet_v2 1x1 16->96 @112": conv(16, 112, 96, 1),
    "mobilenet_v2 1x1 24->144 @56": conv(24, 56, 144, 1),
    "mobilenet_v2 1x1 144->24 @56": conv(144, 56, 24, 1),
    "mobilenet_v2 1x1 192->32 @28": conv(192, 28, 32, 1),
    "mobilenet_v2 1x1 384->64 @14": conv(384, 14, 64, 1),
    "mobilenet_v2 1x1 576->96 @14": conv(576, 14, 96, 1),
    "mobilenet_v2 1x1 960->160 @7": conv(960, 7, 160, 1),
    "mobilenet_v2 1x1 320->1280 @7": conv(320, 7, 1280, 1),
    "squeezenet 3x3 16->64 @56": conv(16, 56, 64, 3),
    "depthwise 3x3 32 @112": conv(32, 112, 32, 3, groups=32),
    "depthwise 3x3s2 96 @112": conv(96, 112, 96, 3, 2, groups=96),
    "depthwise 3x3 144 @56": conv(144, 56, 144, 3, groups=144),
    "depthwise 3x3s2 144 @56": conv(144, 56, 144, 3, 2, groups=144),
    "depthwise 3x3 192 @28": conv(192, 28, 192, 3, groups=192),
    "depthwise 3x3 576 @14": conv(576, 14, 576, 3, groups=576),
    "depthwise 3x3 960 @7": conv(960, 7, 960, 3, groups=960),
    "depthwise 5x5 240 @14": conv(240, 14, 240, 5, groups=240),
    "dense 1280->1000": DenseWorkload(1, 1280, 1000, Epilogue(bias=True)),
    "dense 25088->4096": DenseWorkload(1, 25088, 4096, RELU),
    "dense 16 rows 512->512": DenseWorkload(16, 512, 512, RELU),
}


@dataclass(frozen=True)
class Row:
    """One line of the table; times are CPU time of one layer."""

    layer: str
    kernel: str
    median_us: float
    gflops: float
    share_of_peak: float
    onnxruntime_us: float
    onnxruntime_layers: int
    speedup: float


def conv_function(w: Conv2dWorkload, target: Target) -> tuple[Kernel, Callable[[], None]]:
    """The kernel that is selected for a convolution, and a call of it."""
    stem = w.in_channels < target.isa.vec_lanes
    kernel = select_conv2d(w, target, input_layout="NCHW" if stem else "blocked").kernel
    if kernel is None:
        raise SystemExit(f"no kernel for {w}")
    return kernel, conv_call(kernel, w, target, nchw=stem)[0]


def dense_function(w: DenseWorkload, target: Target) -> tuple[Kernel, Callable[[], None]]:
    """The kernel that is selected for a fully connected layer, and a call of it."""
    kernel = select_dense(w, target).kernel
    if kernel is None or kernel.pack_weights is None or kernel.pack_bias is None:
        raise SystemExit(f"no kernel for {w}")
    inputs = [
        random(w.rows, w.in_features),
        kernel.pack_weights(random(w.out_features, w.in_features)),
        kernel.pack_bias(random(w.out_features)),
    ]
    return kernel, kernel_call(kernel, target, inputs, (w.rows, w.out_features))[0]


def onnxruntime_function(w: Conv2dWorkload | DenseWorkload) -> tuple[Callable[[], None], int]:
    """A call of onnxruntime on the layer or a chain of it, and the number of layers."""
    if isinstance(w, DenseWorkload):
        weights = [random(w.out_features, w.in_features)]
        x, layers = random(w.rows, w.in_features), 1
        operator, attributes = "Gemm", {"transB": 1}
    else:
        x = random(1, w.in_channels, w.in_h, w.in_w)
        same = (w.in_channels, w.in_h, w.in_w) == (w.out_channels, w.out_h, w.out_w)
        layers = CHAIN if same else 1
        shape = (w.out_channels, w.in_channels // w.groups, w.kernel_h, w.kernel_w)
        weights = [random(*shape) for _ in range(layers)]
        operator = "Conv"
        attributes = {
            "kernel_shape": [w.kernel_h, w.kernel_w],
            "strides": [w.stride_h, w.stride_w],
            "pads": [w.pad_top, w.pad_left, w.pad_bottom, w.pad_right],
            "group": w.groups,
        }
    session, output = _session(operator, attributes, x, weights)
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output(output, "cpu")
    return lambda: session.run_with_iobinding(binding), layers


def _session(
    operator: str, attributes: dict[str, Any], x: F32, weights: list[F32]
) -> tuple[Any, str]:
    """A session of ``operator`` and Relu for each of ``weights``, and its output's name."""
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes, constants, current = [], [], "x"
    for number, weight in enumerate(weights):
        names = [f"w{number}", f"b{number}"]
        for name, array in zip(names, (weight, random(len(weight))), strict=True):
            constants.append(onnx.numpy_helper.from_array(array, name))
        nodes.append(helper.make_node(operator, [current, *names], [f"c{number}"], **attributes))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
        current = f"r{number}"
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", float32, x.shape)],
        [helper.make_tensor_value_info(current, float32, None)],
        constants,
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers), current


def measure(layer: str, target: Target, rounds: int) -> Row:
    """Measures one layer."""
    w = LAYERS[layer]
    if isinstance(w, DenseWorkload):
        kernel, ours = dense_function(w, target)
    else:
        kernel, ours = conv_function(w, target)
    theirs, layers = onnxruntime_function(w)
    peak, peak_operations = peak_function(target)
    seconds = interleaved({"ours": ours, "theirs": theirs, "peak": peak}, rounds)
    gflops = 2 * w.macs / seconds["ours"] * 1e-9
    return Row(
        layer=layer,
        kernel=kernel.name,
        median_us=seconds["ours"] * 1e6,
        gflops=gflops,
        share_of_peak=gflops * 1e9 / (peak_operations / seconds["peak"]),
        onnxruntime_us=seconds["theirs"] / layers * 1e6,
        onnxruntime_layers=layers,
        speedup=seconds["theirs"] / layers / seconds["ours"],
    )


def numbers(text: str) -> list[int]:
    """A list such as ``3,5,7``."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of positive numbers such as 3,5,7")
    return found


def arguments_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each side")
    parser.add_argument("--only", default="", help="layers whose name contains this text")
    parser.add_argument("--methods", action="store_true", help="compare the methods instead")
    parser.add_argument("--channels", type=numbers, default=list(CHANNELS))
    parser.add_argument("--kernels", type=numbers, default=list(KERNELS))
    parser.add_argument("--maps", type=numbers, default=list(MAPS))
    parser.add_argument(
        "--max-gmacs", type=float, default=MAX_GMACS, help="larger convolutions are left out"
    )
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}; at least 1 is needed")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints."""
    options = arguments_of(arguments)
    target = replace(parse_target("host"), num_cores=1)
    measured = methods if options.methods else layers
    if not options.json:
        print(f"{target.isa.name}, one thread, {options.rounds} rounds")
    rows = measured(options, target)
    if options.json:
        json.dump(rows, sys.stdout, indent=2)
        print()


def layers(options: argparse.Namespace, target: Target) -> list[dict[str, Any]]:
    """Every layer beside onnxruntime."""
    names = [name for name in LAYERS if options.only in name]
    if not names:
        raise SystemExit(f"no layer's name contains '{options.only}'")
    if not options.json:
        print(f"{'layer':34} {'µs':>9} {'GFLOP/s':>8} {'of peak':>8} {'ort µs':>9} {'times':>6}")
    rows = []
    for name in names:
        row = measure(name, target, options.rounds)
        rows.append(asdict(row))
        if not options.json:
            print(
                f"{row.layer:34} {row.median_us:9.1f} {row.gflops:8.1f} {row.share_of_peak:8.0%} "
                f"{row.onnxruntime_us:9.1f} {row.speedup:6.2f}",
                flush=True,
            )
    return rows


def methods(options: argparse.Namespace, target: Target) -> list[dict[str, Any]]:
    """Every method on every kernel and map."""
    rows = []
    for channels in options.channels:
        for kernel in options.kernels:
            for extent in options.maps:
                w = replace(conv(channels, extent, channels, kernel), epilogue=Epilogue(bias=True))
                if w.macs > options.max_gmacs * 1e9:
                    continue
                found = compare_methods(w, target, options.rounds)
                rows += [asdict(row) for row in found]
                if not options.json:
                    print(format_comparison(w, found), flush=True)
    return rows


if __name__ == "__main__":
    main()
