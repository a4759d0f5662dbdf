"""The index of a bundle: what it was made from, what it holds, and the hash of every file.

A manifest is JSON with sorted keys and no time or path in it, so that the same input and options
give the same bytes. Its schema is the dataclasses below: a field is a key, a tuple is a list.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from edgewright.compiler.verify.compare import DEFAULT_OF_LARGEST
from edgewright.spec.decode import decode
from edgewright.spec.errors import BundleError
from edgewright.spec.target import Target
from edgewright.spec.tensor import ITEM_BYTES, TensorSpec

__all__ = [
    "MANIFEST_NAME",
    "SCHEMA_VERSION",
    "FileEntry",
    "GoldenEntry",
    "LayerEntry",
    "LibraryEntry",
    "Manifest",
    "MemoryEntry",
    "dump_manifest",
    "parse_manifest",
]

#: Raised by one whenever a reader of the previous version would misread the new one.
SCHEMA_VERSION = 1

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class FileEntry:
    """One file of the bundle.

    Attributes:
        sha256: hash of its bytes, hexadecimal.
        size_bytes: its length.
    """

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class LayerEntry:
    """One kernel launch of the model, in the order they run.

    Attributes:
        name: the first ONNX node it computes.
        op: the operator that decides what it costs.
        kernel: the kernel's name (docs/naming.md).
        tasks: pieces that threads share.
        macs: multiply-accumulates of one inference.
        nodes: every ONNX node it computes.
        outputs: ONNX tensors it holds when it is done.
        reason: why this kernel.
        declined: which kernels declined, and why.
    """

    name: str
    op: str
    kernel: str
    tasks: int
    macs: int
    nodes: tuple[str, ...]
    outputs: tuple[str, ...]
    reason: str
    declined: tuple[str, ...]


@dataclass(frozen=True)
class LibraryEntry:
    """What ``edgewright_runtime.py`` loads.

    Attributes:
        file: the shared library, from the bundle's root.
        symbol: the function that returns the program.
    """

    file: str
    symbol: str


@dataclass(frozen=True)
class MemoryEntry:
    """Bytes of memory that one handle needs, weights and code aside where not said.

    Attributes:
        arena_bytes: activations, with their places shared.
        scratch_bytes: working memory of each thread.
        weights_bytes: weights, prepacked.
        peak_live_bytes: most bytes of activations alive at once; what the arena cannot undercut.
    """

    arena_bytes: int
    scratch_bytes: int
    weights_bytes: int
    peak_live_bytes: int


@dataclass(frozen=True)
class GoldenEntry:
    """The inputs and reference outputs that ship with the bundle.

    Attributes:
        seed: what the inputs were drawn with.
        reference: what computed the outputs, with its version.
        of_largest: largest difference that passes, as a share of the output's largest magnitude.
    """

    seed: int
    reference: str
    of_largest: float = DEFAULT_OF_LARGEST


@dataclass(frozen=True)
class Manifest:
    """The index of a bundle.

    Attributes:
        schema_version: :data:`SCHEMA_VERSION` of the writer.
        generator: the program that wrote it, with its version.
        name: the model's name; part of file names and C identifiers.
        model_sha256: hash of the ONNX file, hexadecimal.
        board: the board's name, or that of the target where none was named.
        target: what the code was generated for.
        toolchain: what linked it, with its version and the C library it asks for.
        library: the shared library.
        weights: ``file`` (weights.bin, mapped) or ``embed`` (inside the library).
        options: options of the compiler that differ from bundle to bundle, as text.
        inputs: tensors the model takes, dense and row-major.
        outputs: tensors it gives, dense and row-major.
        layers: kernel launches in order.
        memory: bytes one handle needs.
        golden: the tensors that prove it.
        files: every other file of the bundle by its path from the bundle's root.
    """

    schema_version: int
    generator: str
    name: str
    model_sha256: str
    board: str
    target: Target
    toolchain: Mapping[str, str]
    library: LibraryEntry
    weights: str
    options: Mapping[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: tuple[LayerEntry, ...]
    memory: MemoryEntry
    golden: GoldenEntry
    files: Mapping[str, FileEntry]


def dump_manifest(manifest: Manifest) -> str:
    """The manifest as JSON: sorted keys, two blanks of indent, ends with a newline."""
    return json.dumps(dataclasses.asdict(manifest), indent=2, sort_keys=True) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Read a manifest.

    Raises:
        BundleError: not JSON, of another schema, or with a missing, unknown or ill-typed key.
    """
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise _broken(f"is not valid JSON ({error})") from None
    if not isinstance(raw, dict):
        raise _broken("is no JSON object")
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"the manifest's schema version is {version}",
            rule=f"This Edgewright reads version {SCHEMA_VERSION}.",
            remedy="Compile the model again, or install the Edgewright that wrote the bundle.",
        )
    manifest = decode(Manifest, raw, _broken)
    for spec in (*manifest.inputs, *manifest.outputs):
        if spec.dtype not in ITEM_BYTES:
            raise _broken(f"gives the tensor '{spec.name}' the unknown element type {spec.dtype!r}")
    return manifest


def _broken(what: str) -> BundleError:
    return BundleError(
        f"{MANIFEST_NAME} {what}",
        rule="A bundle is used only as it was written.",
        remedy="Compile the model again.",
    )
