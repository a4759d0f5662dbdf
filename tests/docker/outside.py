"""What the build of an image needs of this machine: a base image, and where packages come from.

An image is built as its users build it, from a clean copy of the tree. But no registry has to be
reachable: the base is a minimal Debian made from packages, by the apt of this machine and from its
archive. pip gets this machine's configuration as a secret of the build, so that nothing of it stays
in the image.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PipConfiguration", "clean_copy", "debian_base", "pip_configuration"]

ROOT = Path(__file__).resolve().parents[2]

#: Options of pip that say where packages are; the others are none of the image's business.
_PIP_OPTIONS = ("extra-index-url", "find-links", "index-url", "no-index", "proxy", "trusted-host")
_APT_OPTION = re.compile(r"Acquire::(http|https)::(?!Proxy-Auto)|Acquire::Check-")
#: As in Debian's own slim images.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
#: In the build, where the Dockerfile mounts the secret `ca.crt`.
_CERTIFICATES = "/run/secrets/ca.crt"


@dataclass(frozen=True)
class PipConfiguration:
    """Where pip finds packages here.

    Attributes:
        text: a configuration file that says the same in the build.
        certificates: authorities that pip must trust, if others than its own.
        folders: folders of this machine that the file names, to be mounted in the same places.
    """

    text: str
    certificates: Path | None
    folders: tuple[Path, ...]


def pip_configuration() -> PipConfiguration:
    """What pip is told here, by files and by variables, which come later and win."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    values: dict[str, str] = {}
    for line in sorted(listed.stdout.splitlines(), key=lambda line: not line.startswith("global")):
        name, _, value = line.partition("=")
        values[name.rpartition(".")[2]] = ast.literal_eval(value)
    certificates = Path(values["cert"]) if os.path.isfile(values.get("cert", "")) else None
    lines = [f"{name} = {values[name]}" for name in _PIP_OPTIONS if name in values]
    if certificates is not None:
        lines.append(f"cert = {_CERTIFICATES}")
    text = "\n".join(["[global]", *(line.replace("\n", "\n    ") for line in lines), ""])
    paths = [Path(word.removeprefix("file://")) for word in text.split() if "/" in word]
    # An index links to files beside it.
    folders = {path.parent if path.name == "simple" else path for path in paths if path.is_dir()}
    return PipConfiguration(text, certificates, tuple(sorted(folders)))


def debian_base(folder: Path) -> Path:
    """A minimal Debian, this machine's release, as an archive; made once for a folder.

    Raises:
        subprocess.CalledProcessError: mmdebstrap fails; its words were printed.
    """
    codename = _release()
    made = folder / f"{codename}.tar"
    if made.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{codename}.{os.getpid()}.tar"
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    command += [f"--aptopt={line}" for line in _apt_options()]
    command += [codename, str(unfinished), "-"]
    try:
        subprocess.run(command, input=_apt_sources(), text=True, check=True)
        unfinished.replace(made)
    finally:
        unfinished.unlink(missing_ok=True)
    return made


def clean_copy(folder: Path) -> None:
    """Copy what a fresh clone of the tree would hold, and new files that are not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def _release() -> str:
    """The code name of this machine's release."""
    lines = Path("/etc/os-release").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values["VERSION_CODENAME"].strip('"')


def _apt_sources() -> str:
    """The distribution's own archives, as this machine's apt is told to reach them."""
    form = "$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", form, "Identifier: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    own = {line.partition("|")[2] for line in listed if line.startswith(("Debian|", "Ubuntu|"))}
    return "".join(f"{line}\n" for line in sorted(own))


def _apt_options() -> list[str]:
    """What this machine's apt is told of proxies and dates."""
    dumped = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)
    return [line for line in dumped.stdout.splitlines() if _APT_OPTION.match(line)]
