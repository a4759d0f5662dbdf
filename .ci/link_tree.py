"""Lays the package out as an installed one, out of symbolic links, for static checkers.

They cannot follow setuptools' editable install, which maps ``edgewright.models`` to ``models`` when
Python runs.

Usage: ``python .ci/link_tree.py build/tree``
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def main(tree: Path) -> None:
    """Make ``tree/edgewright`` anew from pyproject.toml's package-dir."""
    shutil.rmtree(tree, ignore_errors=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = dict(project["tool"]["setuptools"]["package-dir"])
    package = tree / "edgewright"
    package.mkdir(parents=True)
    for entry in sorted((ROOT / folders.pop("edgewright")).iterdir()):
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    for name, folder in sorted(folders.items()):
        (tree / name.replace(".", "/")).symlink_to(ROOT / folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
