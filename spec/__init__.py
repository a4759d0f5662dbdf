"""The ground every other floor stands on: errors, tensors and targets.

Nothing here imports TVM, torch, onnx or any other part of Edgewright.
"""
