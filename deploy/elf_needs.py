"""What an ELF file asks of the system that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection

from edgewright.spec.errors import BundleError
from edgewright.spec.versions import version_key

__all__ = ["ElfNeeds", "VersionedSymbol", "read_needs"]

_ARCHITECTURES = {"EM_AARCH64": "aarch64", "EM_ARM": "arm", "EM_X86_64": "x86_64"}
_EXECUTABLE = 0x4  # SHF_EXECINSTR


@dataclass(frozen=True)
class VersionedSymbol:
    """A function of the C library, of a release.

    Attributes:
        name: such as ``pthread_create``.
        version: release of glibc that brought it, such as ``2.34``.
    """

    name: str
    version: str


@dataclass(frozen=True)
class ElfNeeds:
    """What one ELF file asks for.

    Attributes:
        file: its path from the bundle's root.
        arch: ``aarch64``, ``arm`` or ``x86_64``.
        libraries: shared libraries it names; none for a static program.
        newest: the symbol of glibc that came last; None if it asks for none.
        code: its machine code, by section.
    """

    file: str
    arch: str
    libraries: tuple[str, ...]
    newest: VersionedSymbol | None
    code: tuple[bytes, ...]


def read_needs(path: Path, file: str) -> ElfNeeds | None:
    """Read an ELF file.

    Args:
        path: where it is.
        file: how messages call it.

    Returns:
        What it asks for; None if it is no ELF program or library.

    Raises:
        BundleError: it begins as ELF and is damaged.
    """
    with path.open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            return None
        try:
            elf = ELFFile(stream)
            if elf["e_type"] == "ET_REL":
                return None
            dynamic = elf.get_section_by_name(".dynamic")
            libraries = (
                tuple(_needed(tag) for tag in dynamic.iter_tags("DT_NEEDED"))
                if isinstance(dynamic, DynamicSection)
                else ()
            )
            sections = (s for s in elf.iter_sections() if s["sh_flags"] & _EXECUTABLE)
            return ElfNeeds(
                file,
                _ARCHITECTURES.get(elf["e_machine"], str(elf["e_machine"])),
                libraries,
                _newest_symbol(elf),
                tuple(bytes(section.data()) for section in sections),
            )
        except (ELFError, UnicodeDecodeError) as error:
            raise BundleError(
                f"'{file}' is a damaged ELF file ({error})", remedy="Compile the model again."
            ) from error


def _newest_symbol(elf: ELFFile) -> VersionedSymbol | None:
    """The undefined symbol with the newest version of glibc."""
    needed = elf.get_section_by_name(".gnu.version_r")
    versions = elf.get_section_by_name(".gnu.version")
    symbols = elf.get_section_by_name(".dynsym")
    if not isinstance(needed, GNUVerNeedSection):
        return None
    assert isinstance(versions, GNUVerSymSection) and isinstance(symbols, SymbolTableSection)
    releases = {
        auxiliary["vna_other"]: auxiliary.name.removeprefix("GLIBC_")
        for _, auxiliaries in needed.iter_versions()
        for auxiliary in auxiliaries
        if auxiliary.name.startswith("GLIBC_")
    }
    found = []
    for index in range(symbols.num_symbols()):
        release = releases.get(versions.get_symbol(index)["ndx"])
        if release is not None:
            found.append(VersionedSymbol(symbols.get_symbol(index).name, release))
    return max(found, key=lambda symbol: version_key(symbol.version), default=None)


def _needed(tag: Any) -> str:
    """The library that a tag ``DT_NEEDED`` names: pyelftools sets the attribute for these only."""
    return str(tag.needed)
