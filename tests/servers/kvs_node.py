"""The AWS SDK for JavaScript 3 with its three clients for Kinesis Video, fetched by npm once; for tests only."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.servers.common import Unavailable, alone_in, cache_dir, run_checked

VERSION = "3.1138.0"
_CLIENTS = ("kinesis-video@3.1116.0", f"kinesis-video-media@{VERSION}", f"kinesis-video-archived-media@{VERSION}")
_SOURCE = Path(__file__).with_name("node") / "get.mjs"


def install() -> Path:
    """The folder with the packages. Raises Unavailable."""
    place = cache_dir() / f"kvs-node-{VERSION}"
    with alone_in(place):
        if not place.is_dir():
            _fetch(place)
    return place


def _fetch(place: Path) -> None:
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            raise Unavailable(f"the AWS SDK for JavaScript needs {tool}")
    work = place.with_suffix(".part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "package.json").write_text('{"private": true, "type": "module"}')
    packages = [f"@aws-sdk/client-{name}" for name in _CLIENTS]
    run_checked(["npm", "install", "--silent", "--no-audit", "--no-fund", *packages], cwd=work)
    work.rename(place)


def get(*arguments: str, timeout: float = 60) -> dict[str, Any]:
    """What ``get.mjs`` found."""
    place = install()
    script = place / _SOURCE.name
    if not script.exists() or script.read_bytes() != _SOURCE.read_bytes():
        script.write_bytes(_SOURCE.read_bytes())
    done = subprocess.run(["node", str(script), *arguments], capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise AssertionError(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
