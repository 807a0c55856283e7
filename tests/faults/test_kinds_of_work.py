"""Each kind of work has threads of its own: a database or a folder that hangs holds up who asks for it, and nobody else."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import skip
from tests.daemon import Daemon
from tests.faults.node import posted
from tests.servers.common import Unavailable
from tests.servers.frozen import FrozenShare

CALLERS = 40
"""More than there are threads, of all kinds together."""
PROMPT_S = 4.0
OTHERS = ("/api/events", "/api/jobs", "/api/outputs", "/api/processors", "/api/session", "/metrics")


def asked(daemon: Daemon, method: str, path: str, body: dict[str, str] | None = None) -> int:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "X-Amz-Target": "none"}
    request = urllib.request.Request(daemon.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@contextlib.contextmanager
def all_asking(daemon: Daemon, method: str, path: str, key: str) -> Iterator[list[Future[int]]]:
    """Everybody asks for what hangs at once; they still wait when the block begins, and have an answer at its end."""
    with ThreadPoolExecutor(CALLERS) as pool:
        bodies = [{key: f"name{number}"} if key else None for number in range(CALLERS)]
        answers = [pool.submit(asked, daemon, method, path, body) for body in bodies]
        time.sleep(1)  # they hang by now
        yield answers


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def others_answer(daemon: Daemon, *paths: str) -> None:
    for path in (*OTHERS, *paths):
        began = time.monotonic()
        assert asked(daemon, "GET", path) == 200, path
        assert time.monotonic() - began < PROMPT_S, path
    began = time.monotonic()
    assert posted(daemon, "/api/processors/none/start") == 404
    assert time.monotonic() - began < PROMPT_S


@pytest.mark.parametrize(
    ("file", "path", "key", "well"),
    [
        ("faces.db", "/api/faces", "name", "/api/streams"),
        ("kinesis-video.db", "/createStream", "StreamName", "/api/faces"),
    ],
)
def test_a_database_that_hangs_holds_up_its_own_kind(daemon: Daemon, file: str, path: str, key: str, well: str) -> None:
    (daemon.config / "streamproc.yaml").write_text("kinesis_video: {}\n")
    daemon.start()
    assert (daemon.data / file).is_file()
    with locked(daemon.data / file), all_asking(daemon, "POST", path, key) as answers:
        others_answer(daemon, well)
        done = [answer.result() for answer in answers if answer.done()]
        assert len(done) < CALLERS / 2, f"the database does not hang at all: {done}"
        others_answer(daemon, well)
        assert daemon.terminate(timeout=45) == 0


def test_a_config_folder_that_hangs_holds_up_its_own_kind(daemon: Daemon) -> None:
    daemon.start()
    try:
        share = FrozenShare(daemon.config / "processors")
    except Unavailable as error:
        skip(str(error))
        return
    try:
        with all_asking(daemon, "GET", "/api/settings", "") as answers:
            others_answer(daemon, "/api/faces", "/api/streams")
            assert not any(answer.done() for answer in answers), "the folder does not hang at all"
            time.sleep(11)
            refused = [answer.result() for answer in answers if answer.done()]
            assert len(refused) >= CALLERS / 2 and set(refused) == {503}, "who gets no thread is told so"
            others_answer(daemon, "/api/faces", "/api/streams")
            assert daemon.terminate(timeout=45) == 0
    finally:
        share.thaw()
