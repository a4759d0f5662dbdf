"""A CUDA driver without a GPU: it checks every call, and runs the kernels on this machine's CPU."""
