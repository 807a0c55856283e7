"""The daemon's own disk full, or its database locked, seen from outside: it waits, says so, loses nothing and ends when told to."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.config.node import NodeConfig
from streamproc.server import daemon as server
from streamproc.server.storage import open_database
from streamproc.store.database import Database
from tests.conftest import skip
from tests.daemon import Daemon, read_lines, wait_for
from tests.faults.node import document, nothing_lost_or_doubled, posted, said, status_of

pytestmark = pytest.mark.models


@pytest.fixture
def disk(daemon: Daemon) -> Iterator[Path]:
    """The daemon's data directory on a file system of 6 MB of its own."""
    daemon.data.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", str(daemon.data)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        skip(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    yield daemon.data
    daemon.close()
    subprocess.run(["umount", "-l", str(daemon.data)], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_a_full_disk_is_waited_for(daemon: Daemon, disk: Path, scene: Path) -> None:
    daemon.start()
    daemon.put("door", document(scene))
    wait_for(lambda: read_lines(daemon.config / "out"), 60, "the first event")
    ballast = fill(disk)
    wait_for(lambda: said(daemon, "storage_unavailable"), 30, "the complaint")
    shown = daemon.get("/api/processors/door")
    assert shown["state"] == "running" and "waits for storage" in shown["message"]
    assert "streamproc_storage_unavailable 1.0" in daemon.get("/metrics")
    assert posted(daemon, "/api/processors/door/stop") == 503
    assert daemon.states() == {"door": "running"}
    time.sleep(2)
    ballast.unlink()
    wait_for(lambda: said(daemon, '"storage_available"'), 30, "the return")
    wait_for(lambda: daemon.get("/api/processors/door")["message"] is None, 20, "the end of the complaint")
    assert said(daemon, '"storage_unavailable"') == 1
    assert daemon.terminate() == 0
    nothing_lost_or_doubled(daemon.config / "out")


def test_a_start_on_a_full_disk_waits_for_room(daemon: Daemon, disk: Path) -> None:
    ballast = fill(disk)
    daemon.launch()
    wait_for(lambda: said(daemon, "storage_unavailable"), 30, "the complaint")
    assert status_of(daemon, "/healthz") == 200
    assert status_of(daemon, "/readyz") == status_of(daemon, "/api/processors") == 503
    assert "streamproc_storage_unavailable 1.0" in daemon.get("/metrics")
    assert daemon.terminate(timeout=5) == 0
    daemon.launch()
    wait_for(lambda: said(daemon, '"storage_unavailable"') == 2, 30, "the complaint of another process")
    ballast.unlink()
    wait_for(daemon.ready, 60, "readiness")
    assert (said(daemon, '"storage_unavailable"'), said(daemon, '"storage_available"')) == (2, 1)
    assert daemon.terminate() == 0


@pytest.mark.logs_errors("start_broken_off")
async def test_a_disk_that_fills_in_the_middle_of_a_start_breaks_it_off_for_another(
    daemon: Daemon, disk: Path, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the test's own process: nobody outside could meet that moment."""

    def opened_and_then_full(data_dir: Path) -> Database:
        database = open_database(data_dir)
        fill(disk)
        return database

    def process() -> server.Daemon:
        node = NodeConfig.model_validate({"server": {"listen": f"127.0.0.1:{daemon.port}"}})
        return server.Daemon(daemon.config, node, disk, lambda: node, asyncio.Event(), asyncio.Event())

    monkeypatch.setattr(server, "BEGIN_ANEW_S", 0.05)
    monkeypatch.setattr(server, "open_database", opened_and_then_full)
    daemon.put("door", document(scene))
    first = process()
    assert await asyncio.wait_for(first.serve(), 60), "the next process goes on"
    assert not first.came_up
    (disk / "ballast").unlink()
    daemon.start()
    daemon.until("door", "running", timeout=30)
    assert daemon.terminate() == 0


def test_a_start_beside_a_backup_waits_for_its_end(daemon: Daemon) -> None:
    Database(daemon.data).close()
    backup = sqlite3.connect(daemon.data / "streamproc.db", isolation_level=None)
    backup.execute("BEGIN IMMEDIATE")
    daemon.launch()
    wait_for(lambda: said(daemon, "storage_unavailable"), 30, "the complaint")
    assert status_of(daemon, "/readyz") == 503
    backup.execute("ROLLBACK")
    backup.close()
    wait_for(daemon.ready, 60, "readiness")
    assert daemon.terminate() == 0


def test_a_processor_that_comes_while_the_disk_is_full_runs_when_it_is_not(
    daemon: Daemon, disk: Path, scene: Path
) -> None:
    daemon.start()
    ballast = fill(disk)
    daemon.put("door", document(scene))
    wait_for(lambda: said(daemon, "waits for storage"), 30, "the complaint")
    ballast.unlink()
    daemon.until("door", "running", timeout=30)
    assert daemon.terminate() == 0


def test_sigterm_ends_the_daemon_on_a_full_disk(daemon: Daemon, disk: Path, scene: Path) -> None:
    daemon.start()
    daemon.put("door", document(scene))
    wait_for(lambda: read_lines(daemon.config / "out"), 60, "the first event")
    ballast = fill(disk)
    wait_for(lambda: said(daemon, "storage_unavailable"), 30, "the complaint")
    daemon.terminate(timeout=45)
    ballast.unlink()
    daemon.start()
    daemon.until("door", "running", timeout=30)
    assert daemon.terminate() == 0
    nothing_lost_or_doubled(daemon.config / "out")


def test_a_locked_database_stops_nothing(daemon: Daemon, scene: Path) -> None:
    daemon.start()
    daemon.put("door", document(scene))
    wait_for(lambda: read_lines(daemon.config / "out"), 60, "the first event")
    backup = sqlite3.connect(daemon.data / "streamproc.db", isolation_level=None)
    backup.execute("BEGIN IMMEDIATE")
    wait_for(lambda: said(daemon, "storage_unavailable"), 40, "the complaint")
    looked = daemon.get("/api/processors/door")["metrics"]["frames_looked_at"]
    wait_for(lambda: daemon.get("/api/processors/door")["metrics"]["frames_looked_at"] != looked, 10, "another look")
    backup.execute("ROLLBACK")
    backup.close()
    wait_for(lambda: said(daemon, '"storage_available"'), 40, "the return")
    assert daemon.states() == {"door": "running"}
    assert daemon.terminate() == 0
    nothing_lost_or_doubled(daemon.config / "out")
