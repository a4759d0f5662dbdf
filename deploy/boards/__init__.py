"""Boards: one TOML file each, read by :mod:`edgewright.deploy.boards.registry`."""
