"""Lowering to GPUs: device code as CUDA C, a table of launches, and the C that runs it."""
