"""A compiled model linked and loaded on this machine, without a bundle around it.

For those that compile many small models and run each once: the C runtime is compiled once for all,
and neither static programs nor golden tensors are made.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.compiler.verify.runner import Array
from edgewright.deploy.runtime.edgewright_runtime import Model
from edgewright.deploy.toolchain import compile_runtime, open_toolchain
from edgewright.spec.target import Target

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgewright.compiler.lower import Compiled

__all__ = ["LocalLinker"]


class LocalLinker:
    """Links and runs models compiled for this machine, as long as its context lives.

    Args:
        target: what they are compiled for; this machine runs it.

    Raises:
        ToolError: the toolchain is missing, or failed.
    """

    def __init__(self, target: Target) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="edgewright-")
        self._folder = Path(self._temporary.name)
        self._toolchain = open_toolchain(target)
        self._runtime = compile_runtime(self._toolchain, self._folder / "runtime")
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._temporary.cleanup()

    def run(self, compiled: Compiled, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Link a model, run it once with one thread, and unload it.

        Args:
            compiled: what :func:`edgewright.compiler.lower.lower` gave.
            inputs: by name, of the model's shapes and types.

        Returns:
            Its outputs by name.

        Raises:
            ToolError: the toolchain failed.
            RuntimeFailure: of ``edgewright_runtime.py``: the inputs do not fit, or a kernel failed.
        """
        # Each has a file of its own: the linker's loader knows libraries by path.
        folder = self._folder / str(self._count)
        self._count += 1
        folder.mkdir()
        self._link(compiled, folder)
        with Model(folder, threads=1) as model:
            return model.infer(inputs)

    def _link(self, compiled: Compiled, folder: Path) -> None:
        for file, content in compiled.objects.items():
            (folder / file).write_bytes(content)
        for file, text in compiled.sources.items():
            (folder / file).write_text(text, encoding="utf-8")
        headers = f"-I{Path(self._runtime[0]).parent}"
        own = self._toolchain.compile(folder, ["model.c"], flags=[headers])
        library, program = "model.so", f"{compiled.name}_program"
        objects = [*own, *self._runtime, *compiled.objects]
        self._toolchain.link_shared(folder, objects, library, program=program)
        (folder / "weights.bin").write_bytes(compiled.weights)
        entry = {"library": {"file": library, "symbol": program}}
        (folder / "manifest.json").write_text(json.dumps(entry), encoding="utf-8")
