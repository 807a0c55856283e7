"""Versity S3 Gateway over a folder: an S3 server that is not the one we were written against."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.servers.common import ServerProcess, Unavailable, cache_dir, free_port, port_open, run_checked

VERSION = "1.8.0"


def install() -> Path:
    """The gateway's binary, built by Go the first time."""
    binary = cache_dir() / "bin" / f"versitygw-{VERSION}"
    if binary.exists():
        return binary
    if not shutil.which("go"):
        raise Unavailable("the S3 gateway needs go to build it")
    work = cache_dir() / "go.part"
    run_checked(
        ["go", "install", f"github.com/versity/versitygw/cmd/versitygw@v{VERSION}"],
        env={**os.environ, "GOBIN": str(work)},
        timeout_s=900,
    )
    binary.parent.mkdir(exist_ok=True)
    (work / "versitygw").rename(binary)
    return binary


class S3Server:
    """An S3 endpoint on a free port; objects are files below ``directory``/BUCKET."""

    access_key = "testaccess"
    secret_key = "testsecret"

    def __init__(self, directory: Path) -> None:
        self._binary = install()
        self._directory = directory
        self.root = directory / "buckets"
        self.root.mkdir(parents=True, exist_ok=True)
        (directory / "iam").mkdir(exist_ok=True)
        self.port = free_port()
        self._process: ServerProcess | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str) -> Path:
        """Create the bucket (three letters or more); returns its folder."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        return folder

    def start(self) -> S3Server:
        command = [str(self._binary), "--access", self.access_key, "--secret", self.secret_key]
        command += ["--port", f"127.0.0.1:{self.port}", "posix", str(self.root)]
        self._process = ServerProcess(command, self._directory / "s3.log")
        self._process.wait_until(lambda: port_open(self.port), timeout_s=30, what="S3 gateway")
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, *, kill: bool = False) -> None:
        if self._process:
            self._process.stop(kill=kill)
            self._process = None
