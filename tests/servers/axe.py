"""axe-core, Deque's accessibility checks, for tests only: fetched once by npm into the tests' cache, never part of the package (MPL-2.0)."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.servers.common import Unavailable, alone_in, cache_dir

VERSION = "4.14.1"


def axe_source() -> str:
    """The script to run in a page. Raises Unavailable."""
    target = cache_dir() / f"axe-core-{VERSION}.js"
    with alone_in(target):
        if not target.exists():
            _fetch(target)
    return target.read_text()


def _fetch(target: Path) -> None:
    if shutil.which("npm") is None:
        raise Unavailable("npm is not installed, which fetches axe-core")
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", str(target.parent), f"axe-core@{VERSION}"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Unavailable(f"axe-core cannot be fetched: {done.stderr.strip()[-200:]}")
    package = target.parent / f"axe-core-{VERSION}.tgz"
    with tarfile.open(package) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        target.write_bytes(file.read())
    package.unlink()
