"""What the test servers share: a cache outside the tree, free ports, processes that are stopped by their own id."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class Unavailable(Exception):
    """This machine cannot have the server; the message says why."""


def cache_dir() -> Path:
    """Where downloaded servers are kept between runs (``STREAMPROC_TEST_CACHE``, else the XDG cache)."""
    chosen = os.environ.get("STREAMPROC_TEST_CACHE")
    root = (
        Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "streamproc-tests"
    )
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def alone_in(place: Path) -> Iterator[None]:
    """While what belongs at ``place`` is fetched or built, other test processes wait for it and find it done."""
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_checked(command: Sequence[str], *, timeout_s: float = 600, **options: object) -> None:
    """Run a set-up command; raise Unavailable with the end of its output when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, **options)  # type: ignore[call-overload]
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from error
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:3])}: {(done.stderr or done.stdout)[-400:]}")


class ServerProcess:
    """One child process with its log file."""

    def __init__(self, command: Sequence[str], log: Path, *, env: dict[str, str] | None = None) -> None:
        self._log_path = log
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            command,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Poll ``ready``; raise Unavailable when the process dies or the time is up."""
        end = time.monotonic() + timeout_s
        while not ready():
            if self._process.poll() is not None:
                raise Unavailable(f"{what} died with {self._process.returncode}: {self.log()[-600:]}")
            if time.monotonic() > end:
                self.stop()
                raise Unavailable(f"{what} was not ready after {timeout_s:.0f} s: {self.log()[-600:]}")
            time.sleep(0.05)

    def stop(self, *, kill: bool = False, timeout_s: float = 15) -> None:
        """SIGTERM (or SIGKILL) by process id, and wait."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout_s)
        self._log.close()


def port_open(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
