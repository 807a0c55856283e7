"""Strangers who connect and say nothing, or half of something: others are served, and the strangers are let go."""

from __future__ import annotations

import resource
import socket
import time

import pytest

from streamproc.server.connections import HEADERS_S, MOST_OF_ONE, ConnectionLimits
from tests.daemon import Daemon, wait_for


def connect(daemon: Daemon, number: int, host: int) -> list[socket.socket]:
    """From an address of their own on the loopback network."""
    made = []
    for _ in range(number):
        one = socket.create_connection(("127.0.0.1", daemon.port), timeout=10, source_address=(f"127.0.0.{host}", 0))
        one.setblocking(False)
        made.append(one)
    return made


def closed(one: socket.socket) -> bool:
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def closed_with(one: socket.socket, words: bytes) -> bool:
    try:
        return words in one.recv(4096)
    except BlockingIOError:
        return False


def test_limits_leave_a_reserve() -> None:
    assert ConnectionLimits.within(1024) == ConnectionLimits(384, 192)
    assert ConnectionLimits.within(1_048_576) == ConnectionLimits(1000, 256)
    assert ConnectionLimits.within(100).in_all == 16


def test_connections_that_say_nothing_are_bounded_and_half_requests_are_let_go(daemon: Daemon) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip("too few descriptors for a crowd of connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    daemon.start()
    assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[0] == hard
    crowd = connect(daemon, MOST_OF_ONE + 100, 2)
    wait_for(lambda: sum(map(closed, crowd)) >= 100, 20, "the refusals")
    assert daemon.ready(), "another address is served"
    slow = connect(daemon, 20, 3)
    for one in slow:
        one.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Half: ")
    began = time.monotonic()
    wait_for(lambda: all(map(closed, slow)), HEADERS_S * 2, "the end of half-sent headers")
    assert time.monotonic() - began > HEADERS_S / 2
    for one in [*crowd, *slow]:
        one.close()
    for nonsense in (
        b"CONNECT x:1 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        b"\x16\x03\x01" + bytes(300) + b"\r\n\r\n",
    ):
        (other,) = connect(daemon, 1, 4)
        other.send(nonsense)
        wait_for(lambda other=other: closed_with(other, b" 400 "), 10, "the refusal")  # type: ignore[misc]
        other.close()
    assert "Traceback" not in daemon.log.read_text(), "strangers cannot fill the log"
    assert daemon.ready() and daemon.terminate() == 0
