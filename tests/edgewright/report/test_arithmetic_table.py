from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compiler.analysis import analyse
from edgewright.report.arithmetic_table import arithmetic_table
from tests.compiler.onnx_passes.small_models import build, node
from tests.edgewright.report.test_tables import printed


def test_a_row_holds_the_numbers_of_its_layer() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["d"], group=4, name="depthwise"),
        node("Relu", ["d"], ["r"], name="relu"),
        node("Conv", ["r", "v"], ["y"], name="pointwise"),
        node("Conv", ["y", "g"], ["z"], name="grouped", group=2),
    ]
    weights = {
        "w": np.ones((4, 1, 3, 3), np.float32),
        "v": np.ones((6, 4, 1, 1), np.float32),
        "g": np.ones((8, 3, 1, 1), np.float32),
    }
    model = build(nodes, {"x": [1, 4, 66, 66]}, ["z"], weights)
    text = printed(arithmetic_table(analyse(ir.from_proto(model))))
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert (
        rows["depthwise"][1:] == "Conv 1x4x64x64 0.147 36 64.0 KiB 2.18 depthwise: 4 times".split()
    )
    assert rows["relu"] == "relu Relu 1x4x64x64 64.0 KiB".split()
    assert rows["pointwise"][-3:] == ["separable:", "3.60", "times"]
    assert rows["grouped"][-4:] == ["2", "groups:", "2", "times"]
