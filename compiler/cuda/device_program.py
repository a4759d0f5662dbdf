"""What the compiler makes for a GPU beside the C that runs it."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.spec.gpu import Gpu

__all__ = ["DeviceProgram", "StepLaunch"]


@dataclass(frozen=True)
class StepLaunch:
    """How a step of the program is launched.

    Attributes:
        kernel: its name in the device code; empty for a copy, which has neither grid nor block.
        grid: blocks along x, y and z.
        block: threads along x, y and z.
    """

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]


@dataclass(frozen=True)
class DeviceProgram:
    """The kernels of a model and how they are launched.

    Attributes:
        gpu: the architecture.
        source: all kernels as CUDA C++.
        launches: one for each step of the program.
    """

    gpu: Gpu
    source: str
    launches: tuple[StepLaunch, ...]

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of the kernels, each once, in order."""
        return tuple(sorted({launch.kernel for launch in self.launches if launch.kernel}))
