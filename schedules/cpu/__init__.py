"""Kernel families for CPUs: one family a file, generated as TIR."""
