"""What a deployment runs on the board: POSIX ``sh``, with nothing but what every Linux has.

A deployed bundle is a link, ``net``, to a folder beside it, ``.net.versions/ID``. A new version is
filled and proven as ``.net.versions/incoming``; then the link is replaced by one rename. Whoever
opens ``net`` meets the old version or the new one, and a power cut leaves either.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

__all__ = ["HASHES", "fill", "look", "remove_incoming", "run_selftest", "switch", "verify", "word"]

#: The line after which :func:`look` prints hashes.
HASHES = "--- hashes"


def word(path: str) -> str:
    """A path, absolute or ``~/…``, as a word of ``sh``."""
    if path.startswith("~/"):
        return '"$HOME"/' + shlex.quote(path[2:])
    return shlex.quote(path)


def look(path: str) -> str:
    """Print what is at a place, and the room around it, one ``key value`` a line, then hashes.

    Keys: ``place`` (absolute), ``kind`` (``none``, ``link``, ``bundle``, ``empty`` or ``other``),
    ``current`` (what the link names), ``free_kib``.
    """
    return f"""set -eu
place={word(path)}
parent=$(dirname "$place")
mkdir -p "$parent"
cd "$parent"
parent=$(pwd)
name=$(basename "$place")
echo "place $parent/$name"
kind=none
if [ -L "$name" ]; then
  kind=link
  echo "current $(readlink "$name")"
elif [ -d "$name" ] && [ -z "$(ls -A "$name")" ]; then kind=empty
elif [ -d "$name" ] && grep -q '"generator": "edgewright ' "$name/manifest.json" 2>/dev/null; then
  kind=bundle
elif [ -e "$name" ]; then kind=other
fi
echo "kind $kind"
if ! [ -w . ]; then echo "$parent: Permission denied" >&2; exit 1; fi
echo "free_kib $(df -Pk . | awk 'END {{ print $4 }}')"
echo "{HASHES}"
[ $kind != other ] || exit 0
for folder in "$name" ".$name.versions/incoming"; do
  if [ -d "$folder" ]; then find "$folder/" -type f -exec sha256sum {{}} \\; ; fi
done
"""


def fill(place: str, folders: Iterable[str], links: Sequence[tuple[str, str]]) -> str:
    """Make the incoming version, with what the board has already.

    Args:
        place: where the link is, absolute.
        folders: folders of the new version, parents first.
        links: a file of the board, from the folder of the place, and its name in the new version.
    """
    parent, name = place.rsplit("/", 1)
    lines = [
        "set -eu",
        f"cd {shlex.quote(parent or '/')}",
        f"versions={shlex.quote(f'.{name}.versions')}",
        'mkdir -p "$versions"',
        'rm -rf "$versions/filling"',
        'mkdir "$versions/filling"',
        *(f'mkdir "$versions"/filling/{shlex.quote(folder)}' for folder in folders),
    ]
    for source, target in links:
        source, target = shlex.quote(source), f'"$versions"/filling/{shlex.quote(target)}'
        # A file system without hard links gets a copy.
        lines.append(f"ln {source} {target} 2>/dev/null || cp -p {source} {target}")
    lines += ['rm -rf "$versions/incoming"', 'mv "$versions/filling" "$versions/incoming"']
    return "\n".join(lines)


def verify(incoming: str, hashes: Iterable[tuple[str, str]]) -> str:
    """Compare files of the incoming version with their SHA-256; print ``NAME: OK`` for each."""
    lines = "\n".join(f"{digest}  {name}" for digest, name in hashes)
    return f"cd {shlex.quote(incoming)} && sha256sum -c - <<'END'\n{lines}\nEND\n"


def run_selftest(incoming: str, threads: int) -> str:
    """Run the golden inputs there."""
    return f"cd {shlex.quote(incoming)} && exec ./bin/selftest --bundle . --threads {threads}"


def switch(place: str, version: str) -> str:
    """Let the link name the incoming version, and remove the others.

    Args:
        place: where the link is, absolute.
        version: the new version's name.
    """
    parent, name = place.rsplit("/", 1)
    return f"""set -eu
cd {shlex.quote(parent or "/")}
name={shlex.quote(name)}
versions=".$name.versions"
version={shlex.quote(version)}
rm -rf "$versions/$version" "$versions/link" "$versions/old"
mv "$versions/incoming" "$versions/$version"
ln -s "$versions/$version" "$versions/link"
# What the new version is made of must be on the disk before anything names it.
sync
if [ -d "$name" ] && ! [ -L "$name" ]; then mv "$name" "$versions/old"; fi
if ! mv -T "$versions/link" "$name" 2>/dev/null; then
  # A busybox without -T would follow the old link.
  if ! {{ rm -f "$name" && mv "$versions/link" "$name"; }}; then
    if [ -d "$versions/old" ]; then mv "$versions/old" "$name"; fi
    exit 1
  fi
fi
sync
for other in "$versions"/*; do
  if [ "$other" != "$versions/$version" ]; then rm -rf "$other"; fi
done
"""


def remove_incoming(place: str) -> str:
    """Take away a version that will not be used."""
    parent, name = place.rsplit("/", 1)
    folder = shlex.quote(f"{parent}/.{name}.versions")
    return f"rm -rf {folder}/incoming {folder}/filling; rmdir {folder} 2>/dev/null; true"
