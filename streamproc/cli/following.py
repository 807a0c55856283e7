"""Server-sent events of a running daemon, gone on with where they were cut off."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from streamproc.cli.control import answered_error
from streamproc.cli.output import say

SILENCE_S = 45.0
"""The daemon sends a comment every 15 s: when nothing came for so long the connection is dead."""
AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event."""

    topic: str
    document: dict[str, Any]
    id: str | None


def messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Parse a stream by the HTML standard, section "Interpreting an event stream"; messages without data are left out."""
    topic, data, identity = "message", list[str](), None
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Message(topic, json.loads("\n".join(data)), identity)
            topic, data, identity = "message", list[str](), None
        elif name == "event":
            topic = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            identity = value


def follow(url: str, after: str) -> Iterator[dict[str, Any]]:
    """Events that become durable after a place in the stream, for ever; waits while the daemon is away.

    Raises our own errors for what it answers, none for its absence.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    complained = False
    while True:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": after}
        if token := os.environ.get("STREAMPROC_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"{url.rstrip('/')}/api/stream", headers=headers)
        try:
            with opener.open(request, timeout=SILENCE_S) as answer:
                complained = False
                for message in messages(answer):
                    after = message.id or after
                    if message.topic == "event":
                        yield message.document
                    elif message.topic == "resync":
                        say(f"some events were missed: {message.document.get('reason')}")
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise answered_error(error.code, error.read(), url) from None
        except (OSError, http.client.HTTPException) as error:
            if not complained:
                say(f"the daemon is away ({getattr(error, 'reason', error)}); waiting for it")
            complained = True
        time.sleep(AGAIN_S)
