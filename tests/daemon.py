"""The command line as a stranger would drive it: subprocesses, files and HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

STREAMPROC = [sys.executable, "-m", "streamproc"]


def run_cli(
    *arguments: str | Path, cwd: Path | None = None, timeout: float = 120, stdin: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """One verb, to its end. ``stdin``: what it reads there."""
    command = [*STREAMPROC, *(str(argument) for argument in arguments)]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environ}, input=stdin, capture_output=True, text=True, timeout=timeout
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(check: Callable[[], Any], timeout: float = 60, what: str = "it") -> Any:
    """Until ``check`` gives something true."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {timeout:g} s")


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Every event in the JSON-lines files under ``folder``."""
    events = []
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            events.append(json.loads(line))
    return events


class Daemon:
    """``streamproc serve`` on a folder and port of its own. ``tls``: whom to trust, where its document has a certificate."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.config = folder / "conf"
        self.data = folder / "data"
        (self.config / "processors").mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.tls = tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        self._environ = {**os.environ, **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        self.launch()
        wait_for(self.ready, what="readiness")
        return self

    def launch(self) -> None:
        """Start the process and wait for nothing."""
        command = [*STREAMPROC, "serve", "--config-dir", str(self.config), "--listen", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--data-dir", str(self.data), "--json"],
                env=self._environ,
                stdout=log,
                stderr=log,
            )

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ready(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log.read_text()
        try:
            return self.get("/readyz") == {"status": "ready"}
        except OSError:  # not yet there, not yet ready, or it answers late
            return False

    def put(self, name: str, text: str) -> Path:
        """Write a processor's file the way editors do: beside it, then renamed."""
        path = self.config / "processors" / f"{name}.yaml"
        partial = path.with_name(f".{name}.partial")
        partial.write_text(text)
        partial.rename(path)
        return path

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10, context=self.tls) as answer:
            body = answer.read()
        return json.loads(body) if "json" in answer.headers["Content-Type"] else body.decode()

    def states(self) -> dict[str, str]:
        return {item["name"]: item["state"] for item in self.get("/api/processors")}

    def until(self, name: str, *states: str | None, timeout: float = 60) -> None:
        """Until the processor is in one of the states; None: it is gone."""
        wait_for(lambda: self.states().get(name) in states, timeout, f"{name} in {states}")

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def terminate(self, timeout: float = 60) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
