"""The layers of a model whose kernels can be measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewright.schedules.names import conv2d_key, dense_key
from edgewright.schedules.workload import Conv2dWorkload, DenseWorkload
from edgewright.spec.target import Target

if TYPE_CHECKING:
    import onnx

__all__ = ["Tunable", "find_tunables"]


@dataclass(frozen=True)
class Tunable:
    """One layer that a kernel family took.

    Attributes:
        workload: what the kernel computes.
        input_layout: ``blocked`` or ``NCHW``; ``plain`` of a fully connected layer.
        layer: the first ONNX node that it computes.
    """

    workload: Conv2dWorkload | DenseWorkload
    input_layout: str
    layer: str

    @property
    def key(self) -> str:
        """The workload's name in tuning records."""
        if isinstance(self.workload, DenseWorkload):
            return dense_key(self.workload)
        return conv2d_key(self.workload, self.input_layout)


def find_tunables(model: onnx.ModelProto, target: Target) -> tuple[Tunable, ...]:
    """The layers of a prepared model that kernels of ours compute, in order.

    Args:
        model: static shapes; see ``edgewright.compiler.onnx_passes.prepare``.
        target: the core to compile for.

    Raises:
        TargetError: LLVM does not know the CPU or a feature.
        UnsupportedModelError: an operator cannot be imported.
    """
    from edgewright.compiler.build import check_target
    from edgewright.compiler.import_model import import_model
    from edgewright.compiler.relax_passes.assign_kernels import assign_kernels
    from edgewright.schedules.kernel import Limits

    check_target(target)
    return assign_kernels(import_model(model), target, Limits()).tunables
