"""Requests to a running daemon with whatever headers a test wants."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    cookie: str = ""


class Caller:
    """Requests with whatever headers a test wants, ``Host`` among them."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection.putrequest(method, path, skip_host="Host" in sent, skip_accept_encoding=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        found = {name.lower(): value for name, value in answer.getheaders()}
        cookie = found.get("set-cookie", "").split(";")[0]
        is_json = "json" in found.get("content-type", "")
        return Answer(answer.status, json.loads(raw) if is_json else raw.decode(errors="replace"), found, cookie)
