"""The tables of documented layers against the files of the layers."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from edgewright.models import layers
from edgewright.models.documented_layers import LAYERS


def test_every_example_of_a_layer_is_registered() -> None:
    found: set[str] = set()
    for path in Path(layers.__file__).parent.glob("[!_]*.py"):
        name = f"edgewright.models.layers.{path.stem}"
        module = importlib.import_module(name)
        for public in module.__all__:
            value = getattr(module, public)
            if inspect.isfunction(value) and not inspect.signature(value).parameters:
                found.add(f"{name}:{public}")
    assert found == {entry.builder for entry in LAYERS}


def test_an_entry_is_named_as_its_example_and_once() -> None:
    names = [entry.name for entry in LAYERS]
    assert len(names) == len(set(names)) > 35
    assert all(entry.builder.endswith(f":{entry.name}") for entry in LAYERS)
    assert {entry.kind for entry in LAYERS} == {"layer"}
