"""How programs of this machine log in to emulated boards, and are sure to have reached one."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from edgewright.deploy.transport.ssh_machine import SSH_COMMAND

__all__ = ["SshAccess"]


class SshAccess:
    """Keys made for one run: the boards' own, and the one that opens them.

    Args:
        folder: an empty folder.

    Attributes:
        config: configuration of the ssh client (``ssh -F``) that logs in with the run's key and
            knows the boards' key, at any port of the loopback address.
        known_hosts: the boards' key as the client keeps it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.known_hosts = folder / "known_hosts"
        _make_key(folder / "host_key")
        _make_key(folder / "user_key")
        self.write_known_hosts(folder / "host_key.pub")
        self.config.write_text(
            "Host 127.0.0.1\n"
            f"  IdentityFile {folder}/user_key\n"
            "  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n"
            "  GlobalKnownHostsFile /dev/null\n"
            "  LogLevel ERROR\n"
        )

    def write_known_hosts(self, public_key: Path) -> None:
        """Make this public key the one that the client expects of every board."""
        kind, key, *_ = public_key.read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:* {kind} {key}\n")

    def another(self, folder: Path) -> SshAccess:
        """The same way in with a different key of the boards expected, as after a swap of boards.

        Args:
            folder: an empty folder.
        """
        other = SshAccess(folder)
        for name in ("user_key", "user_key.pub"):
            shutil.copy2(self.folder / name, folder / name)
        return other

    def environment(self) -> dict[str, str]:
        """Environment in which Edgewright's ssh uses this configuration.

        OpenSSH looks up the user's own configuration by the account, not by ``HOME``.
        """
        return {**os.environ, SSH_COMMAND: shlex.join(["ssh", "-F", str(self.config)])}


def _make_key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "emulated-board", "-f", path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
