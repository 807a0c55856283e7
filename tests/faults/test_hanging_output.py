"""An output whose folder hangs: a network share that nobody answers for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import skip
from tests.daemon import Daemon, read_lines, wait_for
from tests.faults.node import document, posted
from tests.servers.common import Unavailable
from tests.servers.frozen import FrozenShare

pytestmark = pytest.mark.models


@pytest.fixture
def share(daemon: Daemon) -> Iterator[FrozenShare]:
    try:
        share = FrozenShare(daemon.config / "dead")
    except Unavailable as error:
        skip(str(error))
        return
    yield share
    daemon.close()
    share.thaw()


def test_a_hanging_folder_holds_up_nobody_else(daemon: Daemon, share: FrozenShare, scene: Path) -> None:
    names = [f"cam{number}" for number in range(3)]
    for name in names:
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
    share.thaw()
    daemon.start()
    told = {line["id"] for line in read_lines(daemon.config / "out")}
    wait_for(lambda: {line["id"] for line in read_lines(daemon.config / "dead")} >= told, 60, "what the share was owed")


def both(clip: Path) -> str:
    return document(clip).replace(
        "outputs: [{type: file, directory: out}]",
        "outputs: [{type: file, directory: out}, {type: file, directory: dead, name: dead}]",
    )
