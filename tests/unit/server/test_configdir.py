"""The watch of the config folder: one bad moment is said and ends nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamproc.server import configdir
from streamproc.server.configdir import ConfigDir


class BrokenNodeFile:
    """Fails as a folder does when there are no file descriptors left, until it is told otherwise."""

    def __init__(self) -> None:
        self.broken = True
        self.scans = 0

    async def scan(self) -> None:
        self.scans += 1
        if self.broken:
            raise OSError(24, "Too many open files")


class Listener:
    def withdraw_all_but(self, names: set[str]) -> None:
        assert names == set()


async def test_a_scan_that_fails_is_said_once_and_the_next_one_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configdir, "RESCAN_S", 0.01)
    listener: Any = Listener()
    node_file: Any = BrokenNodeFile()
    stop = asyncio.Event()
    with capture_logs() as lines:
        watch = asyncio.create_task(ConfigDir(tmp_path, listener, node_file).watch(stop))
        async with asyncio.timeout(20):
            while node_file.scans < 5:
                await asyncio.sleep(0.01)
            node_file.broken = False
            while "config_is_scanned_again" not in [line["event"] for line in lines]:
                await asyncio.sleep(0.01)
        assert not watch.done() and not stop.is_set()
        stop.set()
        await watch
    assert [line["event"] for line in lines].count("config_scan_failed") == 1
