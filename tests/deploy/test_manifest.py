from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from edgewright.deploy.manifest import (
    FileEntry,
    GoldenEntry,
    LayerEntry,
    LibraryEntry,
    Manifest,
    MemoryEntry,
    dump_manifest,
    parse_manifest,
)
from edgewright.spec.errors import BundleError
from edgewright.spec.target import CORES
from edgewright.spec.tensor import TensorSpec

MANIFEST = Manifest(
    schema_version=1,
    generator="edgewright 0.1.0",
    name="net",
    model_sha256="ab" * 32,
    board="rpi4",
    target=CORES["cortex-a7"],
    toolchain={"kind": "zig", "version": "0.1"},
    library=LibraryEntry("lib/libnet.so", "net_program"),
    weights="file",
    options={"conv_algorithm": "auto"},
    inputs=(TensorSpec("x", (1, 3, 8, 8)),),
    outputs=(TensorSpec("y", (), "int64"),),
    layers=(LayerEntry("n", "conv", "k", 4, 100, ("n", "m"), ("t",), "why", ()),),
    memory=MemoryEntry(1, 2, 3, 4),
    golden=GoldenEntry(0, "onnxruntime 1"),
    files={"weights.bin": FileEntry("cd" * 32, 7), "a/b": FileEntry("ef" * 32, 0)},
)


def broken(**changes: Any) -> str:
    raw = json.loads(dump_manifest(MANIFEST))
    raw.update(changes)
    return json.dumps(raw)


def test_a_manifest_survives_json() -> None:
    assert parse_manifest(dump_manifest(MANIFEST)) == MANIFEST


def test_json_is_sorted_and_indented() -> None:
    text = dump_manifest(MANIFEST)
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_the_order_of_files_changes_nothing() -> None:
    turned = dataclasses.replace(MANIFEST, files=dict(reversed(list(MANIFEST.files.items()))))
    assert dump_manifest(turned) == dump_manifest(MANIFEST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "manifest.json is not valid JSON"),
        ("[]", "manifest.json is no JSON object"),
        ("{}", "the manifest's schema version is None"),
        (broken(schema_version=2), "schema version is 2. This Edgewright reads version 1"),
        (broken(extra=1), "has the unknown key 'extra'"),
        (broken(name=3), "holds no str at 'name'"),
        (broken(layers={}), "holds no list at 'layers'"),
        (broken(files=[]), "holds no object at 'files'"),
        (broken(files={"a": {"sha256": "x"}}), "lacks 'files.a.size_bytes'"),
        (broken(memory={}), "lacks 'memory.arena_bytes'"),
        (
            broken(golden={"seed": True, "reference": "", "of_largest": 0}),
            "no int at 'golden.seed'",
        ),
        (
            broken(inputs=[{"name": "x", "shape": [1.5], "dtype": "float32"}]),
            "'inputs[0].shape[0]'",
        ),
        (broken(inputs=[{"name": "x", "shape": [1], "dtype": "float"}]), "element type 'float'"),
    ],
)
def test_a_broken_manifest_is_named(text: str, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        parse_manifest(text)
    assert message in str(caught.value)
    assert caught.value.remedy


def test_a_key_that_is_missing_is_named() -> None:
    raw = json.loads(dump_manifest(MANIFEST))
    del raw["target"]["isa"]
    with pytest.raises(BundleError, match=r"lacks 'target\.isa'"):
        parse_manifest(json.dumps(raw))
