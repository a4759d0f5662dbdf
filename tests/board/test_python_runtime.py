"""The bundle's Python module on a board with Python and numpy of Debian 12."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.board.emulated_board import EmulatedBoard

#: Runs on the board; the golden tensors are float32.
SCRIPT = """
import sys
import numpy as np
sys.path.insert(0, "/opt/lenet5/python")
from edgewright_runtime import Model

with Model("/opt/lenet5") as model:
    (given,), (wanted,) = model.inputs, model.outputs
    image = np.fromfile("/opt/lenet5/golden/input0.bin", np.float32).reshape(given.shape)
    expected = np.fromfile("/opt/lenet5/golden/output0.bin", np.float32).reshape(wanted.shape)
    computed = model.infer({given.name: image})[wanted.name]
    np.testing.assert_allclose(computed, expected, atol=1e-5, rtol=1e-4)
    assert np.ptp(expected) > 0.01
    print("the same on numpy", np.__version__)
"""


def test_it_computes_the_golden_outputs(
    start_board: Callable[..., EmulatedBoard], lenet5_rpi4: Path
) -> None:
    own = start_board("bookworm-python")
    own.send(lenet5_rpi4, "/opt/lenet5")
    assert "the same on numpy 1.24" in own.shell(f"python3 -c '{SCRIPT}'")
