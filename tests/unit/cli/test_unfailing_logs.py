"""Logging never raises: not on a full disk, not where a traceback cannot be shown."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import builtins, os, sys
from pathlib import Path
import structlog
from streamproc.cli.output import set_up_logs
set_up_logs({as_json}, "info", data=False)
log = structlog.get_logger("x")
class Opaque:
    def __repr__(self): raise RuntimeError("no repr")
    __str__ = __repr__
log.warning("odd", value=Opaque())
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broke")
import logging
logging.getLogger("library").error("said", exc_info=True)
Path("/proc/self/comm").write_text("through")
os._exit(7)
"""


def run(as_json: bool, **streams: object) -> int:
    command = [sys.executable, "-c", SCRIPT.format(as_json=as_json)]
    return subprocess.run(command, check=False, timeout=60, **streams).returncode  # type: ignore[call-overload]


def test_a_full_disk_under_the_log_ends_nothing() -> None:
    with open("/dev/full", "w") as full:
        assert run(True, stdout=full, stderr=full) == 7
        assert run(False, stdout=full, stderr=full) == 7


def test_what_cannot_be_shown_ends_nothing() -> None:
    assert run(True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 7
    assert run(False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 7
