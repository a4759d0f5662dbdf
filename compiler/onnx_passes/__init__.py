"""Everything between a user's ``.onnx`` file and TVM's importer."""

from __future__ import annotations

from edgewright.compiler.onnx_passes.guard import Refusal, find_refusals
from edgewright.compiler.onnx_passes.load import load_model
from edgewright.compiler.onnx_passes.pipeline import PASSES, prepare, rewrite

__all__ = ["PASSES", "Refusal", "find_refusals", "load_model", "prepare", "rewrite"]
