"""An ssh server on loopback, for one test run, with keys of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["LoopbackSshd", "missing_tools"]

#: Where Debian puts it, which is not on every user's PATH.
_SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")


def missing_tools() -> list[str]:
    """What is not installed, of what :class:`LoopbackSshd` needs."""
    tools = {"openssh-server": _SSHD, "openssh-client": shutil.which("ssh")}
    return [name for name, path in tools.items() if path is None]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LoopbackSshd:
    """Lets the current user in by key, on 127.0.0.1.

    Args:
        folder: for keys and logs.

    Attributes:
        command: the client's command, for ``EDGEWRIGHT_SSH_COMMAND``.
        known_hosts: the file that the client compares the server's key with.
        address: ``ssh://127.0.0.1:PORT``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = _free_port()
        self.known_hosts = folder / "known_hosts"
        self.address = f"ssh://127.0.0.1:{self.port}"
        identity = folder / "identity"
        for name in ("host", "identity"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        (folder / "authorized_keys").write_text((folder / "identity.pub").read_text())
        self.trust()
        self.command = (
            f"ssh -F none -i {identity} -oIdentitiesOnly=yes -oIdentityAgent=none "
            f"-oUserKnownHostsFile={self.known_hosts} -oGlobalKnownHostsFile=none"
        )

    def trust(self, key: str | None = None) -> None:
        """Let the client know the server's key, or another one."""
        text = key if key is not None else (self._folder / "host.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {text}\n")

    def __enter__(self) -> LoopbackSshd:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        assert _SSHD is not None
        # What runs there finds this Python first, with its packages, and a home of its own.
        home = self._folder / "home"
        home.mkdir(exist_ok=True)
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        options = {
            "AuthorizedKeysFile": self._folder / "authorized_keys",
            "ListenAddress": "127.0.0.1",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PermitRootLogin": "yes",
            "ForceCommand": f'HOME={home} PATH={path} exec sh -c "$SSH_ORIGINAL_COMMAND"',
        }
        command = [_SSHD, "-D", "-e", "-f", "none", "-p", str(self.port)]
        command += ["-h", str(self._folder / "host")]
        command += [f"-o{name}={value}" for name, value in options.items()]
        with (self._folder / "sshd.log").open("w") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise RuntimeError(f"sshd did not start: {(self._folder / 'sshd.log').read_text()}")

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait()
