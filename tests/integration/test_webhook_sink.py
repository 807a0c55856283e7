"""The webhook output against an HTTP server, through the outbox, as in the daemon."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from streamproc.store.deliveries import Selection
from tests.builders.events import label_event
from tests.builders.outboxes import Box


class Receiver:
    """An HTTP server that answers as told and keeps what it got."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[web.Response] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        return self.answers.pop(0) if self.answers else web.Response()

    def ids(self) -> list[str]:
        return [headers["X-Streamproc-Event"] for headers, _ in self.requests]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/hook", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}/hook"
    yield made
    await runner.cleanup()


async def test_webhook_requests_are_signed_documents(
    box: Box, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "hush")
    monkeypatch.setenv("HOOK_TOKEN", "Bearer abc")
    await box.connect(
        {
            "type": "webhook",
            "url": receiver.url,
            "secret_env": "HOOK_SECRET",
            "headers": {"X-Site": "home"},
            "headers_env": {"Authorization": "HOOK_TOKEN"},
        }
    )
    await box.tell(label_event(0))
    await box.settled()
    headers, body = receiver.requests[0]
    assert json.loads(body)["id"] == headers["X-Streamproc-Event"] == "s1-000000"
    assert headers["Content-Type"] == "application/json"
    assert (headers["X-Site"], headers["Authorization"]) == ("home", "Bearer abc")
    expected = hmac.new(b"hush", body, hashlib.sha256).hexdigest()
    assert headers["X-Streamproc-Signature"] == f"sha256={expected}"
    stamped = headers["X-Streamproc-Timestamp"].encode() + b"." + body
    assert headers["X-Streamproc-Signature-Timestamped"] == (
        "sha256=" + hmac.new(b"hush", stamped, hashlib.sha256).hexdigest()
    )


@pytest.mark.logs_errors("output_refused")
async def test_webhook_answers_decide(box: Box, receiver: Receiver) -> None:
    receiver.answers = [
        web.Response(status=503, headers={"Retry-After": "0.1"}),
        web.Response(status=429),
        web.Response(status=204),
        web.Response(status=422, text="no such chat"),
        web.Response(status=302, headers={"Location": "/elsewhere"}),
    ]
    await box.connect({"type": "webhook", "url": receiver.url})
    await box.tell(*(label_event(number) for number in range(4)))
    await box.settled()
    assert receiver.ids() == ["s1-000000"] * 3 + ["s1-000001", "s1-000002", "s1-000003"]
    assert [event for event, _ in box.dead()] == ["s1-000001", "s1-000002"]
    assert box.dead()[0][1] == "HTTP 422: no such chat"


async def test_webhook_templates(box: Box, receiver: Receiver) -> None:
    structure = {
        "text": "{class} at {region}!",
        "score": "{confidence}",
        "where": {"place": "{region}", "raw": ["{box}"]},
    }
    await box.connect(
        {"type": "webhook", "name": "chat", "url": receiver.url, "template": structure},
        {
            "type": "webhook",
            "name": "line",
            "url": receiver.url,
            "template": "{processor}: {class} {confidence}% {person}",
        },
        {
            "type": "webhook",
            "name": "json",
            "url": receiver.url,
            "template": '{"tags": {tags}, "say": "{class}"}',
            "content_type": "application/json",
        },
    )
    await box.tell(label_event(0))
    await box.settled()
    bodies = {headers["Content-Type"]: [] for headers, _ in receiver.requests}
    for headers, body in receiver.requests:
        bodies[headers["Content-Type"]].append(body.decode())
    assert bodies["text/plain; charset=utf-8"] == ["door: PERSON 91.5% "]
    documents = sorted((json.loads(body) for body in bodies["application/json"]), key=len)
    assert documents == [
        {"tags": {"site": "home"}, "say": "PERSON"},
        {"text": "PERSON at !", "score": 91.5, "where": {"place": None, "raw": [None]}},
    ]


async def test_webhook_nobody_listens_then_somebody_does(box: Box, unused_tcp_port: int) -> None:
    await box.connect({"type": "webhook", "url": f"http://127.0.0.1:{unused_tcp_port}/hook"})
    await box.tell(label_event(0))
    async with asyncio.timeout(20):
        while not any(item.attempts for item in box.store.select(Selection(state="waiting"))):
            await asyncio.sleep(0.02)
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hook", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    await box.settled()
    await runner.cleanup()
    assert made.ids() == ["s1-000000"]
