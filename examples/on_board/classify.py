"""As classify.c, in Python: needs numpy on the board, and nothing else.

Usage: python3 classify.py BUNDLE INPUT.bin [THREADS]
"""

import sys
from pathlib import Path

import numpy as np

bundle = Path(sys.argv[1])
sys.path.insert(0, str(bundle / "python"))
from edgewright_runtime import Model  # noqa: E402

threads = int(sys.argv[3]) if len(sys.argv) > 3 else 1
with Model(bundle, threads=threads) as model:
    (spec,) = model.inputs
    image = np.fromfile(sys.argv[2], dtype=spec.dtype).reshape(spec.shape)
    (scores,) = model.infer({spec.name: image}).values()
for index, score in enumerate(scores.ravel()):
    print(f"{index} {score:.6f}")
