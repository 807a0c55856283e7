"""A web hook that is no friend: whatever it answers, a delivery ends soon, with a word that says why."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from streamproc.config.processor import ConnectorRef
from streamproc.core.errors import SinkBusy, SinkRejected
from tests.builders.events import label_event
from tests.builders.examples import delivery
from tests.servers.certificates import Authority

Writer = asyncio.StreamWriter
PATIENCE_S = 15.0
"""Of the tests, on a machine however busy."""


@asynccontextmanager
async def hook(
    answer: Callable[[Writer], Awaitable[None]], tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """A server that reads a request's headers and lets ``answer`` write what it will; its port."""
    writers: list[Writer] = []

    async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
        writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def delivered(port: int, scheme: str = "http", host: str = "127.0.0.1", timeout: str = "10s") -> None:
    settings = {"type": "webhook", "url": f"{scheme}://{host}:{port}/", "timeout": timeout}
    sink: Any = make_sink(ConnectorRef.model_validate(settings), ConnectorContext("door"))
    try:
        await asyncio.wait_for(sink.deliver(delivery(label_event(0, has_pictures=False))), PATIENCE_S)
    finally:
        await sink.aclose()


async def drip(writer: Writer, head: bytes, piece: bytes) -> None:
    writer.write(head)
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("piece", [b"x", b""], ids=["drips", "never comes"])
async def test_a_status_counts_however_slow_its_body_is(piece: bytes) -> None:
    """200 confirms: an event that is sent again and again for want of a body would be told for ever."""
    head = b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\n\r\n"
    async with hook(lambda writer: drip(writer, head % b"200 OK", piece)) as port:
        await delivered(port)
    async with hook(lambda writer: drip(writer, head % b"422 No", piece)) as port:
        with pytest.raises(SinkRejected, match="HTTP 422"):
            await delivered(port)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
        (b"", b"\0\xff" * 50),
    ],
    ids=["silence", "one header for ever", "headers for ever", "noise"],
)
async def test_an_answer_that_never_comes_is_given_up(head: bytes, piece: bytes) -> None:
    async with hook(lambda writer: drip(writer, head, piece)) as port:
        with pytest.raises(SinkBusy, match=r"127\.0\.0\.1: \w+"):
            await delivered(port, timeout="1s")


async def test_a_small_answer_that_unpacks_to_much_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(50_000_000))

    async def answer(writer: Writer) -> None:
        writer.write(b"HTTP/1.1 400 No\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
        await writer.drain()

    tracemalloc.start()
    try:
        async with hook(answer) as port:
            with pytest.raises(SinkRejected, match="HTTP 400") as caught:
                await delivered(port)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "said", [b"inf", b"nan", b"-1", b"1e999", b"Mon, 01 Jan 2035 00:00:00 +" + b"9" * 40, b"\xff\xfe", b"tomorrow"]
)
async def test_nonsense_about_when_to_come_again_is_no_more_than_busy(said: bytes) -> None:
    async def answer(writer: Writer) -> None:
        writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: " + said + b"\r\n\r\n")
        await writer.drain()

    async with hook(answer) as port:
        with pytest.raises(SinkBusy, match="HTTP 503"):
            await delivered(port)


async def test_a_certificate_of_another_host_or_of_nobody_known_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("localhost"))

    async def answer(writer: Writer) -> None:
        writer.write(b"HTTP/1.1 204 Done\r\n\r\n")
        await writer.drain()

    async with hook(answer, context) as port:
        with pytest.raises(SinkBusy, match="certificate"):
            await delivered(port, "https")
        trusted = ssl.create_default_context(cafile=authority.certificate)
        monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusted)
        await delivered(port, "https")
    async with hook(answer, context, "127.0.0.2") as port:
        with pytest.raises(SinkBusy, match="certificate"):
            await delivered(port, "https", "127.0.0.2")


async def test_a_variable_that_holds_no_address_is_said_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_URL", "https://me:[#s3cret@chat.example/hook")
    sink = make_sink(ConnectorRef.model_validate({"type": "webhook", "url_env": "HOOK_URL"}), ConnectorContext())
    with pytest.raises(SinkBusy, match="url_env: what the variable holds is no address") as refused:
        await sink.deliver(delivery(label_event(0, has_pictures=False)))
    assert "s3cret" not in str(refused.value)
