"""A whole board, emulated: a kernel, a disk that outlives its power, and ssh on the loopback."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.board.debian import missing_tools
from tests.board.image import BoardImage
from tests.board.initramfs import Entry, cpio
from tests.board.ssh_access import SshAccess

__all__ = ["BoardFailure", "EmulatedBoard", "why_no_boards"]

TOOLS = {
    "qemu-system-aarch64": "qemu-system-arm",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
#: A free machine needs a tenth of it.
START_SECONDS = 240.0


class BoardFailure(Exception):
    """The emulated board did not do what it was told; the message ends with its console."""


def why_no_boards() -> str:
    """Which program is missing to emulate boards here, or ``""``."""
    return missing_tools(TOOLS)


class EmulatedBoard:
    """A board that runs from entering the context to leaving it.

    What it writes goes to its own copies of the image's disks; they survive :meth:`reboot` and
    :meth:`power_cut`.

    Args:
        image: what it boots from; not changed.
        access: keys to it.
        folder: for its disks and its console, without a comma in its path; empty, or what an
            earlier board of the same image left.
        core: QEMU's name of the core.
        cores: how many.
        memory_mib: memory in MiB.

    Attributes:
        port: of the board's ssh, on the loopback address.
        access: as given.
    """

    def __init__(
        self,
        image: BoardImage,
        access: SshAccess,
        folder: Path,
        *,
        core: str = "cortex-a72",
        cores: int = 2,
        memory_mib: int = 512,
    ) -> None:
        self.image = image
        self.access = access
        self.port = _free_port()
        self._folder = folder
        self._machine = ["-M", "virt", "-cpu", core, "-smp", str(cores), "-m", str(memory_mib)]
        self._qemu: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> EmulatedBoard:
        self._folder.mkdir(parents=True, exist_ok=True)
        keys = {
            "keys": Entry(None, 0o700),
            "keys/host_key": Entry((self.access.folder / "host_key").read_bytes(), 0o600),
            "keys/authorized_keys": Entry((self.access.folder / "user_key.pub").read_bytes()),
        }
        initrd = self.image.initrd.read_bytes()
        padded = initrd + bytes(-len(initrd) % 4)
        (self._folder / "initrd").write_bytes(padded + cpio(keys))
        for name, disk in (("disk", self.image.disk), ("small", self.image.small_disk)):
            if not (own := self._folder / f"{name}.ext4").exists():
                subprocess.run(["cp", "--sparse=always", "--reflink=auto", disk, own], check=True)
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    def start(self) -> None:
        """Switch the board on and wait until ssh answers.

        Raises:
            BoardFailure: it did not come up.
        """
        if self._qemu is not None:
            raise BoardFailure("the board is already on")
        # Killed with the test run, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-aarch64", *self._machine]
        command += ["-nodefaults", "-display", "none", "-monitor", "none"]
        command += ["-serial", f"file:{self._folder / 'console'}"]
        command += ["-kernel", str(self.image.kernel), "-initrd", str(self._folder / "initrd")]
        command += ["-append", "console=ttyAMA0 quiet loglevel=4 panic=-1"]
        # Devices of this bus are found in the opposite order: the last becomes /dev/vda.
        for name in ("small", "disk"):
            own = self._folder / f"{name}.ext4"
            command += ["-drive", f"if=none,id={name},file={own},format=raw"]
            command += ["-device", f"virtio-blk-device,drive={name}"]
        command += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"]
        command += ["-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device"]
        log = (self._folder / "qemu.log").open("wb")
        with log:
            self._qemu = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait_for_ssh()

    def kill(self) -> None:
        """Take the power away, as when the plug is pulled; the disk stays as it is then."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None

    def power_cut(self) -> None:
        """Take the power away and switch the board on again."""
        self.kill()
        self.start()

    def reboot(self) -> None:
        """Let the board restart itself, and wait until it is back."""
        before = self.boot_id()
        self.shell("reboot", check=False)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self._wait_for_ssh()
            if self.boot_id() not in ("", before):
                return
            time.sleep(0.5)
        raise self._failure("did not restart")

    def freeze(self) -> None:
        """Stop the board's time: connections stay open and nothing answers, until :meth:`thaw`."""
        assert self._qemu is not None
        self._qemu.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the board go on after :meth:`freeze`."""
        assert self._qemu is not None
        self._qemu.send_signal(signal.SIGCONT)

    def address(self, path: str = "", user: str = "root") -> str:
        """The board as `edgewright deploy` and `bench --on` name it.

        Args:
            path: an absolute folder of the board, or ``""``.
            user: ``root`` or ``pi``.
        """
        return f"ssh://{user}@127.0.0.1:{self.port}{path}"

    def environment(self) -> dict[str, str]:
        """Environment in which Edgewright gets in."""
        return self.access.environment()

    def shell(
        self, script: str, *, user: str = "root", check: bool = True, timeout_seconds: float = 60
    ) -> str:
        """What a script prints on the board, errors too.

        Args:
            script: for the user's login shell.
            user: ``root`` or ``pi``.
            check: whether the script must succeed.
            timeout_seconds: how long it may take.

        Raises:
            BoardFailure: the script failed, or the board could not be reached.
        """
        command = ["ssh", "-F", str(self.access.config), "-p", str(self.port)]
        done = subprocess.run(
            [*command, "-o", "BatchMode=yes", f"{user}@127.0.0.1", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout_seconds,
        )
        if check and done.returncode:
            raise self._failure(f"answered {done.returncode} to {script!r}: {done.stdout[-2000:]}")
        return done.stdout

    def send(self, source: Path, path: str) -> None:
        """Copy a file or a folder to a path of the board that does not exist yet."""
        command = ["scp", "-F", str(self.access.config), "-P", str(self.port), "-q", "-r"]
        done = subprocess.run(
            [*command, str(source), f"root@127.0.0.1:{path}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise self._failure(f"did not take {source.name}: {done.stderr}")

    def boot_id(self) -> str:
        """What the kernel calls this start of the board, or ``""`` while nothing answers."""
        answer = self.shell("cat /proc/sys/kernel/random/boot_id", check=False)
        return answer.strip() if len(answer.split()) == 1 else ""

    def console(self) -> str:
        """What the board printed on its console since it was switched on."""
        path = self._folder / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def _wait_for_ssh(self) -> None:
        assert self._qemu is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._qemu.poll() is not None:
                raise self._failure("is not running: " + (self._folder / "qemu.log").read_text())
            if _answers(self.port):
                return
            time.sleep(0.2)
        raise self._failure(f"did not answer within {START_SECONDS:g} s")

    def _failure(self, what: str) -> BoardFailure:
        end = self.console()[-1500:]
        return BoardFailure(f"the emulated board {what}\nits console ends: {end}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(port: int) -> bool:
    """Whether an ssh server greets at a port; QEMU takes connections before the board does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
