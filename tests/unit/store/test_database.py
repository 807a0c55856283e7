"""The one file of a data directory."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from streamproc.store import database
from streamproc.store.database import Database


def test_the_end_does_not_wait_for_a_writer_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CLOSE_S", 0.05)
    kept = Database(tmp_path)
    inside, door = threading.Event(), threading.Event()

    def write() -> None:
        with kept.write():
            inside.set()
            door.wait(20)

    writer = threading.Thread(target=write)
    writer.start()
    inside.wait(20)
    kept.close()
    door.set()
    writer.join(20)
    assert not writer.is_alive()
