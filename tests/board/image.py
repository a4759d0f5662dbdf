"""Disk images of emulated boards, made from Debian's packages into ``build/emulated-board``.

An image is a root file system (Debian's own programs, laid out by this file, without systemd) and
the kernel of Debian's cloud image, with an archive of the drivers that it needs. Images are made
once for each recipe: the folder's name is the hash of the files that make it.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tests.board.debian import DebianArchive, ImageError, missing_tools
from tests.board.initramfs import Entry, cpio

__all__ = ["IMAGES", "BoardImage", "board_image"]

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "build" / "emulated-board"
RECIPE = tuple("debian.py initramfs.py image.py initrd_init.sh board_start.sh sshd_config".split())
#: Release of Debian and packages besides :data:`PACKAGES`, by name of the image. The releases have
#: glibc 2.36 and 2.31.
IMAGES = {
    "bookworm": ("bookworm", ()),
    "bullseye": ("bullseye", ()),
    "bookworm-python": ("bookworm", ("python3-numpy",)),
}
KERNEL_RELEASE = "bookworm"
KERNEL = "linux-image-cloud-arm64"
DRIVERS = ("virtio_mmio", "virtio_blk", "virtio_net", "virtio-rng")
#: What scripts on a board may count on, and what logs in.
PACKAGES = (
    "base-files base-passwd bash busybox-static coreutils dash diffutils findutils grep gzip "
    "hostname libc-bin mawk mount openssh-server procps sed tar util-linux"
).split()
#: Wanted by maintainer scripts and by systemd; nothing here runs them.
NOT_UNPACKED = (
    "adduser debconf debianutils dpkg init-system-helpers initramfs-tools initramfs-tools-core "
    "klibc-utils kmod libklibc libperl linux-base logsave lsb-base passwd perl runit-helper "
    "sensible-utils udev usrmerge"
).split()
#: Folders of ``usr/share`` that no program needs.
NOT_KEPT = ("doc", "man", "locale", "info", "i18n")
DISK_BYTES = 384 << 20
SMALL_DISK_BYTES = 8 << 20
TOOLS = {"mke2fs": "e2fsprogs", "apt-get": "apt", "dpkg-deb": "dpkg", "unshare": "util-linux"}


@dataclass(frozen=True)
class BoardImage:
    """What an emulated board boots from. None of it is written to.

    Attributes:
        name: one of :data:`IMAGES`.
        kernel: image of the kernel.
        initrd: archive of the drivers and the first program.
        disk: raw ext4 image of the root file system.
        small_disk: raw ext4 image of a file system of 8 MiB.
    """

    name: str
    kernel: Path
    initrd: Path
    disk: Path
    small_disk: Path


def board_image(name: str) -> BoardImage:
    """An image, made if this recipe has not made it yet.

    Args:
        name: one of :data:`IMAGES`.

    Raises:
        ImageError: a program is missing, or the packages cannot be had.
    """
    if absent := missing_tools(TOOLS):
        raise ImageError(absent)
    recipe = hashlib.sha256()
    for file in RECIPE:
        recipe.update((HERE / file).read_bytes())
    folder = FOLDER / recipe.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with _alone():
        if not (folder / "kernel").is_dir():
            with _beside(folder / "kernel") as fresh:
                _make_kernel(fresh)
        if not (folder / name).is_dir():
            with _beside(folder / name) as fresh:
                _make_disks(name, fresh)
    return BoardImage(
        name=name,
        kernel=folder / "kernel" / "vmlinuz",
        initrd=folder / "kernel" / "initrd",
        disk=folder / name / "disk.ext4",
        small_disk=folder / name / "small.ext4",
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes from making images in the meantime."""
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder that gets its name when all that is in it was made."""
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}."))
    try:
        yield fresh
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _make_kernel(folder: Path) -> None:
    archive = DebianArchive(KERNEL_RELEASE, "arm64", FOLDER / "packages")
    packages = archive.with_dependencies([KERNEL, "busybox-static"])
    with tempfile.TemporaryDirectory(dir=FOLDER) as name:
        root = Path(name)
        archive.unpack([p for p in packages if p.startswith(("linux-image-", "busybox-"))], root)
        shutil.copyfile(next(root.glob("boot/vmlinuz-*")), folder / "vmlinuz")
        (folder / "initrd").write_bytes(_initrd(root))


def _initrd(root: Path) -> bytes:
    """The first file system: busybox, the drivers in the order of their needs, and ``init``."""
    entries = {name: Entry(None, 0o755) for name in ("bin", "dev", "proc", "disk", "modules")}
    entries["bin/busybox"] = Entry((root / "usr/bin/busybox").read_bytes(), 0o755)
    entries["init"] = Entry((HERE / "initrd_init.sh").read_bytes(), 0o755)
    modules = {path.stem.replace("-", "_"): path for path in root.glob("usr/lib/modules/**/*.ko")}
    order: list[str] = []
    for driver in DRIVERS:
        _add_with_needs(driver.replace("-", "_"), modules, order)
    for name in order:
        entries[f"modules/{name}"] = Entry(modules[name].read_bytes())
    entries["modules/order"] = Entry(" ".join(order).encode())
    return gzip.compress(cpio(entries), 1, mtime=0)


def _add_with_needs(name: str, modules: dict[str, Path], order: list[str]) -> None:
    """Append a kernel module behind the modules that it needs, as its ``.modinfo`` names them."""
    if name in order:
        return
    elf = ELFFile(io.BytesIO(modules[name].read_bytes()))
    for line in elf.get_section_by_name(".modinfo").data().split(b"\0"):
        if line.startswith(b"depends="):
            for need in filter(None, line[len(b"depends=") :].decode().split(",")):
                _add_with_needs(need.replace("-", "_"), modules, order)
    order.append(name)


def _make_disks(image: str, folder: Path) -> None:
    release, more = IMAGES[image]
    archive = DebianArchive(release, "arm64", FOLDER / "packages")
    packages = archive.with_dependencies([*PACKAGES, *more])
    with tempfile.TemporaryDirectory(dir=FOLDER) as name:
        root, empty = Path(name) / "root", Path(name) / "empty"
        root.mkdir(mode=0o755)
        empty.mkdir()
        archive.unpack([p for p in packages if not p.startswith(tuple(NOT_UNPACKED))], root)
        _lay_out(root)
        _make_file_system(root, folder / "disk.ext4", DISK_BYTES)
        _make_file_system(empty, folder / "small.ext4", SMALL_DISK_BYTES)


def _lay_out(root: Path) -> None:
    """What the packages' scripts and an installer would have done."""
    for name in NOT_KEPT:
        shutil.rmtree(root / "usr/share" / name, ignore_errors=True)
    for name in ("dev", "proc", "sys", "run", "tmp", "root/.ssh", "home/pi", "opt", "var/log"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("small", "noexec", "readonly"):
        (root / "mnt" / name).mkdir(parents=True)
    (root / "root").chmod(0o700)
    users = (root / "usr/share/base-passwd/passwd.master").read_text()
    groups = (root / "usr/share/base-passwd/group.master").read_text()
    users += "sshd:*:100:65534::/run/sshd:/usr/sbin/nologin\npi:*:1000:1000::/home/pi:/bin/bash\n"
    (root / "etc/passwd").write_text(users)
    (root / "etc/group").write_text(groups + "pi:*:1000:\n")
    (root / "etc/hostname").write_text("board\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost board\n")
    (root / "etc/inittab").write_text(
        "::sysinit:/etc/board-start\n"
        "::respawn:/usr/sbin/sshd -D -e -r\n"
        "::shutdown:/bin/sync\n"
        "::shutdown:/bin/umount -a -r\n"
    )
    shutil.copyfile(HERE / "board_start.sh", root / "etc/board-start")
    (root / "etc/board-start").chmod(0o755)
    shutil.copyfile(HERE / "sshd_config", root / "etc/ssh/sshd_config")
    for applet in ("init", "ip", "reboot", "poweroff", "insmod"):
        if not (root / "usr/sbin" / applet).exists():
            (root / "usr/sbin" / applet).symlink_to("/bin/busybox")
    (root / "usr/bin/awk").symlink_to("mawk")
    # Of these, Debian lets the administrator choose among several.
    for library in ("blas", "lapack"):
        for path in root.glob(f"usr/lib/*/{library}/lib{library}.so.3"):
            (path.parent.parent / path.name).symlink_to(f"{library}/{path.name}")
    (root / "usr/bin/sh").unlink(missing_ok=True)
    (root / "usr/bin/sh").symlink_to("dash")


def _make_file_system(tree: Path, image: Path, size_bytes: int) -> None:
    """Write a tree into a sparse image, everything root's, whoever runs this."""
    with image.open("wb") as file:
        file.truncate(size_bytes)
    command = ["mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", str(tree), str(image)]
    if os.getuid() != 0:
        command = ["unshare", "--map-root-user", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"mke2fs could not fill {image.name}: {done.stderr[-500:]}")
