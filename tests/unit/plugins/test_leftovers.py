"""A run of pytest over tests that leave something behind, and over some that may."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
TESTS = """
import asyncio, logging, socket, subprocess, threading
import pytest, structlog
from tests.plugins import leftovers

leftovers.GRACE_S = 0.2
kept = []
stop = threading.Event()

@pytest.fixture(scope="module", autouse=True)
def shared():
    server = socket.create_server(("127.0.0.1", 0))
    yield server
    server.close()
    stop.set()
    for process in kept:
        if isinstance(process, subprocess.Popen):
            process.kill()
            process.wait()

def test_uses_what_the_module_has(shared): ...
def test_thread(): threading.Thread(target=stop.wait, name="reader", daemon=True).start()
def test_socket(): kept.append(socket.socket())
def test_process(): kept.append(subprocess.Popen(["sleep", "60"]))
async def test_task(): kept.append(asyncio.create_task(asyncio.sleep(60), name="loop"))
async def test_task_that_ends(): kept.append(asyncio.create_task(asyncio.sleep(0.05)))
def test_thread_that_ends(): threading.Thread(target=lambda: stop.wait(0.05)).start()
def test_event(): structlog.get_logger().error("broken", why="so")
def test_library(): logging.getLogger("library").error("broken")
@pytest.mark.logs_errors("broken", "library")
def test_asked_for():
    structlog.get_logger().error("broken")
    logging.getLogger("library").error("broken")
@pytest.mark.logs_errors("broken")
def test_other():
    structlog.get_logger().error("broken")
    structlog.get_logger().error("other")
@pytest.mark.logs_errors("broken")
def test_missing(): ...
@pytest.mark.logs_errors("broken")
def test_skipped(): pytest.skip("no server")
@pytest.mark.leaves("has to")
def test_may(): kept.append(socket.socket())
"""


def test_what_is_left_behind_fails_its_test(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nmarkers =\n    leaves: a\n    logs_errors: b\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-rE",
            "-p",
            "tests.plugins.leftovers",
            "-p",
            "no:cacheprovider",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTEST_XDIST_WORKER": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    blamed = dict(re.findall(r"^ERROR \S+::(\w+) - Failed: (.*)$", done.stdout, re.MULTILINE))
    assert set(blamed) == {
        f"test_{name}" for name in ("thread", "socket", "process", "task", "event", "library", "other", "missing")
    }
    whole = done.stdout
    for words in (
        "left behind: thread reader",
        "left behind: socket",
        "left behind: process",
        "left behind: task loop",
        "logged as an error: broken why=so",
        "logged as an error: library: broken",
        "logged as an error: other",
        "not logged as an error, though expected: broken",
    ):
        assert words in whole
