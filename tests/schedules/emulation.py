"""Runs generated kernels on emulated ARM cores: many kernels in one program, in a sea of NaN."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgewright.compiler.build import build_objects
from edgewright.deploy.toolchain import copy_runtime, open_toolchain
from edgewright.deploy.transport.qemu import QemuTransport
from edgewright.schedules.kernel import Kernel
from edgewright.spec.target import Target
from tests.schedules.execution import F32

#: Elements of NaN around each tensor, a multiple of 64 bytes.
MARGIN = 1024
_MAIN = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
@DECLARATIONS@
int main(int argc, char** argv) {
  size_t bytes = @BYTES@;
  unsigned char* raw = malloc(bytes + 64);
  if (argc != 3 || raw == NULL) return 2;
  float* arena = (float*)(((uintptr_t)raw + 63) & ~(uintptr_t)63);
  FILE* file = fopen(argv[1], "rb");
  if (file == NULL || fread(arena, 1, bytes, file) != bytes) return 3;
  fclose(file);
  int32_t status = 0;
@CALLS@
  if (status != 0) return 4;
  file = fopen(argv[2], "wb");
  if (file == NULL || fwrite(arena, 1, bytes, file) != bytes || fclose(file) != 0) return 5;
  return 0;
}
"""


@dataclass(frozen=True)
class Launch:
    """One kernel with its tensors.

    Attributes:
        kernel: of one parallel loop.
        inputs: every parameter but the output.
        out_shape: shape of the output.
        finite: whether the inputs are, and so must be the output.
        scratch: whether the last of the inputs is scratch memory, which may be written.
    """

    kernel: Kernel
    inputs: Sequence[F32]
    out_shape: Sequence[int]
    finite: bool = True
    scratch: bool = False


@dataclass
class _Arena:
    """All tensors of a program, each with NaN around it."""

    parts: list[F32] = field(default_factory=list)
    used: int = 0

    def put(self, values: F32) -> int:
        """Place a tensor; its first element's position."""
        place = self.used + MARGIN
        size = -(-values.size // 16) * 16
        part = np.full(MARGIN + size, np.nan, np.float32)
        part[MARGIN : MARGIN + values.size] = values.ravel()
        self.parts.append(part)
        self.used += part.size
        return place

    def image(self) -> F32:
        """The memory, with a margin at the end."""
        return np.concatenate([*self.parts, np.full(MARGIN, np.nan, np.float32)])


def run_emulated(launches: Sequence[Launch], target: Target) -> list[F32]:
    """Runs kernels under QEMU, each as one range of all its tasks.

    Asserts that each writes all of its output, finite where its inputs are, and nothing else.

    Returns:
        The outputs.
    """
    arena, places, calls, functions = _Arena(), [], [], {}
    scratch: list[slice] = []
    for number, launch in enumerate(launches):
        tensors = [*launch.inputs, np.full(launch.out_shape, np.nan, np.float32)]
        at = [arena.put(tensor) for tensor in tensors]
        places.append(at[-1])
        if launch.scratch:
            scratch.append(slice(at[-2], at[-2] + launch.inputs[-1].size))
        functions[f"k{number}"] = launch.kernel.prim_func
        tasks = int(launch.kernel.prim_func.body.block.body.extent)
        calls.append(f"k{number}({''.join(f'arena + {a}, ' for a in at)}0, {tasks})")
    before = arena.image()
    after = _execute(before, functions, calls, [len(x.inputs) + 1 for x in launches], target)
    outputs = []
    untouched = np.ones(before.size, bool)
    for part in scratch:
        untouched[part] = False
    for place, launch in zip(places, launches, strict=True):
        size = int(np.prod(launch.out_shape))
        untouched[place : place + size] = False
        outputs.append(after[place : place + size].reshape(tuple(launch.out_shape)))
        assert not launch.finite or np.isfinite(outputs[-1]).all(), launch.kernel.name
    same = np.array_equal(before[untouched], after[untouched], equal_nan=True)
    assert same, "something beside the outputs was written"
    return outputs


def _execute(
    image: F32,
    functions: dict[str, object],
    calls: Sequence[str],
    pointers: Sequence[int],
    target: Target,
) -> F32:
    toolchain = open_toolchain(target)
    declarations = [
        f"int32_t {name}({'void*, ' * count}int32_t, int32_t);"
        for name, count in zip(functions, pointers, strict=True)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_runtime(folder)
        objects = build_objects(functions, target)
        for file, code in objects.items():
            (folder / file).write_bytes(code)
        source = _MAIN.replace("@DECLARATIONS@", "\n".join(declarations))
        source = source.replace("@BYTES@", str(image.nbytes))
        source = source.replace("@CALLS@", "\n".join(f"  status |= {call};" for call in calls))
        (folder / "main.c").write_text(source)
        made = toolchain.compile(folder, ["main.c", *toolchain.extra_sources], static=True)
        toolchain.link_executable(folder, [*objects, *made], "program")
        image.tofile(folder / "in.bin")
        done = QemuTransport(target).run(
            folder / "program",
            [str(folder / "in.bin"), str(folder / "out.bin")],
            timeout_seconds=120,
        )
        assert done.status == 0, done.why
        return np.fromfile(folder / "out.bin", np.float32)
