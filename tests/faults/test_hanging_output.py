"""An output whose folder hangs, as a dead network share does. Here its file is a pipe that nobody opens: open(2) waits without end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.daemon import Daemon, read_lines, wait_for
from tests.faults.node import document, posted

pytestmark = pytest.mark.models


def test_a_hanging_folder_holds_up_nobody_else(daemon: Daemon, scene: Path) -> None:
    (daemon.config / "dead").mkdir(parents=True)
    names = [f"cam{number}" for number in range(3)]
    for name in names:
        os.mkfifo(daemon.config / "dead" / f"{name}.jsonl")
        daemon.put(name, both(scene))
    daemon.start()
    wait_for(
        lambda: {line["processor"] for line in read_lines(daemon.config / "out")} == set(names),
        90,
        "every other output",
    )
    before = len(read_lines(daemon.config / "out"))
    wait_for(lambda: len(read_lines(daemon.config / "out")) > before + 3, 60, "more events")
    assert posted(daemon, "/api/processors/cam0/stop") == 200
    assert daemon.states()["cam0"] == "stopped"
    began = time.monotonic()
    assert daemon.terminate(timeout=45) == 0
    print("ended after", round(time.monotonic() - began, 1))


def both(clip: Path) -> str:
    return document(clip).replace(
        "outputs: [{type: file, directory: out}]",
        "outputs: [{type: file, directory: out}, {type: file, directory: dead, name: dead}]",
    )
