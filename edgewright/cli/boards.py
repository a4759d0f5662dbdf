"""``edgewright boards``: the registry of boards."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from edgewright.cli.session import Debug, Json, emit, results, verb

__all__ = ["register"]
