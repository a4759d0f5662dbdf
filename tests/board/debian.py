"""Debian packages of another machine, fetched through this machine's apt and unpacked.

Nothing is installed: apt resolves and downloads in a folder of its own, from the archive that this
machine is configured to use (proxies, mirrors and keys too), and `dpkg-deb` unpacks. No script of a
package runs, so that packages of any architecture will do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

__all__ = ["DebianArchive", "ImageError", "missing_tools"]

#: What `mmdebstrap` and Debian itself sign with; part of every Debian, and of Ubuntu's archive.
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: One for each folder that is a link since Debian 12; programs of Debian 11 do not mind.
MERGED = ("bin", "sbin", "lib")


class ImageError(Exception):
    """An image cannot be made here; the message says why, and what would help."""


def missing_tools(packages: dict[str, str]) -> str:
    """Programs that are not installed, with the Debian package of each, as one sentence or ``""``.

    Args:
        packages: Debian package by program.
    """
    absent = [program for program in packages if not shutil.which(program)]
    if not absent:
        return ""
    install = " ".join(sorted({packages[program] for program in absent}))
    return f"{', '.join(absent)} not found: apt-get install {install}"


class DebianArchive:
    """Packages of one release and architecture.

    Args:
        suite: the release, such as ``bookworm``.
        architecture: Debian's name of it, such as ``arm64``.
        folder: where apt keeps its lists and downloads; made if it is missing.

    Raises:
        ImageError: this machine has no apt, or no Debian archive in its configuration, or the
            archive does not have the release.
    """

    def __init__(self, suite: str, architecture: str, folder: Path) -> None:
        self.suite = suite
        self._folder = folder / f"{suite}-{architecture}"
        for name in ("state/lists/partial", "cache/archives/partial", "packages"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        sources = self._folder / "archive.sources"
        sources.write_text(
            f"Types: deb\nURIs: {_archive_address()}\nSuites: {suite}\nComponents: main\n"
            f"Architectures: {architecture}\nSigned-By: {KEYRING}\n"
        )
        self._configuration = self._folder / "apt.conf"
        self._configuration.write_text(
            f'APT::Architecture "{architecture}";\n'
            f'#clear APT::Architectures;\nAPT::Architectures {{ "{architecture}"; }};\n'
            f'Dir::State "{self._folder}/state";\nDir::State::status "{self._folder}/status";\n'
            f'Dir::Cache "{self._folder}/cache";\nDir::Etc::sourcelist "{sources}";\n'
            'Dir::Etc::sourceparts "-";\nDir::Etc::preferencesparts "-";\n'
            'APT::Sandbox::User "root";\nAPT::Install-Recommends "false";\n'
        )
        self._run(["apt-get", "-qq", "update", "--error-on=any"])

    def with_dependencies(self, names: Sequence[str]) -> list[str]:
        """Packages and all that they depend on, as ``name=version``, sorted."""
        lines = self._run(["apt-get", "install", "--simulate", *names]).splitlines()
        found = (re.match(r"Inst (\S+) \((\S+) ", line) for line in lines)
        return sorted(f"{match[1]}={match[2]}" for match in found if match)

    def unpack(self, packages: Iterable[str], folder: Path) -> None:
        """Unpack packages into a root file system.

        Args:
            packages: as from :meth:`with_dependencies`.
            folder: an existing folder.
        """
        for name in MERGED:
            (folder / "usr" / name).mkdir(parents=True, exist_ok=True)
            if not (folder / name).exists():
                (folder / name).symlink_to(f"usr/{name}")
        for path in self._download(list(packages)):
            # `dpkg-deb --extract` would put a folder in the place of such a link.
            script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"'
            self._run(["bash", "-o", "pipefail", "-c", script, "unpack", str(path), str(folder)])

    def _download(self, packages: Collection[str]) -> list[Path]:
        """The packages' files, of which those of an earlier call are not fetched again."""
        folder = self._folder / "packages"
        wanted = {package: folder / package.replace("=", "_") for package in packages}
        absent = [package for package, path in wanted.items() if not path.exists()]
        if absent:
            fresh = folder / "fresh"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            self._run(["apt-get", "-qq", "download", *absent], cwd=fresh)
            for path in fresh.iterdir():
                name, version, _ = path.stem.split("_")
                path.replace(folder / f"{name}_{version.replace('%3a', ':')}")
        return list(wanted.values())

    def _run(self, command: list[str], cwd: Path | None = None) -> str:
        environment = {**os.environ, "APT_CONFIG": str(self._configuration), "LC_ALL": "C"}
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            what = f"{' '.join(command[:3])} failed for {self.suite}"
            raise ImageError(f"{what}: {done.stderr[-500:]}")
        return done.stdout


def _archive_address() -> str:
    """Where this machine's apt gets Debian from."""
    if absent := missing_tools({"apt-get": "apt", "dpkg-deb": "dpkg"}):
        raise ImageError(absent)
    if not KEYRING.exists():
        raise ImageError(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(COMPONENT)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        origin, label, address, component = line.split("|")
        # Before the first update of its lists apt knows nothing but the address.
        known = (origin, label) == ("Debian", "Debian")
        if component == "main" and (known or address.rstrip("/").endswith("/debian")):
            return address
    raise ImageError("this machine's apt has no Debian archive among its sources")
