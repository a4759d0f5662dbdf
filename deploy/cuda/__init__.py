"""GPUs: their targets, nvcc, the linking of bundles for them, and an emulated driver."""
