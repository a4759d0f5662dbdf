"""Measures kernels on this machine, for ``edgewright tune``."""
