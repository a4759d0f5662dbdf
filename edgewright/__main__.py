"""Runs the command line: ``edgewright`` or ``python -m edgewright``."""

from __future__ import annotations

from edgewright.cli.app import build_app

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its status."""
    build_app()()


if __name__ == "__main__":
    main()
