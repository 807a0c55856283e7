"""Debian's mosquitto: a real broker with a configuration, port and folder of its own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.servers.certificates import Authority
from tests.servers.common import ServerProcess, Unavailable, port_open

_PLACES = "/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", "")


def _fixed_port() -> int:
    """A free port from below those that the kernel gives to clients: one of these, tried again and again while the broker is away,
    would sooner or later be given to the very client that tries, which then talks to itself and keeps the port."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def check() -> str:
    """The broker's path. Raises Unavailable when this machine has none."""
    found = shutil.which("mosquitto", path=_PLACES)
    if found is None:
        raise Unavailable("mosquitto is missing (Debian: mosquitto)")
    return found


class Mosquitto:
    """``stop`` and ``start`` again keep port and folder; with ``persistent`` also what it retained and its sessions.

    ``every_change``: it writes them to disk at each message (else every second), so that SIGKILL loses nothing that it confirmed.
    ``rights``: its acl_file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        login: tuple[str, str] | None = None,
        authority: Authority | None = None,
        persistent: bool = True,
        every_change: bool = False,
        rights: str = "",
    ) -> None:
        self._binary = check()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.host, self.port = "127.0.0.1", _fixed_port()
        lines = [f"listener {self.port} 127.0.0.1", "log_type all", "connection_messages true"]
        if os.geteuid() == 0:
            lines.append("user root")  # else it would give its rights up, and with them this folder
        lines += ["persistence true", f"persistence_location {folder}/"] if persistent else ["persistence false"]
        lines += ["autosave_interval 1", f"autosave_on_changes {str(every_change).lower()}"] if persistent else []
        if login:
            lines += ["allow_anonymous false", f"password_file {self._passwords(*login)}"]
        else:
            lines.append("allow_anonymous true")
        if rights:
            path = folder / "rights"
            path.write_text(rights)
            path.chmod(0o600)
            lines.append(f"acl_file {path}")
        if authority:
            certificate, key = authority.sign("broker")
            lines += [f"cafile {authority.certificate}", f"certfile {certificate}", f"keyfile {key}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._process: ServerProcess | None = None

    def start(self) -> Mosquitto:
        process = ServerProcess([self._binary, "-c", str(self._config)], self._folder / "mosquitto.log")
        self._process = process
        process.wait_until(lambda: port_open(self.port), timeout_s=20, what="mosquitto")
        return self

    def stop(self, *, kill: bool = False) -> None:
        if self._process:
            self.resume()
            self._process.stop(kill=kill)
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: connected, and silent."""
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        os.kill(self._process.pid, signal.SIGCONT)

    def log(self) -> str:
        return (self._folder / "mosquitto.log").read_text(errors="replace")

    def _passwords(self, user: str, password: str) -> Path:
        path = self._folder / "passwords"
        path.touch()
        tool = shutil.which("mosquitto_passwd", path=_PLACES)
        if tool is None:
            raise Unavailable("mosquitto_passwd is missing (Debian: mosquitto)")
        subprocess.run([tool, "-b", str(path), user, password], check=True, capture_output=True)
        return path
