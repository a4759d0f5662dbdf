"""Tests that compile kernels need NVIDIA's compiler."""

from __future__ import annotations

import pytest

from edgewright.deploy.cuda.nvcc import open_nvcc
from edgewright.spec.errors import ToolError
from edgewright.spec.gpu import Gpu

__all__ = ["need_nvcc"]


def need_nvcc() -> None:
    """Skip where nvcc is missing, and say so."""
    try:
        open_nvcc(Gpu("sm_87"))
    except ToolError as error:
        pytest.skip(str(error))
