"""Passes over Relax; one a file."""
