"""Counts the instructions that a bundle executes on an emulated core."""
