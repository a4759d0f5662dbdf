"""Kernels of our own, and the choice among them. Imports nothing but ``spec``."""
