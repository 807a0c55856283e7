"""Bodies that nobody should send: an error is told, nothing breaks, and memory stays within the caps."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamproc.kinesis.models import OperationModel, operation_models
from tests.daemon import Daemon
from tests.kinesis.node import client, node
from tests.kinesis.sender import Sender
from tests.matroska import Clip, block, cluster, el, head, tags


def test_caps_hold_and_memory_with_them(tmp_path: Path) -> None:
    caps = {"max_sessions": 1, "max_fragment_bytes": "100KB", "max_buffered_bytes": "1MB"}
    daemon = node(tmp_path, caps, keys=False).start()
    try:
        for name in ("a", "b"):
            client(daemon.url).create_stream(StreamName=name)
        first = Sender(daemon.url, "a")
        refused = Sender(daemon.url, "b")
        assert (refused.status, refused.headers["x-amzn-errortype"]) == (400, "ClientLimitExceededException")
        first.send(head() + cluster(0, block(0, bytes(60_000), key=True), unknown=True))
        first.send(block(1, bytes(60_000)))
        assert first.closed.wait(10) and first.of("ERROR")[0]["ErrorId"] == 4001
        before = resident_mb(daemon)
        for start, more in ENDLESS:
            swallow(daemon, start, more)
        answers = {operation.path: fuzzed(daemon, operation) for operation in operation_models()}
        wrong = {path: codes for path, codes in answers.items() if not codes <= {200, 400, 401, 403, 404, 413}}
        assert wrong == {}
        assert resident_mb(daemon, peak=True) - before < 60
        log = daemon.log.read_text()
        assert "Traceback" not in log and '"level": "error"' not in log
    finally:
        daemon.close()


ENDLESS = (
    (head() + cluster(0, unknown=True), block(0, bytes(9000))),
    (el("1A45DFA3") + el("18538067", unknown=True), tags(filler="x" * 9000)),
    (head() + bytes.fromhex("EC01000000FFFFFFFF"), bytes(9000)),
    (head() + cluster(0, block(0, b"x", key=True)), el("EC", bytes(9000))),
    (head(), bytes.fromhex("1254C36701FFFFFFFFFFFFFF") * 1000),
    (b"", head() + tags(filler="x" * 2000)),
)
"""(begin, what follows without end) of bodies: no cluster, header, element, padding or nesting is held for longer than the caps say."""


BOMB = zlib.compress(bytes(6_000_000))


def swallow(daemon: Daemon, start: bytes, more: bytes) -> None:
    """Six megabytes of it, or until an ERROR closes the connection."""
    sender = Sender(daemon.url, "a")
    assert sender.status == 200
    with contextlib.suppress(OSError):
        sender.send(start)
        for _ in range(6_000_000 // len(more * 20)):
            sender.send(more * 20)
        sender.socket.sendall(b"0\r\n\r\n")
    assert sender.closed.wait(20), "neither ended nor refused"
    sender.close()


def fuzzed(daemon: Daemon, operation: OperationModel) -> set[int]:
    """Statuses of one operation for bodies that no client sends."""
    words: list[Any] = ["a", "b", "x" * 300, 1, -1e308, 10**400, None, True, [], {}, [{}], {"a": [None]}]
    chance = random.Random(operation.name)
    members = [
        "StreamName",
        "StreamARN",
        "StartSelector",
        "FragmentSelector",
        "ClipFragmentSelector",
        "Fragments",
        "MaxResults",
    ]
    bodies = [
        (json.dumps({chance.choice(members): chance.choice(words) for _ in range(3)}).encode(), "identity")
        for _ in range(4)
    ]
    bodies += [(b"[" * 100_000, "identity"), (b'{"StreamName": "\xff"}', "identity"), (bytes(1_100_000), "identity")]
    bodies += [(BOMB, "deflate"), (b"no deflate", "deflate")]
    found = set()
    for body, encoding in bodies:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
        try:
            connection.request("POST", operation.path, body, {"Content-Encoding": encoding})
            found.add(connection.getresponse().status)
        except (BrokenPipeError, ConnectionResetError):
            found.add(413)  # it did not wait for the rest
        finally:
            connection.close()
    return found


def resident_mb(daemon: Daemon, *, peak: bool = False) -> float:
    """Of the daemon now, from when its highest is kept; ``peak``: its highest since then."""
    process = Path(f"/proc/{daemon.pid}")
    if not peak:
        (process / "clear_refs").write_text("5")
    wanted = "VmHWM:" if peak else "VmRSS:"
    line = next(line for line in (process / "status").read_text().splitlines() if line.startswith(wanted))
    return int(line.split()[1]) / 1000


def test_whatever_comes_the_node_stays_up_and_says_why(kvs: Daemon, stream: Callable[[], str], clip: Clip) -> None:
    """Broken bodies of any kind: an error is told, or what is whole is kept; never an error of ours."""
    chance = random.Random(5)
    good = clip.header() + b"".join(clip.clusters()[:2])
    name = stream()
    for _ in range(25):
        bad = bytearray(good[: chance.randrange(len(good))])
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(bad))
            bad[at : at + chance.randrange(4)] = chance.randbytes(chance.randrange(6))
        sender = Sender(kvs.url, name)
        assert sender.status == 200
        try:
            sender.send(bytes(bad))
            sender.socket.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # it was closed on us, after an error
        assert sender.closed.wait(20)
        sender.close()
    for raw in (b"zz\r\nno chunk", b"FFFFFFFFFFFFFFFF\r\n", b"-1\r\n\r\n"):
        sender = Sender(kvs.url, name)
        sender.socket.sendall(raw)
        sender.close()
    assert client(kvs.url).describe_stream(StreamName=name)
    problems = [line for line in kvs.log.read_text().splitlines() if '"level": "error"' in line or "Traceback" in line]
    assert problems == []
