"""Passes over scheduled kernels; one a file."""
